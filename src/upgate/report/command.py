"""`upgate report`: a study of the store as one HTML file, on any machine that has the store."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from upgate.errors import UserError, did_you_mean
from upgate.page.figure import RunTables
from upgate.report.article import article_page
from upgate.report.page import page
from upgate.report.texts import report_translator
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.study.analyze import judge, runs_of
from upgate.study.facts import facts
from upgate.study.load import experiments, load_experiment, load_study, newest, tables_of
from upgate.study.result import Study

OUT = "report.html"


class Stored:
    """The tables of a study's runs; a diverged run has but its curve."""

    def __init__(self, store: Store, study: Study, rows: Iterable[Row]) -> None:
        self._read = tables_of(store)
        self._runs = runs_of(
            study, [row for row in rows if row.status == "FINISHED" and not row.is_parent]
        )

    def runs(self, arm: str, name: str, fold: int | None = None) -> RunTables:
        found = {
            cell: row for cell, row in self._runs.get(arm, {}).items() if fold in (None, cell[1])
        }
        there = {cell: row for cell, row in found.items() if name == "curve" or not row.diverged}
        return {cell: self._read(row, name) for cell, row in sorted(there.items())}


def report_command(asked: Mapping[str, str]) -> int:
    """Write the page and say where it is. Raises UserError where there is no such study or language, or nowhere to write."""
    language = asked.get("report.language", "en")
    report_translator(language)  # a typo answers before the store is opened
    out = place(asked.get("out", OUT))
    if asked.get("experiment", "article") != "article":
        raise UserError(
            f"experiment={asked['experiment']} is not a choice{did_you_mean(asked['experiment'], ['article'])}"
        )
    store = open_store(asked.get("root"))
    name = asked.get("study", "latest")
    name = newest(store, "experiment" in asked) if name == "latest" else name
    written = write_article if name in experiments(store) else write_study
    print(f"{name}: {written(store, name, out, language)}")
    return 0


def write_study(store: Store, name: str, out: Path, language: str = "en") -> Path:
    return write(store, load_study(store, name), out, language)


def write_article(store: Store, name: str, out: Path, language: str = "en") -> Path:
    """Make the page of an experiment and its studies from the store."""
    asked = load_experiment(store, name)
    studies = {setting: load_study(store, one) for setting, one in asked.studies.items()}
    rows, read = store.rows(task=asked.task), tables_of(store)
    results = {setting: judge(study, rows, read) for setting, study in studies.items()}
    tables = {setting: Stored(store, study, rows) for setting, study in studies.items()}
    out.write_text(article_page(asked, results, facts(results), tables, language), encoding="utf-8")
    return out


def write(store: Store, study: Study, out: Path, language: str = "en") -> Path:
    """Make the page of a study from the store."""
    rows = store.rows(task=study.task)
    result = judge(study, rows, tables_of(store))
    out.write_text(page(result, Stored(store, study, rows), language), encoding="utf-8")
    return out


def place(name: str) -> Path:
    """Where to write: a folder that is there, else a UserError."""
    path = Path(name).resolve()
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(
            f"out={name} is {'a folder' if path.is_dir() else 'in a folder that is not there'}; name a file such as {OUT}"
        )
    return path
