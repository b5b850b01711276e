"""executor=local with real processes: the same numbers as inline; kill -9 of a worker and of the
driver; Ctrl-C.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest

from helpers.execution import alive, echo, killer, owners, wait_for
from helpers.run import numbers, places, results, small, train
from helpers.store import fresh
from upgate.config.run_config import compose_config
from upgate.execution import side_by_side
from upgate.execution.executor import Inline
from upgate.execution.local import Slot, preload
from upgate.execution.open import open_executor
from upgate.execution.side_by_side import SideBySide, estimate_seconds, pays, serial_seconds
from upgate.execution.work import WorkerDied, WorkResponse
from upgate.experiment.jobs import make_pair
from upgate.run.datasets import Datasets
from upgate.store.record import NOTE, Row
from upgate.store.store import Store

pytestmark = pytest.mark.pictures
LOCAL = ["executor=local", "executor.workers=2"]
SHARED = ["trainer.strategy=ddp_fork", "trainer.devices=2"]
LONG = ["trainer.max_epochs=20", "data.start=2016"]


def kept(root: Path) -> dict[str, tuple[str, str, dict[str, float]]]:
    """What must be the same wherever a run ran."""
    return {
        name: (found["key"], found["weights"], numbers(found))
        for name, found in results(root).items()
    }


def statuses(root: Path) -> dict[str, str]:
    return {row.name: row.status for row in Store(root).rows() if not row.is_parent}


def by_role(root: Path) -> tuple[Row, Row]:
    """The run and its twin, as the store has them."""
    runs = {row.tags["upgate.role"]: row for row in Store(root).rows() if not row.is_parent}
    return runs["run"], runs["twin"]


def describe(root: Path, row: Row) -> str:
    """The note that MLflow shows of a run."""
    return str(Store(root).client.get_run(row.run_id).data.tags.get(NOTE, ""))


REVIEWS = pytest.param(["task=sentiment"], marks=pytest.mark.long, id="sentiment")


@pytest.mark.parametrize("words", [pytest.param([], id="stock"), REVIEWS])
def test_the_same_numbers_as_inline(words: list[str], tmp_path: Path) -> None:
    here, there = tmp_path / "inline" / "runs", tmp_path / "local" / "runs"
    for root, more in ((here, []), (there, LOCAL)):
        fresh(root)
        code, said = train(root, *words, *more, "seed=0,1", sweep=True)
        assert code == 0 and "2 runs" in said
    assert kept(there) == kept(here) and len(kept(here)) == 4
    assert "run 4 of 4 done: upgraded seed=" in said
    rows = [row for row in Store(there).rows() if not row.is_parent]
    assert {row.status for row in rows} == {"FINISHED"} and len({row.parent for row in rows}) == 1
    assert len({row.tags["upgate.pid"] for row in rows}) == 2 and str(os.getpid()) not in {
        row.tags["upgate.pid"] for row in rows
    }
    for name, found in results(there).items():
        assert found["difference"] == results(here)[name]["difference"]
    artifacts = {a.path for a in Store(there).client.list_artifacts(rows[0].run_id)}
    assert {"best.ckpt", "config.yaml", "curves.png"} <= artifacts
    code, said = train(there, *words, *LOCAL, "seed=0,1", sweep=True)
    assert code == 0 and "done:" not in said  # all of it was stored
    assert not owners(there)


@pytest.mark.parametrize("words", [["executor=auto"], LOCAL], ids=["auto", "local"])
def test_a_run_trains_beside_its_twin_and_is_compared_with_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "START", 0.0)
    monkeypatch.setattr(side_by_side, "cores", lambda: 2)
    one, both = tmp_path / "inline" / "runs", tmp_path / "beside" / "runs"
    for root, more in ((one, ["executor=inline"]), (both, words)):
        fresh(root)
        code, _ = train(root, *more, "seed=0")
        assert code == 0
    assert kept(both) == kept(one) and len(kept(one)) == 2
    ours, theirs = (results(root)["upgraded seed=0"] for root in (both, one))
    assert ours["difference"] == theirs["difference"] != {}
    assert ours["twin"] | {"run_id": ""} == theirs["twin"] | {"run_id": ""}
    (run, twin), (before, _) = by_role(both), by_role(one)
    assert run.tags["upgate.pid"] != twin.tags["upgate.pid"]
    assert run.tags["upgate.twin"] == twin.run_id == ours["twin"]["run_id"]
    assert run.metrics.keys() == before.metrics.keys() >= {"difference/test/mse_ratio"}
    assert describe(both, run) == describe(one, before) != ""
    artifacts = {a.path for a in Store(both).client.list_artifacts(run.run_id)}
    assert {"forecast.png", "curves.png"} <= artifacts


def test_a_second_process_is_for_long_work_on_free_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = Datasets()
    job = make_pair(small("data.start=1999"), datasets, None)[0]
    long = replace(job, spec=replace(job.spec, budget=replace(job.spec.budget, max_epochs=10_000)))
    few = replace(long, spec=replace(job.spec, budget=replace(long.spec.budget, max_steps=20)))
    once = estimate_seconds(job, datasets.fetch) / job.spec.budget.max_epochs
    assert estimate_seconds(long, datasets.fetch) == pytest.approx(10_000 * once)
    assert 0.0 < estimate_seconds(few, datasets.fetch) < 20 * once
    assert serial_seconds([long], datasets.fetch) == 0.0
    other = replace(long, spec=replace(long.spec, fold=1))  # fold 1 of holdout: there is none
    alone = estimate_seconds(long, datasets.fetch)
    assert serial_seconds([long, other], datasets.fetch) == 2 * alone
    timed = replace(long, spec=replace(job.spec, budget=replace(job.spec.budget, max_time="1:0")))
    assert serial_seconds([timed, timed], datasets.fetch) == 0.0
    monkeypatch.setattr(side_by_side, "cores", lambda: 2)
    for jobs, expected in (([long, long], True), ([job, job], False), ([few, few], False)):
        assert pays("cpu", lambda jobs=jobs: serial_seconds(jobs, datasets.fetch)) == expected
    assert not pays("cuda", lambda: 1e6)
    for words, kind in (([], SideBySide), (SHARED, Inline)):
        first = replace(job, config=compose_config(["task=stock", *words]))
        with open_executor(first, 1, lambda _: WorkResponse(), lambda: 1e6) as chosen:
            assert type(chosen) is kind
    for what, little in (("free_memory", 0.0), ("cores", 1)):
        with monkeypatch.context() as scarce:
            scarce.setattr(side_by_side, what, lambda little=little: little)
            assert not pays("cpu", lambda: 1e6)


def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path) -> None:
    root, other = tmp_path / "killed" / "runs", tmp_path / "undisturbed" / "runs"
    fresh(root)
    fresh(other)
    with killer(root, "upgraded seed=0", 1) as killed:
        code, said = train(root, *LONG, *LOCAL, "twin=false", "seed=0,1", sweep=True)
    assert len(killed) == 1 and code == 0, said
    assert "upgraded seed=0: killed by SIGKILL; it is tried once more" in " ".join(said.split())
    assert set(statuses(root).values()) == {"FINISHED"} and len(statuses(root)) == 2
    train(other, *LONG, "seed=0", "twin=false")
    assert kept(root)["upgraded seed=0"] == kept(other)["upgraded seed=0"]


@pytest.mark.long
def test_a_worker_killed_twice_is_a_failure_and_the_rest_go_on(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    fresh(root)
    with killer(root, "upgraded seed=0", 2) as killed:
        code, said = train(root, *LONG, *LOCAL, "seed=0", sweep=True)
    told = " ".join(said.split())
    assert len(killed) == 2 and code == 1
    assert (
        "failed upgraded seed=0: WorkerDied: its worker died 2 times, now killed by SIGKILL" in told
    )
    found = statuses(root)
    assert found.pop("upgraded seed=0") == "FAILED" and found == {"traditional seed=0": "FINISHED"}
    (row,) = Store(root).rows(status="FAILED", task="stock", recipe="upgraded")
    assert "traceback.txt" in {a.path for a in Store(root).client.list_artifacts(row.run_id)}
    code, said = train(root, *LONG, *LOCAL, "seed=0")  # the same command goes on
    assert code == 0 and "run 1 of 1 done: upgraded seed=0" in said
    assert set(statuses(root).values()) == {"FINISHED"}


def test_an_exception_in_a_run_is_recorded_and_not_tried_again(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    words = ["twin=false", "data.start=2017"]
    key = make_pair([*small(*words), "seed=0"], Datasets(), None)[0].spec.key
    (root / key[:16] / "best.ckpt").mkdir(parents=True)  # its weights cannot be written
    code, said = train(root, *words, "seed=0,1", *LOCAL, sweep=True)
    assert code == 1 and statuses(root) == {
        "upgraded seed=0": "FAILED",
        "upgraded seed=1": "FINISHED",
    }
    assert said.count("failed upgraded seed=0: ") == 1 and "tried once more" not in said


@pytest.mark.long
def test_the_end_of_the_driver_is_the_end_of_its_workers(tmp_path: Path) -> None:
    words = ["-m", "seed=0,1", "trainer.max_epochs=400", "data.start=2016", *LOCAL]
    drivers = {
        how: start(tmp_path / how.name / "runs", *words) for how in (signal.SIGINT, signal.SIGKILL)
    }
    workers: list[int] = []
    for how in drivers:
        root = tmp_path / how.name / "runs"
        wait_for(
            lambda root=root: len(owners(root)) == 2 and len(list(root.glob("*/last.ckpt"))) == 2,
            200,
            "two runs at once",
        )
        workers += [pid for pid, _ in owners(root).values()]
    assert len({*workers, *(driver.pid for driver in drivers.values())}) == 6
    for how, driver in drivers.items():
        os.killpg(driver.pid, how)  # as a terminal does it: to the driver and all in its group
    said = {how: driver.communicate(timeout=60)[0] for how, driver in drivers.items()}
    assert [driver.returncode for driver in drivers.values()] == [130, -9], said
    assert (
        "the same command goes on" in said[signal.SIGINT] and "Traceback" not in said[signal.SIGINT]
    )
    wait_for(lambda: not any(map(alive, workers)), 20, "the workers' end")
    for how in drivers:
        root = tmp_path / how.name / "runs"
        wait_for(lambda root=root: not Store(root).rows(status="RUNNING"), 60, "true statuses")
        assert set(statuses(root).values()) == {"KILLED"} and not owners(root)


def start(root: Path, *words: str) -> subprocess.Popen[str]:
    """`upgate train` in a process group of its own."""
    fresh(root)
    command = [sys.executable, "-m", "upgate.cli", "train", *small(*words), *places(root)]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


@pytest.mark.long
def test_a_killed_server_of_forks_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that live go on; one that dies loses its run, and the next gets a new process."""
    monkeypatch.setattr("upgate.execution.local.serve", echo)
    monkeypatch.setattr("upgate.execution.local.preload", list)
    slots = [Slot(1, {}) for _ in range(3)]
    server = forkserver._forkserver  # type: ignore[attr-defined]
    try:
        pids = [slot.exchange({})["pid"] for slot in slots[:2]]
        os.kill(server._forkserver_pid, signal.SIGKILL)
        assert [slot.exchange({})["pid"] for slot in slots[:2]] == pids
        assert slots[2].exchange({})["pid"] not in pids  # started at once, by a new server
        os.kill(server._forkserver_pid, signal.SIGKILL)
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(WorkerDied):
            slots[0].exchange({})
        assert slots[0].exchange({})["pid"] not in pids
    finally:
        for slot in slots:
            slot.end()


