"""The driver and what it needs: the order of runs, deaths and failures told by a stand-in for
processes; tables by their hash.
"""

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from helpers.files import DAMAGES
from helpers.run import places, small
from helpers.store import fresh
from upgate.data.prices.sources import load_prices
from upgate.data.prices.table import Prices
from upgate.data.reviews.sources import load_reviews
from upgate.errors import UserError
from upgate.execution.driver import execute
from upgate.execution.executor import Executor, check_executor
from upgate.execution.local import gpus, most_workers, slot_environments
from upgate.execution.work import Interrupted, WorkerDied, WorkRequest, WorkResponse
from upgate.experiment.jobs import make_pair
from upgate.experiment.progress import RunProgress, TimedProgress
from upgate.run.datasets import Datasets
from upgate.run.job import Job, make_result
from upgate.run.table_cache import TableCache, pack
from upgate.store.store import Store

Answer = Callable[[WorkRequest], WorkResponse]


class Stub(Executor):
    """Slots that answer as told, in threads; it counts how many are at work at once."""

    def __init__(self, slots: int, answer: Answer) -> None:
        self._slots, self.answer = slots, answer
        self.pool, self.lock = ThreadPoolExecutor(slots), threading.Lock()
        self.order: list[str] = []
        self.twins: dict[str, Any] = {}
        self.now = self.most = 0
        self.cancelled = False

    @property
    def slots(self) -> int:
        return self._slots

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        """A request and its response travel as plain dicts, as they do between processes."""
        sent = WorkRequest.from_dict(request.to_dict())
        assert sent.to_dict() == request.to_dict()
        self.order.append(sent.job.name)
        self.twins[sent.job.name] = sent.twin
        return self.pool.submit(self.do, sent)

    def do(self, request: WorkRequest) -> WorkResponse:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return WorkResponse.from_dict(self.answer(request).to_dict())
        finally:
            with self.lock:
                self.now -= 1

    def cancel(self) -> None:
        self.cancelled = True
        self.pool.shutdown()


def fine(request: WorkRequest) -> WorkResponse:
    job = request.job
    metrics = {"test/mse_ratio": 1.0 + job.spec.seed}
    return WorkResponse(make_result(job, "", Path(request.root), "FINISHED", metrics))


@pytest.fixture(scope="module")
def library() -> Datasets:
    return Datasets()


@pytest.fixture
def pairs(tmp_path: Path, library: Datasets) -> Callable[[int], list[Job]]:
    """Runs and their twins over so many seeds, each twin before its run."""
    run, twin = make_pair([*small(), *places(tmp_path / "runs")], library, None)
    assert twin is not None

    def make(seeds: int) -> list[Job]:
        found = []
        for seed in range(seeds):
            ours, theirs = (replace(job, spec=replace(job.spec, seed=seed)) for job in (run, twin))
            found += [theirs, replace(ours, twin=theirs.spec.key)]
        return found

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return fresh(tmp_path / "runs")


def go(
    jobs: list[Job], library: Datasets, store: Store, executor: Executor, **more: Any
) -> tuple[list[Any], str]:
    console = Console(file=io.StringIO(), width=300)
    with store.parent("stock", "sweep", "f" * 64, {}) as parent:
        progress = RunProgress(console, str(len(jobs)))
        found = execute(
            jobs, library.fetch, store, parent, console, progress, executor=executor, **more
        )
    return found, console.file.getvalue()  # type: ignore[attr-defined]


def test_results_come_in_the_order_of_jobs_and_twins_go_first(
    pairs: Any, library: Datasets, store: Store
) -> None:
    def answer(request: WorkRequest) -> WorkResponse:
        time.sleep(0.01 * (5 - request.job.spec.seed))  # the last ones are the fastest
        return fine(request)

    jobs, stub = pairs(5), Stub(4, answer)
    found, said = go(jobs, library, store, stub)
    assert [result.name for result in found] == [job.name for job in jobs]
    assert stub.most <= 4 and len(stub.order) == 10
    for seed in range(5):
        assert stub.order.index(f"traditional seed={seed}") < stub.order.index(
            f"upgraded seed={seed}"
        )
        assert stub.twins[f"upgraded seed={seed}"].metrics == {"test/mse_ratio": 1.0 + seed}
        assert f"done: upgraded seed={seed}" in said
    assert stub.twins["traditional seed=0"] is None


