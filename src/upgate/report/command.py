"""`upgate report`: a study of the store as one HTML file, on any machine that has the store."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from upgate.errors import did_you_mean, not_a_choice
from upgate.messages import spoken
from upgate.output import output_path, write_output
from upgate.page.figure import RunTables
from upgate.report.article import article_page
from upgate.report.over import over_page
from upgate.report.study import study_page
from upgate.report.texts import report_translator
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.study.analyze import analyze
from upgate.study.facts import check_claims
from upgate.study.load import (
    list_experiments,
    list_overs,
    load_experiment,
    load_over,
    load_study,
    newest_id,
    table_reader,
)
from upgate.study.over_analyze import analyze_over
from upgate.study.result import Study
from upgate.study.scores import select_runs

FILE = "report.html"
CURVE = "curve"  # the one table that a diverged run has


class StoredTables:
    """The tables of a study's finished runs."""

    def __init__(self, store: Store, study: Study, rows: Iterable[Row]) -> None:
        finished = [row for row in rows if row.status == "FINISHED" and not row.is_parent]
        self._read = table_reader(store)
        self._runs = select_runs(study, finished)

    def runs(self, arm: str, name: str, fold: int | None = None) -> RunTables:
        tables = {}
        for cell, row in sorted(self._runs.get(arm, {}).items()):
            if fold not in (None, cell[1]) or (row.diverged and name != CURVE):
                continue
            tables[cell] = self._read(row, name)
        return tables


def report_command(options: Mapping[str, str]) -> int:
    """Write the page and print its path.

    Raises UserError where there is no such study or language, or no folder to write to.
    """
    language = options.get("report.language", spoken())
    report_translator(language)  # raises before the store is opened
    path = output_path(options.get("out", FILE))
    experiment = options.get("experiment", "article")
    if experiment != "article":
        suggestion = did_you_mean(experiment, ["article"])
        raise not_a_choice(f"experiment={experiment}", suggestion)
    store = open_store(options.get("root"))
    name = options.get("study", "latest")
    if name == "latest":
        name = newest_id(store, "experiment" in options)
    write = write_study
    if name in list_overs(store):
        write = write_over
    elif name in list_experiments(store):
        write = write_article
    print(f"{name}: {write(store, name, path, language)}")
    return 0


def write_study(store: Store, name: str, path: Path, language: str = "en") -> Path:
    """Write the page of a study from the store."""
    study = load_study(store, name)
    rows = store.rows(task=study.task)
    result = analyze(study, rows, table_reader(store))
    page = study_page(result, StoredTables(store, study, rows), language)
    write_output(path, page)
    return path


def write_article(store: Store, name: str, path: Path, language: str = "en") -> Path:
    """Write the page of an experiment and its studies from the store."""
    experiment = load_experiment(store, name)
    rows, read = store.rows(task=experiment.task), table_reader(store)
    results, tables = {}, {}
    for setting, study_id in experiment.studies.items():
        study = load_study(store, study_id)
        results[setting] = analyze(study, rows, read)
        tables[setting] = StoredTables(store, study, rows)
    page = article_page(experiment, results, check_claims(results), tables, language)
    write_output(path, page)
    return path


def write_over(store: Store, name: str, path: Path, language: str = "en") -> Path:
    """Write the page of a study over several data sets from the store."""
    result = analyze_over(store, load_over(store, name))
    write_output(path, over_page(result, language))
    return path