def test_a_worker_that_cannot_be_started_is_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", refuse)
    with pytest.raises(WorkerDied, match="it was not started"):
        Slot(1, {}).exchange({})


@pytest.mark.long
def test_a_second_ctrl_c_ends_the_command_in_two_seconds(tmp_path: Path) -> None:
    """Its workers are stopped, so that they cannot answer the first one."""
    root = tmp_path / "runs"
    driver = start(root, "-m", "seed=0,1", "trainer.max_epochs=400", "data.start=2016", *LOCAL)
    ready = "two runs at once"
    wait_for(lambda: len(owners(root)) == 2 and len(list(root.glob("*/last.ckpt"))), 200, ready)
    workers = [pid for pid, _ in owners(root).values()]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    time.sleep(1)
    assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    since = time.monotonic()
    assert driver.wait(20) == 130 and time.monotonic() - since < 2
    assert "Traceback" not in driver.communicate()[0]
    wait_for(lambda: not any(map(alive, workers)), 5, "the workers' end")
    wait_for(lambda: not Store(root).rows(status="RUNNING"), 60, "true statuses")
    assert {row.status for row in Store(root).rows()} == {"KILLED"}


@pytest.mark.parametrize("opened", [True, False])
def test_workers_load_what_the_command_has_loaded(
    opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow.tracking", "upgate.tasks.sentiment.task"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        if opened:
            monkeypatch.setitem(sys.modules, name, sys)
        assert (name in preload()) == opened
    assert "upgate.execution.worker" in preload()