def test_an_idle_slot_trains_a_run_beside_its_twin_and_a_busy_one_does_not(
    pairs: Any, library: Datasets, store: Store
) -> None:
    class Ahead(Stub):
        ahead = True

    def answer(request: WorkRequest) -> WorkResponse:
        time.sleep(0.2 if request.job.recipe == "traditional" else 0.0)  # the run ends first
        return fine(request)

    lone, many = Ahead(2, answer), Ahead(2, answer)
    _, run = found = go(pairs(1), library, store, lone)[0]
    assert lone.most == 2 and lone.twins["upgraded seed=0"] is None
    assert run.twin and run.twin.key == found[0].key
    assert run.difference == {"test/mse_ratio": 0.0}
    go(pairs(3), library, fresh(store.root.parent / "others"), many)
    assert many.order[:2] == ["traditional seed=0", "traditional seed=1"]


def test_a_worker_that_dies_once_costs_nothing_and_twice_its_own_run(
    pairs: Any, library: Datasets, store: Store
) -> None:
    deaths: dict[str, int] = {}

    def answer(request: WorkRequest) -> WorkResponse:
        job = request.job
        deaths[job.name] = deaths.get(job.name, 0) + 1
        if job.name == "upgraded seed=1" or (
            job.name == "traditional seed=0" and deaths[job.name] == 1
        ):
            raise WorkerDied("killed by SIGKILL")
        return fine(request)

    found, said = go(pairs(2), library, store, Stub(2, answer))
    status = {result.name: result.status for result in found}
    assert status == {"traditional seed=0": "FINISHED", "upgraded seed=0": "FINISHED"} | {
        "traditional seed=1": "FINISHED",
        "upgraded seed=1": "FAILED",
    }
    assert (deaths["traditional seed=0"], deaths["upgraded seed=1"]) == (2, 2)
    assert "traditional seed=0: killed by SIGKILL; it is tried once more" in said
    assert (
        "failed upgraded seed=1: WorkerDied: its worker died 2 times, now killed by SIGKILL" in said
    )


def test_three_failures_of_a_kind_stop_the_rest(
    pairs: Any, library: Datasets, store: Store
) -> None:
    def answer(request: WorkRequest) -> WorkResponse:
        folder = Path(request.root)
        return WorkResponse(
            make_result(request.job, "", folder, "FAILED", {}, error="ValueError: no")
        )

    stub = Stub(2, answer)
    found, said = go(pairs(20), library, store, stub)
    assert 3 <= len(found) == len(stub.order) <= 4 and "3 runs failed with ValueError" in said
    found, said = go(
        pairs(3), library, store, Stub(2, answer), tolerant=True
    )  # a search: a trial of three folds costs itself only
    assert len(found) == 6 and "so this stops here" not in said


def test_what_a_worker_refuses_ends_the_command_with_its_sentence(
    pairs: Any, library: Datasets, store: Store
) -> None:
    stub = Stub(2, lambda request: WorkResponse(refusal="the data cannot be read"))
    with pytest.raises(UserError, match="the data cannot be read"):
        go(pairs(3), library, store, stub)
    assert stub.cancelled


