"""The run store on a real sqlite store: what goes in comes out, once, whatever happens between."""

import math
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.store import fresh, key, points
from upgate.errors import UserError
from upgate.store.record import build_filter
from upgate.store.run import clean, status_of
from upgate.store.store import Store

# MLflow 3.17 on SQLAlchemy 2.1: its mappers use a loader that SQLAlchemy has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fresh(tmp_path)


def test_everything_comes_back(store: Store, tmp_path: Path) -> None:
    (tmp_path / "figure.txt").write_text("a figure")
    with store.parent("stock", "a command", key("command"), {"upgate.command": "train"}) as parent:
        params = {"lr": 0.1, "none": None, "on": True, "long": "x" * 9000}
        with store.run(
            "stock", "one", key("one"), params, {"upgate.recipe": "upgraded"}, parent, True
        ) as run:
            run.log({"val/loss": 0.5, "odd|name": 1}, 1)
            run.log({"val/loss": 0.25}, 2)
            run.log({"nan": math.nan, "worst": math.inf, "best": -math.inf, "nothing": None})  # type: ignore[dict-item]
            run.log({f"m{i}": i for i in range(2500)})
            run.tag({"upgate.seed": "3"})
            run.text("lr: 0.1\n", "config/all.yaml")
            run.artifact(tmp_path / "figure.txt", "figures")
            run.dataset("s&p 500", key("data"), "arch.data.sp500", "training", {"rows": 5031})
    (row,) = store.rows(recipe="upgraded")
    assert (row.run_id, row.key, row.name, row.task, row.status) == (
        run.id,
        key("one"),
        "one",
        "stock",
        "FINISHED",
    )
    assert (row.parent, row.is_parent) == (parent.id, False)
    assert abs(time.time() - row.start.timestamp()) < 60 and 0 <= row.seconds < 60
    assert row.params == {"lr": "0.1", "none": "None", "on": "True", "long": "x" * 6000}
    assert (
        row.metrics.items()
        >= {"val/loss": 0.25, "odd_name": 1, "worst": math.inf, "best": -math.inf}.items()
    )
    assert math.isnan(row.metrics["nan"]) and math.isnan(row.metrics["nothing"])
    assert [row.metrics[f"m{i}"] for i in range(2500)] == list(range(2500))
    assert (
        row.tags.items()
        >= {"upgate.seed": "3", "upgate.kind": "run", "upgate.recipe": "upgraded"}.items()
    )
    assert points(store, run.id, "val/loss") == [(1, 0.5), (2, 0.25)]
    files = tmp_path / "artifacts" / run.id / "artifacts"
    assert (files / "config/all.yaml").read_text() == "lr: 0.1\n"
    assert (files / "figures/figure.txt").read_text() == "a figure"
    (seen,) = store.client.get_run(run.id).inputs.dataset_inputs
    assert (seen.dataset.name, seen.dataset.digest) == ("s&p 500", key("data")[:36])
    assert not list(store.open.iterdir())
    assert {r.run_id for r in store.rows(parent=parent.id)} == {run.id}
    assert [r.is_parent for r in store.rows(task="stock")] == [False, True]
    assert store.rows(task="sentiment") == [] == store.rows(status="FAILED")


def test_the_same_command_goes_on_in_the_same_parent(store: Store) -> None:
    tags = {"upgate.command": "first", "upgate.changed": ""}
    with store.parent("stock", "study", key("command"), tags) as first:
        first.log({"done": 1}, 1)
        first.log({"same": 0.5, "none": math.nan, "worst": math.inf, "changed": 1, "done": 0})
    tags = {"upgate.command": "second", "upgate.changed": "dirty", "upgate.round": "2"}
    with store.parent("stock", "study", key("command"), tags) as again:
        assert again.id == first.id and (first.is_new, again.is_new) == (True, False)
        assert store.client.get_run(again.id).info.status == "RUNNING"
        again.log({"same": 0.5, "none": math.nan, "worst": math.inf, "changed": 2, "done": 0})
    (row,) = store.rows()
    assert (row.status, row.tags["upgate.round"]) == ("FINISHED", "2")
    # how it began stays, and a number is a point once, unless it has changed
    assert (row.tags["upgate.command"], row.tags["upgate.changed"]) == ("first", "")
    assert [len(points(store, first.id, name)) for name in ("same", "none", "worst")] == [1, 1, 1]
    assert sorted(points(store, first.id, "changed")) == [(0, 1), (0, 2)]
    assert sorted(points(store, first.id, "done")) == [(0, 0), (1, 1)]


