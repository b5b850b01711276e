"""A search in its folder and in MLflow: files, figures, and the numbers by which tables sort."""

from collections.abc import Callable, Mapping
from pathlib import Path

from upgate.experiment.parents import Parents
from upgate.files import write_text
from upgate.store.store import Store
from upgate.tune.plan import count_runs
from upgate.tune.result import Search, SearchResult
from upgate.tune.text import list_changes, summarize_search

FILE = "search.json"


# Draws a search: file name -> text, of its page and its figures.
Renderer = Callable[[SearchResult], Mapping[str, str]]


def search_folder(store: Store, search_id: str) -> Path:
    return store.root / "tunes" / search_id


def search_tags(search: Search) -> dict[str, str]:
    """Tags of the search's MLflow run."""
    return {"upgate.search": search.sampler, "upgate.data": search.data}


def record_result(result: SearchResult, folder: Path, parents: Parents, render: Renderer) -> None:
    """Write and log the files, figures and numbers of a search, and end its runs."""
    parent = parents.parent
    files = {"result.json": result.json(), **render(result)}
    for name, text in files.items():
        write_text(folder / name, text)
        parent.artifact(folder / name, "figures" if name.endswith(".svg") else "")
    for name, run in parents.arms.items():
        run.log(arm_numbers(result, name))
    runs, looks = float(count_runs(result.search)), float(result.looks)
    parent.log({"runs": runs, "test_looks": looks, "seconds": result.seconds})
    parent.tag({"upgate.sentence": summarize_search(result)})
    if changes := list_changes(result):
        parent.rename(f"{', '.join(changes)} by tuning: tune {result.search.id}")
    parents.finish("FINISHED" if result.complete else "FAILED")


def arm_numbers(result: SearchResult, name: str) -> dict[str, float]:
    """An arm's numbers, by which MLflow's own table sorts; of several blocks the last one's."""
    search, arm = result.search, result.blocks[-1].arm(name)
    numbers = {f"{state}_trials": float(count) for state, count in arm.notes.items()}
    numbers["trials"] = float(len(arm.trials))
    numbers[f"untuned/{search.metric}"] = search.metric_of(arm.trials[0].loss)
    if arm.best is not None:
        numbers[f"tuned/{search.metric}"] = search.metric_of(arm.best.loss)
        numbers["chosen"] = float(arm.best.number)
    for which in arm.tests:
        numbers[f"{which}/{search.score.key}"] = result.test(name, which)
    return numbers | {f"importance/{key}": share for key, share in arm.importance.items()}