def test_ctrl_c_cancels_the_executor(pairs: Any, library: Datasets, store: Store) -> None:
    stub = Stub(2, lambda request: WorkResponse(interrupted=True))
    with pytest.raises(Interrupted):
        go(pairs(3), library, store, stub)
    assert stub.cancelled


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_run_of_another_command_is_waited_for_and_the_rest_goes_first(
    is_seen: bool, pairs: Any, library: Datasets, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two share a twin. Not seen: both began at once, and only the worker finds out."""
    monkeypatch.setattr("upgate.execution.driver.PAUSE", 0.01)
    jobs = pairs(2)
    (twin, run), kind = jobs[:2], {"upgate.task": "stock"}
    other = [store.run("stock", twin.name, twin.spec.key, {}, kind, None, True)] if is_seen else []

    def answer(request: WorkRequest) -> WorkResponse:
        job = request.job
        if job.name == twin.name:
            assert not other  # it is asked for once, where nobody was seen
            other.append(store.run("stock", job.name, job.spec.key, {}, kind, None, True))
            return WorkResponse(busy="going on already")
        if job.name == jobs[3].name:  # the last of the rest
            other[0].log({"test/mse_ratio": 0.5})
            other[0].finish("FINISHED")
        return fine(request)

    stub = Stub(1, answer)
    found, said = go(jobs, library, store, stub)
    assert stub.order[-3:] == [jobs[2].name, jobs[3].name, run.name]
    assert [result.status for result in found] == ["FINISHED"] * 4
    assert found[0].run_id == other[0].id and stub.twins[run.name].metrics == {
        "test/mse_ratio": 0.5
    }
    assert said.count(f"waiting {twin.name}: another command is training it") == 1


def test_what_another_command_leaves_undone_is_trained(
    pairs: Any, library: Datasets, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upgate.execution.driver.PAUSE", 0.01)
    jobs = pairs(1)
    other = store.run("stock", jobs[0].name, jobs[0].spec.key, {}, {}, None, True)
    threading.Timer(0.3, other.finish, ["KILLED"]).start()
    stub = Stub(2, fine)
    found, said = go(jobs, library, store, stub)
    assert [result.status for result in found] == ["FINISHED"] * 2 and len(stub.order) == 2
    assert said.count("waiting") == 1


def test_the_driver_spends_little_on_each_run(pairs: Any, library: Datasets, store: Store) -> None:
    jobs = pairs(250)
    before = time.process_time()
    found, _ = go(jobs, library, store, Stub(4, fine))
    assert len(found) == 500 and (time.process_time() - before) / 500 < 0.05


def test_time_left_counts_runs_that_overlap(pairs: Any) -> None:
    jobs, now = pairs(4), [0.0]
    console, stub = Console(file=io.StringIO(), width=200), Stub(2, fine)
    progress = TimedProgress(console, {job.spec.key: 10.0 for job in jobs}, lambda: now[0])
    left = progress.seconds_left
    assert left(2) == 40 and left(1) == 80 and left(100) == 10
    progress.on_run_start(jobs[0], stub)
    progress.on_run_start(jobs[1], stub)
    now[0] = 20.0
    result = make_result(jobs[0], "", Path(), "FINISHED", {})
    progress.on_run_end(
        jobs[0], result, stub
    )  # it took twice as long as expected; the other one should end now
    assert left(2) == 60
    assert (
        f"run 1 of 8 done: {jobs[0].name}, 20 seconds; about 60 seconds left"
        in console.file.getvalue()
    )  # type: ignore[attr-defined]


def test_processes_that_log_the_same_new_dataset_at_once_both_get_through(store: Store) -> None:
    together = threading.Barrier(4)

    def log(word: str) -> bool:
        with Store(store.root).run("stock", word, word * 64, {}, {}, None, True) as run:
            delivered = True
            for i in range(10):
                together.wait()
                run.dataset("prices", f"{i}", "somewhere", "training", {})
                delivered = run.flush() and delivered
        return delivered

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(log, "abcd"))
    assert {row.status for row in store.rows()} == {"FINISHED"}


TABLES: dict[str, Callable[[], Any]] = {
    "prices": lambda: load_prices({"source": "sp500", "start": "2015"}),
    "reviews": lambda: load_reviews(
        {"source": "reviews", "language": "both", "train": 60, "test": 20, "noise": 0.05, "seed": 0}
    ),
}


@pytest.mark.parametrize("made", TABLES)
@pytest.mark.parametrize("scheme", ["", "file://", "memory:/"])
def test_a_table_comes_back_as_it_was(made: str, scheme: str, tmp_path: Path) -> None:
    table = TABLES[made]()
    shelf = TableCache.at(f"{scheme}{tmp_path}/a b")
    shelf.save(table)
    shelf.save(table)
    again = TableCache(shelf.location).load(table.hash(), type(table))
    pd.testing.assert_frame_equal(again.table, table.table)  # type: ignore[attr-defined]
    assert {**vars(again), "table": 0} == {**vars(table), "table": 0}
    assert (shelf.folder is None) == (scheme == "memory:/")
    assert all(path.suffix == ".sha256" for path in tmp_path.glob("**/.*"))  # no partial file


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_table_is_written_again(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, shelf = load_prices({"source": "sp500", "start": "2018"}), TableCache.at(str(tmp_path))
    shelf.save(table)
    damage(Path(shelf.path(table.hash())))
    for _ in range(2):
        shelf.save(table)
        pd.testing.assert_frame_equal(shelf.load(table.hash(), Prices).table, table.table)
        assert caplog.text.count("it is made again") == 1


def test_other_data_under_the_name_are_refused(tmp_path: Path) -> None:
    one, other = (
        load_prices({"source": "sp500", "start": "2017"}),
        load_prices({"source": "sp500", "start": "2018"}),
    )
    shelf = TableCache.at(str(tmp_path))
    with pytest.raises(
        UserError,
        match=r"cannot be read from .* cache=\.\.\. must be a folder that all machines share",
    ):
        shelf.load(one.hash(), type(one))
    shelf.save(one)
    Path(shelf.path(one.hash())).write_bytes(pack(other))
    with pytest.raises(UserError, match="holds other data than its name says"):
        shelf.load(one.hash(), type(one))
    Path(shelf.path(one.hash())).write_bytes(pack(other)[:999])
    with pytest.raises(UserError, match="cannot be read from"):
        shelf.load(one.hash(), type(one))


@pytest.mark.parametrize("cache", ["nowhere://bucket/x", "s3://bucket/x", "/proc/nothing"])
def test_a_cache_that_cannot_be_is_one_sentence(cache: str) -> None:
    prices: Prices = load_prices({"source": "sp500", "start": "2018"})
    if cache.startswith("s3") and find_spec("s3fs"):
        pytest.skip("s3fs is installed, and would ask a server")
    with pytest.raises(UserError, match="cannot be written to") as error:
        TableCache.at(cache).save(prices)
    assert "\n" not in str(error.value)


def test_workers_are_as_many_as_cores_and_memory_hold() -> None:
    assert most_workers(8, 1, 1e12, 1e9) == 8
    assert most_workers(8, 3, 1e12, 1e9) == 2
    assert most_workers(2, 4, 1e12, 1e9) == 1
    assert most_workers(64, 1, 5.5e9, 1e9) == 5
    assert most_workers(64, 1, 0.5e9, 1e9) == 1


def test_each_gpu_has_one_run() -> None:
    assert slot_environments(3, []) == [{}, {}, {}]
    assert slot_environments(4, ["0", "1"]) == [
        {"CUDA_VISIBLE_DEVICES": "0"},
        {"CUDA_VISIBLE_DEVICES": "1"},
    ]
    assert slot_environments(1, ["0", "1"]) == [{"CUDA_VISIBLE_DEVICES": "0"}]
    assert gpus({"CUDA_VISIBLE_DEVICES": "3, GPU-8932f937"}) == ["3", "GPU-8932f937"]
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["executor=loca"], "did you mean 'local'?"),
        (["executor=local", "executor.workers=0"], "executor.workers=0 must be 1 or more"),
        (
            ["executor=inline", "executor.workers=2"],
            "workers belongs to executor=local and executor=ray",
        ),
        (["executor=local", "trainer.devices=[0]"], "executor=local gives each run its own"),
        (["executor=ray", "executor.gpus=-1"], "executor.gpus=-1 must be 0 or more"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    words: list[str], told: str, library: Datasets
) -> None:
    with pytest.raises(UserError) as error:
        make_pair(small(*words), library, None)
    assert told in str(error.value)


def test_an_executor_is_no_part_of_a_run(library: Datasets) -> None:
    keys = {
        make_pair(small(f"executor={name}", "data.start=2017"), library, None)[0].spec.key
        for name in ("inline", "local", "ray", "launcher")
    }
    assert len(keys) == 1
    assert check_executor({"name": "local", "workers": 3}, {"devices": 1}).workers == 3
