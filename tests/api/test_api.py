"""`upgate.train`, `study` and `predict` give what the commands of these names give."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import upgate
from helpers.run import numbers, results
from helpers.run import train as by_command
from upgate.data.prices.sources import load_sp500
from upgate.store.store import Store

SMALL: dict[str, Any] = {
    "task": {"name": "stock", "window": 10},
    "model": {"hidden_size": 4, "num_layers": 1},
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "limit_train_batches": 4},
    "threads": 1,
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return load_sp500(start="2016").table.set_index("date").drop(columns="ticker")


@pytest.fixture(scope="module")
def trained(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    root = tmp_path_factory.mktemp("api") / "runs"
    return root, upgate.train(
        frame, root=root, cache=str(root.parent / "prepared"), clip={"max_norm": 0.5}, **SMALL
    )


def test_a_frame_is_trained_on_as_a_file_is(trained: tuple[Path, Any], tmp_path: Path) -> None:
    (path,) = (trained[0] / "frames").rglob("*.parquet")
    words = ["task=stock", "task.window=10", "data=prices", f"data.path={path}"]
    words += ["model.hidden_size=4", "model.num_layers=1", "trainer.max_epochs=1"]
    words += ["trainer.limit_train_batches=4", "clip.max_norm=0.5"]
    code, _ = by_command(tmp_path / "runs", *words, "data.start=null")
    theirs, ours = results(tmp_path / "runs"), results(trained[0])
    assert code == 0 and {run["key"] for run in theirs.values()} == {
        run["key"] for run in ours.values()
    }
    for run in theirs.values():
        (own,) = [one for one in ours.values() if one["key"] == run["key"]]
        assert numbers(own) == numbers(run)


def test_the_result_shows_the_run_its_twin_and_their_difference(trained: tuple[Path, Any]) -> None:
    _, result = trained
    frame = result.frame.set_index("recipe")
    own, twin = frame.loc["upgraded"], frame.loc["traditional"]
    assert bool(twin["twin"]) and not own["twin"]
    (row,) = result.summary.to_dict("records")
    assert row["difference"] == own["test/mse_ratio"] - twin["test/mse_ratio"]
    assert row["difference"] == result.run.difference["test/mse_ratio"]
    assert len(result.table("forecasts")) > 50
    with pytest.raises(upgate.UserError, match=r"no table forecast; there is curve, forecasts"):
        result.table("forecast")
    assert "<table" in result._repr_html_() and "twin, traditional" in result.printed


def test_predictions_are_a_frame(trained: tuple[Path, Any], frame: pd.DataFrame) -> None:
    root, result = trained
    own = upgate.predict(root=root)
    assert own["last_day"].iloc[0] == frame.index[-1] and "low_90" in own
    earlier = upgate.predict(frame.iloc[:-5], run=result.run.key[:12], interval=0.8, root=root)
    assert earlier["last_day"].iloc[0] == frame.index[-6] and "low_80" in earlier


def test_a_run_is_registered_under_its_alias(frame: pd.DataFrame, trained: tuple) -> None:
    root, first = trained
    words: dict[str, Any] = {"root": root, "cache": str(root.parent / "prepared"), **SMALL}
    found = upgate.train(frame, promote="best", clip={"max_norm": 0.5}, **words)
    version = Store(root).client.get_model_version_by_alias("upgate-stock-return", "best")
    assert version.run_id == found.run.run_id == first.run.run_id and "best" in found.printed
    with pytest.raises(upgate.UserError, match="registers one run, and these words are 2"):
        upgate.train(frame, promote="best", sweep={"seed": range(2)}, **words)


def test_a_sweep_is_a_run_for_each_combination(frame: pd.DataFrame, trained: tuple) -> None:
    root, first = trained
    swept = upgate.train(
        frame,
        sweep={"clip.max_norm": [0.5], "seed": range(2)},
        twin=False,
        root=root,
        cache=str(root.parent / "prepared"),
        **SMALL,
    )
    assert [run.seed for run in swept.requested] == [0, 1]
    assert swept.requested[0].key == first.run.key  # not trained again
    with pytest.raises(upgate.UserError, match="there are 2 runs"):
        _ = swept.run


def test_a_study_answers_in_a_frame_and_a_sentence(frame: pd.DataFrame, tmp_path: Path) -> None:
    answer = upgate.study(
        frame,
        design="arms",
        arms=["traditional", "upgraded clip=none"],
        seeds=2,
        options={"aa": False, "zero": False, "rates": "given"},
        root=tmp_path / "runs",
        cache=str(tmp_path / "prepared"),
        **SMALL,
    )
    (verdict,) = answer.verdicts.to_dict("records")
    assert verdict["arm"] == "upgraded clip=none" and verdict["n"] == 2
    assert answer.sentence in answer.printed.replace("\n", " ") and "<p>" in answer._repr_html_()
    assert answer.sentence[:20] in answer.page(tmp_path / "report.html").read_text("utf-8")


def test_a_search_answers_in_frames_and_a_sentence(frame: pd.DataFrame, tmp_path: Path) -> None:
    answer = upgate.tune(
        frame,
        trials=2,
        space={"optimizer.lr": [1e-4, 1e-2, "log"], "clip.max_norm": None},
        options={"folds": 1, "top": 1, "top_seeds": 0, "only": ["optimizer.lr"]},
        root=tmp_path / "runs",
        cache=str(tmp_path / "prepared"),
        **SMALL,
    )
    (arm,) = answer.arms.to_dict("records")
    trials = answer.trials.set_index("trial")
    assert set(trials["state"]) == {"complete"} and 1e-4 <= trials["optimizer.lr"][1] <= 1e-2
    assert arm["validation_untuned"] == trials["validation"][0]
    assert arm["validation_tuned"] == trials["validation"].min() > 0 < arm["test_tuned"]
    assert answer.sentence in answer.printed.replace("\n", " ") and "<p>" in answer._repr_html_()
    assert answer.result.search.id in answer.page(tmp_path / "tune.html").read_text("utf-8")


def test_the_runs_of_a_store_are_a_frame(trained: tuple[Path, Any]) -> None:
    root, result = trained
    everything = upgate.runs(root=root)
    (own,) = upgate.runs({"clip.max_norm": 0.5, "seed": 0}, root=root).to_dict("records")
    assert own["key"] == result.run.key in set(everything["key"])
    assert own["test/mse_ratio"] == result.run.metrics["test/mse_ratio"]
    assert own["difference/test/mse_ratio"] == result.run.difference["test/mse_ratio"]
    with pytest.raises(upgate.UserError, match="did you mean 'adam'"):
        upgate.runs({"optimizer": "adamv"}, root=root)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"optimiser": "adam"}, "unknown key optimiser, did you mean 'optimizer'?"),
        ({"task": "stok"}, "did you mean 'stock'?"),
        ({"trainer": {"max_epoch": 1}}, "did you mean 'trainer.max_epochs'?"),
        ({"data": "no.csv"}, "no.csv"),
        ({"data": pd.DataFrame({"a": [1, "b"]})}, "the data frame cannot be stored"),
    ],
)
def test_wrong_keywords_are_named_and_nothing_is_made(
    words: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(upgate.UserError) as error:
        upgate.train(**words)
    assert said in str(error.value)
    assert not Store(tmp_path / "runs").rows()


def test_two_inputs_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(upgate.UserError, match="give one of them"):
        upgate.predict("a.csv", text="b", root=tmp_path)
