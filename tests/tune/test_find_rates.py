"""optimizer.lr=auto with real runs: done once, on validation data, and part of the run's key."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from helpers.run import places, small
from upgate import cli
from upgate.cli.train import train_command
from upgate.errors import UserError
from upgate.experiment.jobs import make_job
from upgate.run.datasets import Datasets
from upgate.store.record import Row
from upgate.store.store import Store

SMALL = ["data.start=2016", "trainer.max_epochs=2", "twin=false"]


def train(root: Path, *words: str, multirun: bool = False) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=200)
    code = train_command(small(*SMALL, *words, *places(root)), multirun, None, console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def runs(root: Path) -> dict[str, Row]:
    return {row.key: row for row in Store(root).rows() if not row.is_parent}


def found_rate(row: Row) -> str:
    return row.params["optimizer.lr"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("rates") / "runs"
    words = ["optimizer=sgd,adam", "seed=0,1", "optimizer.lr=auto"]
    code, said = train(root, *words, multirun=True)
    assert code == 0
    return root, said


def test_each_optimizer_is_searched_once_with_equal_effort(sweep: tuple[Path, str]) -> None:
    root, said = sweep
    trials = [row for row in runs(root).values() if row.tags["upgate.role"] == "rate"]
    by_optimizer = {
        name: [row for row in trials if row.params["optimizer"] == name] for name in ("sgd", "adam")
    }
    assert "for 2 recipes with equal effort" in said and "validation data only, seed 100" in said
    for name, rows in by_optimizer.items():
        short = {found_rate(row) for row in rows if row.params["trainer.max_epochs"] == "1"}
        full = {found_rate(row) for row in rows if row.params["trainer.max_epochs"] == "2"}
        assert len(short) in (5, 7) and len(full) == 2 and full < short, name
        assert {row.params["seed"] for row in rows} == {"100"}
        assert {row.params["split.name"] for row in rows} == {"development"}
    evaluated = [row for row in runs(root).values() if row.tags["upgate.role"] == "run"]
    assert len(evaluated) == 4
    for row in evaluated:
        rates = [found_rate(other) for other in by_optimizer[row.params["optimizer"]]]
        assert found_rate(row) in rates
        record = json.loads(row.tags["upgate.rate_search"])
        assert str(record["rate"]) == found_rate(row) and record["seed"] == 100
        best = min((t for t in record["trials"] if t["share"] == 1), key=lambda t: t["score"])
        assert best["rate"] == record["rate"]


def test_a_run_with_the_found_rate_written_out_is_the_same_run(sweep: tuple[Path, str]) -> None:
    root, _ = sweep
    before = runs(root)
    (row,) = (
        row
        for row in before.values()
        if row.params["optimizer"] == "sgd"
        and row.params["seed"] == "1"
        and row.tags["upgate.role"] == "run"
    )
    written = ["optimizer=sgd", f"optimizer.lr={found_rate(row)}", "seed=1"]
    job = make_job(small(*SMALL, *written, *places(root)), Datasets(), None)
    assert job.spec.key == row.key
    code, said = train(root, "optimizer=sgd", "optimizer.lr=auto", "seed=1")
    assert code == 0 and "1 of them known from the store" in said
    assert {key: row.run_id for key, row in runs(root).items()} == {
        key: row.run_id for key, row in before.items()
    }


def test_where_no_rate_trains_it_says_so(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    words = ["optimizer=sgd", "optimizer.lr=auto", "task.target=level", "clip=none"]
    words += ["regularization=[l2]", "regularization.l2.lam=1e30", "batch_size=8"]
    with pytest.raises(UserError, match=r"no learning rate from .* to .* trains, all runs"):
        train(root, *words)


def test_it_is_no_number_for_a_search_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tune", "optimizer.lr=auto", f"root={tmp_path / 'runs'}"]) == 2
    assert "tune.only=[optimizer.lr]" in capsys.readouterr().err
