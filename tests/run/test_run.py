"""One run and its twin, end to end, on a real store."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from helpers.run import numbers, results, train
from upgate.errors import UserError
from upgate.store.store import Store

pytestmark = pytest.mark.pictures
NO_SKIP = "model.skip=none"  # beside a skip there is nothing to clip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A, then B, then A again in another store, all in one process."""
    root = tmp_path_factory.mktemp("first") / "runs"
    code, said = train(root, NO_SKIP)
    assert code == 0
    return root, said


@pytest.fixture(scope="module")
def runs(trained: tuple[Path, str]) -> dict[str, dict]:
    return results(trained[0])


def test_a_run_stands_beside_its_twin_and_the_references(
    trained: tuple[Path, str], runs: dict[str, dict]
) -> None:
    run, twin = runs["upgraded seed=0"], runs["traditional seed=0"]
    assert run["twin"]["key"] == twin["key"]
    for name, gap in run["difference"].items():
        assert gap == run["metrics"][name] - twin["metrics"][name]
    assert run["difference"]["test/mse_ratio"] != 0
    assert run["metrics"]["test/persistence/mse_ratio"] == pytest.approx(1)
    for word in (
        "upgraded seed=0",
        "twin, traditional",
        "difference",
        "persistence",
        "drift",
        "next, for a verdict on more seeds: ",
    ):
        assert word in trained[1]


def test_the_same_spec_gives_the_same_numbers_whatever_ran_before(
    runs: dict[str, dict], tmp_path: Path
) -> None:
    train(tmp_path / "b", "optimizer=rmsprop", "regularization=[dropout,l1]", "seed=5")
    train(tmp_path / "a", NO_SKIP)
    again = results(tmp_path / "a")
    for name in ("upgraded seed=0", "traditional seed=0"):
        assert numbers(again[name]) == numbers(runs[name])
        assert again[name]["key"] == runs[name]["key"]


