"""`upgate judge`: a table or an MLflow store in, verdicts out: terminal, page, JSON."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from upgate.console import new_table, print_lines
from upgate.errors import UserError
from upgate.page.effects import format_p
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.referee.columns import resolve
from upgate.referee.judge import judge_table
from upgate.referee.judgement import TEXTS, Judgement
from upgate.referee.page import judgement_page
from upgate.referee.question import Question, Source
from upgate.referee.text import findings, remarks, signed

READERS = {".csv": ",", ".tsv": "\t", ".txt": ","}


def judge_command(
    source: Source, question: Question, out: str | None, language: str, as_json: bool
) -> int:
    """Judge, print, and write the page where a file `out` is given."""
    w = Translator(language, TEXTS)
    path = None if out is None else _output(out)
    judgement = judge_table(read_table(source, question), question)
    if path is not None:
        page = judgement_page(judgement, language, source.name)
        path.write_text(page, encoding="utf-8")
    if as_json:
        print(judgement.to_json(), end="")
    else:
        show(judgement, Console(), w)
        if path is not None:
            print(path)
    return 0


def _output(name: str) -> Path:
    path = Path(name).resolve()
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"out={name} must name a file in a folder that exists")
    return path


def read_table(source: Source, question: Question) -> pd.DataFrame:
    """The rows. Raises UserError for a file or store that cannot be read."""
    if source.path:
        return read_file(source.path)
    from upgate.store.foreign import open_runs

    runs = open_runs(source.uri, source.experiment, source.filter_string)
    columns = runs.columns
    if not columns:
        raise UserError(f"mlflow.experiment={source.experiment} has no runs that match")
    found = resolve(question, columns)
    wanted = [found.metric, found.group, *(found.pair or [])]
    wanted += [name for name in (found.over, found.items) if name]
    if not found.pair:  # what pairing would have bought
        wanted += resolve(replace(question, pair=None), columns).pair or []
    return runs.read(list(dict.fromkeys(wanted)))


def read_file(name: str) -> pd.DataFrame:
    """A csv, tsv or parquet file."""
    path = Path(name)
    if not path.is_file():
        raise UserError(f"data.path={name} is not a file")
    kind = Path(path.name.removesuffix(".gz")).suffix.lower()
    if kind not in (*READERS, ".parquet", ".pq"):
        raise UserError(f"data.path={name} is not a table: give a .csv, .tsv or .parquet file")
    try:
        if kind in READERS:
            return pd.read_csv(path, sep=READERS[kind], encoding="utf-8-sig")
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pandas' own errors of a broken file are ValueErrors
        raise UserError(f"data.path={name} cannot be read: {str(error).splitlines()[0]}") from None


def show(judgement: Judgement, console: Console, w: Translator) -> None:
    """The verdicts, the reliability, and the sentences."""
    table = new_table("", "group", "verdict", "effect", "interval", "p", "p (Holm)", "n", left=2)
    for arm in judgement.arms:
        v = arm.verdict
        interval = f"{format_number(v.low, 3)} to {format_number(v.high, 3)}"
        numbers = (format_p(v.p), format_p(v.p_holm), str(v.n))
        table.add_row(Text(arm.name), w(v.label), signed(v.effect), interval, *numbers)
    console.print(table)
    _show_reliability(judgement, console)
    print_lines(console, [*findings(judgement, w), *remarks(judgement, w)])


def _show_reliability(judgement: Judgement, console: Console) -> None:
    rows: list[Sequence[str]] = []
    for arm in judgement.arms:
        for dataset, (r, unit) in arm.reliability.items():
            rate = f"{100 * r.rate.low:.0f}% to {100 * r.rate.high:.0f}%"
            chance = f"{100 * r.better.effect:.0f}%"
            spread = format_number(r.variance_ratio, 3), format_p(r.variance_p)
            worst = f"{format_number(r.worst)} ({unit})"
            name = f"{arm.name} {dataset}".strip()
            rows.append((name, f"{r.collapsed}/{r.n}", rate, *spread, worst, chance))
    if not rows:
        return
    heads = ("group", "collapsed", "rate", "variances", "p", "worst", "P(better)")
    table = new_table("reliability", *heads)
    for name, *cells in rows:
        table.add_row(Text(name), *cells)
    console.print(table)
