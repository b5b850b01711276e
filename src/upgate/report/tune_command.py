"""`upgate report tune=...`: a search of the store as one HTML file."""

from collections.abc import Mapping

from upgate.errors import UserError, did_you_mean
from upgate.messages import say, spoken
from upgate.output import output_path, write_output
from upgate.report.texts import report_translator
from upgate.report.tune import tune_page
from upgate.serialization import read_json
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tune.result import SearchResult

FILE = "tune.html"


def tune_report_command(options: Mapping[str, str]) -> int:
    """Write the page and print its path. Raises UserError where there is no such search."""
    language = options.get("report.language", spoken())
    report_translator(language)  # raises before the store is opened
    path = output_path(options.get("out", FILE))
    result = load_search(open_store(options.get("root")), options["tune"])
    write_output(path, tune_page(result, language))
    print(f"{result.search.id}: {path}")
    return 0


def load_search(store: Store, search_id: str) -> SearchResult:
    """The search of that id, or the newest one for `latest`.

    From its folder, else from MLflow's artifacts. Raises UserError where there is none, or where
    it has not finished.
    """
    rows = searches(store)
    if search_id == "latest" and rows:
        search_id = next(iter(rows))
    if search_id not in rows:
        suggestion = did_you_mean(search_id, rows)
        place = {"id": search_id, "root": str(store.root)}
        raise UserError(say("no_such_search", **place, hint=suggestion))
    row = rows[search_id]
    folder = store.root / "tunes" / search_id
    path = folder / "result.json"
    if not path.exists() and row.status in ("RUNNING", "KILLED"):
        command = row.tags.get("upgate.command", "")
        raise UserError(say("search_unfinished", id=search_id, command=command))
    path = store.file(row.run_id, path.name, folder)
    return read_json(SearchResult, path)


def searches(store: Store) -> dict[str, Row]:
    """The searches of a store by id, the newest first."""
    rows: dict[str, Row] = {}
    for row in store.rows():
        if row.is_parent and row.tags.get("upgate.level") == "tune":
            rows.setdefault(row.tags["upgate.tune"], row)
    return rows
