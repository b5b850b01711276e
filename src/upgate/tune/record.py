"""A search in its folder and in MLflow: a parent run, a run for each arm below it, files, figures, and numbers by which tables sort."""

from pathlib import Path

from upgate.report.tune import figure_files, tune_page
from upgate.run import provenance as environment
from upgate.store.record import PARENT
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.study.command import digest
from upgate.tune import text as say
from upgate.tune.plan import runs_of
from upgate.tune.result import Search, SearchResult

FILE = "search.json"


def folder_of(store: Store, search_id: str) -> Path:
    return store.root / "tunes" / search_id


def keep(result: SearchResult, folder: Path, parent: Run, arms: dict[str, Run]) -> None:
    """Files, figures and numbers of a search, in its folder and in MLflow."""
    (folder / "result.json").write_text(result.json(), encoding="utf-8")
    (folder / "report.html").write_text(tune_page(result), encoding="utf-8")
    for name, drawn in figure_files(result).items():
        (folder / name).write_text(drawn, encoding="utf-8")
        parent.artifact(folder / name, "figures")
    for name in ("result.json", "report.html"):
        parent.artifact(folder / name)
    for name, one in arms.items():
        one.log(numbers(result, name))
    parent.log(
        {
            "runs": float(runs_of(result.search)),
            "test_looks": float(result.looks),
            "seconds": result.seconds,
        }
    )
    parent.tag({"upgate.sentence": say.sentence(result)})


def numbers(result: SearchResult, name: str) -> dict[str, float]:
    """An arm's numbers, by which MLflow's own table sorts; of several blocks the last one's."""
    search = result.search
    arm = next(one for one in result.blocks[-1].arms if one.name == name)
    found = {f"{state}_trials": float(count) for state, count in arm.notes.items()} | {
        "trials": float(len(arm.trials))
    }
    found |= {f"untuned/{search.metric}": search.metric_of(arm.trials[0].loss)}
    if arm.best is not None:
        found |= {
            f"tuned/{search.metric}": search.metric_of(arm.best.loss),
            "chosen": float(arm.best.number),
        }
    for which in arm.tests:
        found[f"{which}/{search.score.key}"] = result.test(name, which)
    return found | {f"importance/{key}": share for key, share in arm.importance.items()}


def open_parent(search: Search, store: Store) -> Run:
    """The search's MLflow run; the same search again goes on in the same one."""
    tags, texts = environment.provenance()
    tags |= {
        "upgate.tune": search.id,
        "upgate.level": "tune",
        "upgate.search": search.sampler,
        "upgate.data": search.data,
    }
    parent = store.parent(search.task, f"tune {search.id}", digest("tune", search.id), tags)
    for file, text in texts.items():
        parent.text(text, file)
    return parent


def open_arm(search: Search, name: str, parent: Run, store: Store) -> Run:
    tags = {"upgate.tune": search.id, "upgate.level": "arm", "upgate.arm": name, PARENT: parent.id}
    return store.parent(search.task, name, digest("tune", search.id, name), tags)