def test_a_resumed_run_has_each_point_once(store: Store) -> None:
    opened = {"task": "stock", "name": "one", "key": key("one"), "tags": {}, "parent": None}
    run = store.run(**opened, params={"lr": 0.1}, resume=False)  # type: ignore[arg-type]
    for step in range(6):
        run.log({"loss": 1 / (1 + step)}, step)
    run.log({"test/score": 1.0})
    run.finish("KILLED")
    resumed = store.run(**opened, params={"lr": 0.2, "new": 1}, resume=True)  # type: ignore[arg-type]
    for step in (0, *range(4, 9)):  # from a checkpoint that is older than the last point
        resumed.log({"loss": 1 / (1 + step)}, step)
    resumed.log({"test/score": 2.0})
    resumed.finish("FINISHED")
    assert resumed.id == run.id
    assert points(store, run.id, "loss") == [(step, 1 / (1 + step)) for step in range(9)]
    (row,) = store.rows()
    assert (row.status, row.params, row.metrics["test/score"]) == (
        "FINISHED",
        {"lr": "0.1", "new": "1"},
        2.0,
    )  # single numbers anew
    assert store.run(**opened, params={}, resume=True).id != run.id  # type: ignore[arg-type]  # it was finished
    assert store.reconcile() == []  # the last one is ours and alive


def test_a_key_is_trained_once_at_a_time(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, True)
    with pytest.raises(UserError, match=f"'one' .* is going on already, in process {os.getpid()} "):
        store.run("stock", "one", key("one"), {}, {}, None, True)
    run.finish("FAILED")
    assert store.run("stock", "one", key("one"), {}, {}, None, False).id != run.id


def test_status_says_how_it_ended(store: Store) -> None:
    for word, error in {
        "error": ZeroDivisionError(),
        "ctrl-c": KeyboardInterrupt(),
        "term": SystemExit(143),
    }.items():
        with pytest.raises(type(error)), store.run("stock", word, key(word), {}, {}, None, False):
            raise error
    assert {row.name: row.status for row in store.rows()} == {
        "error": "FAILED",
        "ctrl-c": "KILLED",
        "term": "KILLED",
    }
    assert status_of(None) == "FINISHED"
    run = store.run("stock", "late", key("late"), {}, {}, None, False)
    with pytest.raises(ValueError, match="SLEEPING"):
        run.finish("SLEEPING")
    run.finish("FINISHED")
    run.finish("FAILED")  # too late
    run.log({"too": 1})
    assert store.rows()[0].status == "FINISHED"


def test_finished_finds_the_newest_by_key(store: Store) -> None:
    ids = {}
    for word in ("a", "b", "a", "c"):
        with store.run("stock", word, key(word), {}, {}, None, False) as run:
            ids[word] = run.id
            time.sleep(0.002)  # MLflow's clock counts milliseconds
    store.run("stock", "failed", key("failed"), {}, {}, None, False).finish("FAILED")
    some = [key(word) for word in ("a", "b", "failed", "nobody")]
    many = some + [key(str(i)) for i in range(2000)]
    for keys in (some, many):
        assert {k: row.run_id for k, row in store.finished(keys).items()} == {
            key("a"): ids["a"],
            key("b"): ids["b"],
        }


@pytest.mark.parametrize(
    "name",
    ["a//b", "/a/b", "../a", "a/./b/", "损失/θ", "50% of x", "a\nb", "", "x" * 300, "lr: 0.1"],
)
def test_any_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(clean(name))
    assert 1 <= len(clean(name)) <= 250 and clean(clean(name)) == clean(name)


def test_a_full_disk_does_not_end_the_training(store: Store) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    run.log({"loss": 1.0}, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (store.log_path(run.key).stat().st_size + 5, hard)
        )
        run.log({"loss": 2.0}, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run.log({"loss": 3.0}, 3)
    run.finish("FINISHED")
    assert points(store, run.id, "loss") == [(1, 1.0), (3, 3.0)]


def test_what_mlflow_refuses_blocks_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").touch()
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    run.artifact(tmp_path / "gone.txt")
    (tmp_path / "gone.txt").unlink()
    run.log({"loss": 1.0})
    run.finish("FINISHED")
    assert store.finished([key("one")])[key("one")].metrics == {"loss": 1.0}
    assert "gone.txt" in (tmp_path / "refused.jsonl").read_text()
    with pytest.raises(FileNotFoundError):
        store.run("stock", "two", key("two"), {}, {}, None, False).artifact(tmp_path / "gone.txt")


def test_filters_quote_what_they_are_given(store: Store) -> None:
    with store.run("stock", "one", key("one"), {}, {"upgate.recipe": "it's"}, None, False):
        pass
    assert len(store.rows(recipe="it's")) == 1 and store.rows(recipe="x' or 'a' = 'a") == []
    assert build_filter(task=None, status="FAILED") == "attributes.status = 'FAILED'"


def test_importing_the_store_imports_no_mlflow() -> None:
    code = "import sys, upgate.store.store; print({'mlflow', 'pandas', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_the_first_word_about_the_end_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.run("stock", "one", key("one"), {}, {}, None, False)
    with monkeypatch.context() as patch:
        patch.setattr(run._flusher, "flush", lambda journal: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            run.finish("FINISHED")
    run.finish("KILLED")  # what a trainer does next
    assert store.rows()[0].status == "FINISHED"
    store.annotate(run.id, {"difference/x": -0.5}, {"mlflow.note.content": "a"})
    assert store.rows()[0].metrics == {"difference/x": -0.5}