def test_what_the_store_holds_is_not_trained_again(
    trained: tuple[Path, str], runs: dict[str, dict]
) -> None:
    root, _ = trained
    before = {row.run_id for row in Store(root).rows()}
    stamps = {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")}
    lost = root / runs["upgraded seed=0"]["key"][:16] / "forecast.png"
    lost.unlink()  # as after a Ctrl-C between the table and the pictures
    code, said = train(root, NO_SKIP)
    assert code == 0
    assert lost.stat().st_size > 10_000
    assert {row.run_id for row in Store(root).rows()} == before  # the parent too is the same one
    assert {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")} == stamps
    assert numbers(results(root)["upgraded seed=0"]) == numbers(runs["upgraded seed=0"])
    assert "upgraded seed=0" in said


def test_the_store_tells_everything_about_a_run(
    trained: tuple[Path, str], runs: dict[str, dict]
) -> None:
    store, run = Store(trained[0]), runs["upgraded seed=0"]
    rows = {row.name: row for row in store.rows()}
    assert {row.status for row in rows.values()} == {"FINISHED"}
    row = rows["upgraded seed=0"]
    assert row.key == run["key"] and row.parent is not None
    assert (row.params["optimizer"], row.params["clip.max_norm"], row.params["task.target"]) == (
        "adamw",
        "1.0",
        "return",
    )
    assert row.metrics["test/mse_ratio"] == run["metrics"]["test/mse_ratio"]
    assert row.metrics["difference/test/mse_ratio"] == run["difference"]["test/mse_ratio"]
    assert 0 < row.metrics["engagement/clipped_share"] <= 1
    points = store.client.get_metric_history(row.run_id, "val/loss")
    assert [point.step for point in points] == [1, 2]
    names = {artifact.path for artifact in store.client.list_artifacts(row.run_id)}
    assert {
        "best.ckpt",
        "config.yaml",
        "forecast.png",
        "curves.png",
        "forecasts.parquet",
        "tickers.parquet",
    } <= names
    data = store.client.get_run(row.run_id).inputs.dataset_inputs[0].dataset
    assert row.tags["upgate.data"].startswith(data.digest)
    parent = next(r for r in rows.values() if r.is_parent)
    assert parent.run_id == row.parent
    assert parent.metrics["difference/test/mse_ratio"] == pytest.approx(
        run["difference"]["test/mse_ratio"]
    )
    assert "versions.json" in {
        artifact.path for artifact in store.client.list_artifacts(parent.run_id)
    }


def test_the_kept_checkpoint_is_plain_and_is_what_was_scored(
    trained: tuple[Path, str], runs: dict[str, dict]
) -> None:
    folder = trained[0] / runs["upgraded seed=0"]["key"][:16]
    kept = torch.load(folder / "best.ckpt", weights_only=True)
    assert kept["hyper_parameters"]["spec"]["seed"] == 0
    modes = [path.stat().st_mode & 0o777 for path in (trained[0], folder, folder / "best.ckpt")]
    assert modes == [0o700, 0o700, 0o600]
    forecasts = pd.read_parquet(folder / "forecasts.parquet")
    mse = ((forecasts["forecast"] - forecasts["truth"]) ** 2).mean()
    assert mse == pytest.approx(runs["upgraded seed=0"]["metrics"]["test/mse"], rel=1e-9)
    assert not (folder / "last.ckpt").exists()


def test_a_sweep_trains_each_twin_once_and_twins_of_themselves_differ_by_zero(
    tmp_path: Path,
) -> None:
    words = [
        "recipe=traditional,upgraded",
        "stopping=none,early",
        "seed=0,1",
        "trainer.max_epochs=1",
        "data.start=2017",
    ]
    code, said = train(tmp_path / "runs", *words, sweep=True)
    rows = [row for row in Store(tmp_path / "runs").rows() if not row.is_parent]
    assert code == 0 and "8 runs of 4 settings, means, ordered by validation MSE ratio" in " ".join(
        said.split()
    )
    assert "runs in this store that were evaluated on this test part: 8" in said
    assert len(rows) == 8  # the two twins are the two traditional runs without early stopping
    found = results(tmp_path / "runs")
    for seed in (0, 1):
        own = found[f"traditional stopping=none seed={seed}"]
        assert set(own["difference"].values()) == {0.0}
        assert (
            own["key"]
            == own["twin"]["key"]
            == found[f"upgraded stopping=early seed={seed}"]["twin"]["key"]
        )


def test_a_diverged_run_is_a_result(tmp_path: Path) -> None:
    words = ["recipe=traditional", "optimizer.lr=1e6", "trainer.max_epochs=4", "task.target=level"]
    code, said = train(tmp_path / "runs", *words)
    run = results(tmp_path / "runs")["traditional optimizer.lr=1e6 seed=0"]
    row = next(row for row in Store(tmp_path / "runs").rows() if row.key == run["key"])
    assert code == 0 and row.status == "FINISHED"
    assert run["diverged"] == (row.tags["upgate.diverged"] == "true")
    assert run["diverged"] or run["metrics"]["test/mse_ratio"] > 1e3
    assert "MSE ratio" in said or "diverged" in said


def test_a_failed_run_is_told_recorded_and_the_rest_go_on(
    tmp_path: Path, runs: dict[str, dict]
) -> None:
    root = tmp_path / "runs"
    (root / runs["upgraded seed=0"]["key"][:16] / "best.ckpt").mkdir(
        parents=True
    )  # its weights cannot be written
    code, said = train(root, NO_SKIP, "seed=0,1", sweep=True)
    rows = {row.name: row for row in Store(root).rows()}
    assert code == 1
    assert (
        rows["upgraded seed=0"].status == "FAILED" and rows["upgraded seed=1"].status == "FINISHED"
    )
    assert "traceback.txt" in {
        a.path for a in Store(root).client.list_artifacts(rows["upgraded seed=0"].run_id)
    }
    assert said.index("failed upgraded seed=0") < said.index("2 runs") < said.index("1 failed")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fold=1"], "fold=1"),
        (["task.target=retrun"], "task.target=retrun is not a choice, did you mean 'return'?"),
        (["model.pooling=lst"], "did you mean 'last'?"),
        (["clip.max_norm=-1"], "clip.max_norm=-1"),
        (["task.window=5000"], "window"),
        (["layerwise=independent"], "clip=norm"),
        (["task.features=[close_retrun]"], "did you mean 'close_return'?"),
        (["data=prices", "data.path=nowhere.csv"], "nowhere.csv"),
        (["trainer.precision=16"], "trainer.precision=16"),
        (["seed=-1"], "seed=-1"),
        (["split.gap=0"], "split.gap=0"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(
    words: list[str], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        train(tmp_path / "runs", *words)
    assert told in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_fast_dev_run_records_nothing(tmp_path: Path) -> None:
    code, said = train(tmp_path / "runs", "trainer.fast_dev_run=true")
    assert code == 0 and "nothing was recorded" in said
    assert not (tmp_path / "runs").exists()


def test_result_json_is_json(trained: tuple[Path, str]) -> None:
    for path in trained[0].glob("*/result.json"):
        json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_budget_that_ends_before_the_first_validation_is_judged(tmp_path: Path) -> None:
    code, _ = train(tmp_path / "runs", "trainer.max_steps=3", "twin=false")
    (run,) = results(tmp_path / "runs").values()
    assert code == 0 and not run["diverged"] and run["metrics"]["steps"] == 3
    assert 0 < run["metrics"]["test/mse_ratio"] < 10


def test_a_part_that_changed_nothing_is_told_loudly(tmp_path: Path) -> None:
    """nt_asgd cannot begin to average within two epochs, so it is plain sgd; a norm clip does
    engage.
    """
    words = ["optimizer=sgd,nt_asgd", "optimizer.lr=0.01", "twin=false"]
    code, said = train(tmp_path / "runs", *words, sweep=True)
    assert code == 0 and "optimizer=nt_asgd had no effect" in " ".join(said.split())
    _, said = train(
        tmp_path / "runs",
        "clip=none,norm",
        "model.skip=none",
        "trainer.max_epochs=1",
        "twin=false",
        sweep=True,
    )
    assert "no effect" not in said
