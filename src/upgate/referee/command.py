"""`upgate judge`: a table or an MLflow store in, verdicts out: terminal, page, JSON."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from upgate.console import new_table, print_lines
from upgate.errors import UserError
from upgate.messages import ENGLISH, spoken
from upgate.output import output_path, write_output
from upgate.page.effects import format_p
from upgate.page.svg import format_number, signed
from upgate.page.translations import Translator
from upgate.referee.answer import Judgement
from upgate.referee.artifacts import ItemTable, join_items, run_question
from upgate.referee.columns import match_column, resolve
from upgate.referee.files import read_score_file
from upgate.referee.judge import judge_table
from upgate.referee.page import judgement_page
from upgate.referee.question import Question, Source
from upgate.referee.text import findings, remarks
from upgate.referee.texts import TEXTS, say
from upgate.referee.write import EXPERIMENT, write_judgement
from upgate.store.foreign_write import check_writable


def judge_command(
    source: Source, question: Question, out: str | None, language: str | None, as_json: bool
) -> int:
    """Judge, print, and write the page where a file `out` is given.

    language: None for that of the terminal; what goes to a store is in English then.
    """
    w = Translator(language or spoken(), TEXTS)
    if source.write:
        check_writable(source.uri)
    path = None if out is None else output_path(out)
    read = read_source_scores(source, question)
    judgement = judge_table(read.frame, read.question, read.notes)
    run = _write(judgement, source, read.location, language or ENGLISH) if source.write else None
    if path is not None:
        page = judgement_page(judgement, w.language, source.name)
        write_output(path, page)
    if as_json:
        print(judgement.to_json(), end="")
    else:
        show_judgement(judgement, Console(), w)
        if path is not None:
            print(path)
        if run is not None:
            print(w("written", experiment=EXPERIMENT, run=run))
    return 0


def _write(judgement: Judgement, source: Source, location: str, language: str) -> str:
    """Write the verdict to its store; the id of its run."""
    page = judgement_page(judgement, language, source.name)
    return write_judgement(judgement, source, location, page)


def read_source_scores(source: Source, question: Question) -> ItemTable:
    """The rows. Raises UserError for a file or store that cannot be read."""
    if source.path:
        path, shown = Path(source.path), f"data.path={source.path}"
        if not path.is_file():
            raise UserError(say("no_file_there", shown=shown))
        return ItemTable(read_score_file(path, shown), question, [])
    from upgate.store.foreign import open_runs

    runs = open_runs(source.uri, source.experiment, source.filter_string)
    columns = runs.columns
    items = question.items
    if items and match_column(items, columns):  # a row of the store is the loss of one item
        items = None
    found = run_question(question, columns) if items else resolve(question, columns)
    table = runs.read(_wanted(found, columns))
    if table.empty:
        limit = say("matching", filter=source.filter_string) if source.filter_string else ""
        raise UserError(say("no_runs", experiment=source.experiment, limit=limit))
    if not items:
        return ItemTable(table, question, [], runs.location)
    joined = join_items(table, found, source, items)
    asked = replace(joined.question, better=question.better)
    return replace(joined, question=asked, location=runs.location)


def _wanted(found: Question, columns: Sequence[str]) -> list[str]:
    """The columns that the judgement needs."""
    wanted = [found.metric, found.group, *(found.pair or [])]
    wanted += [name for name in (found.over, found.items) if name]
    if not found.pair:  # what pairing would have bought
        wanted += resolve(replace(found, pair=None), columns).pair or []
    return [name for name in dict.fromkeys(wanted) if name in columns]


def show_judgement(judgement: Judgement, console: Console, w: Translator) -> None:
    """The verdicts, the reliability, and the sentences."""
    heads = (w("group"), w("verdict"), w("effect"), w("interval"))
    table = new_table("", *heads, "p", "p (Holm)", "n", left=2)
    for arm in judgement.arms:
        v = arm.verdict
        interval = w("low_to_high", low=format_number(v.low, 3), high=format_number(v.high, 3))
        numbers = (format_p(v.p), format_p(v.p_holm), str(v.n))
        table.add_row(arm.name, w(v.label), signed(v.effect), interval, *numbers)
    console.print(table)
    _show_reliability(judgement, console, w)
    print_lines(console, [*findings(judgement, w), *remarks(judgement, w)])


def _show_reliability(judgement: Judgement, console: Console, w: Translator) -> None:
    rows: list[Sequence[str]] = []
    for arm in judgement.arms:
        for dataset, (r, unit) in arm.reliability.items():
            low, high = (f"{100 * end:.0f}%" for end in (r.rate.low, r.rate.high))
            rate = w("low_to_high", low=low, high=high)
            chance = f"{100 * r.better.effect:.0f}%"
            spread = format_number(r.variance_ratio, 3), format_p(r.variance_p)
            worst = f"{format_number(r.worst)} ({unit})"
            name = f"{arm.name} {dataset}".strip()
            rows.append((name, f"{r.collapsed}/{r.n}", rate, *spread, worst, chance))
    if not rows:
        return
    heads = (w("group"), w("collapsed"), w("rate"), w("variances"), "p", w("worst_unit"))
    table = new_table(w("reliability_table"), *heads, w("better"))
    for name, *cells in rows:
        table.add_row(name, *cells)
    console.print(table)
