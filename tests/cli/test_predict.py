"""What people do with a stored run: list it, forecast with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from helpers.report import outline
from helpers.run import train
from upgate.cli.entry import main
from upgate.cli.predict import write_csv
from upgate.data.prices.features import Panel
from upgate.data.prices.sources import load_prices
from upgate.errors import UserError
from upgate.run.checkpoint import load_checkpoint
from upgate.store.store import Store
from upgate.tasks.registry import get_task
from upgate.tasks.stock import explained
from upgate.tasks.stock.explain import explain_forecasts, find_differences
from upgate.tasks.stock.explained import DATES


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("use") / "runs"
    for words in (
        ("task.target=return",),
        ("task.target=level",),
        ("task.target=volatility", "recipe=traditional", "twin=false"),
    ):
        code, _ = train(root, *words, "trainer.max_epochs=1")
        assert code == 0
    return root


def listed(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict]:
    assert main(["runs", f"root={root}", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_runs_lists_what_the_folders_hold(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = listed(root, capsys)
    assert len(runs) == 5
    assert [run["start"] for run in runs] == sorted((run["start"] for run in runs), reverse=True)
    for run in runs:
        written = json.loads((Path(run["folder"]) / "result.json").read_text())
        assert written["metrics"]["test/mse_ratio"] == run["metrics"]["test/mse_ratio"]
        assert written["difference"] == run["difference"]
    assert {run["recipe"] for run in listed(root, capsys, "recipe=upgraded")} == {"upgraded"}
    assert listed(root, capsys, "status=failed") == listed(root, capsys, "task=sentiment") == []


def test_runs_as_a_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", f"root={root}"]) == 0
    said = capsys.readouterr().out
    assert "5 runs" in said and "upgraded" in said and "volatility" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["runs", "root=nowhere"], "there is no store at nowhere"),
        (["runs", "stauts=FAILED"], "did you mean 'status'"),
        (["predict", "run=zzzz"], "run=zzzz is not a finished run"),
        (["predict", "optimizer=adam"], "unknown key optimizer"),
        (["predict", "out=nowhere/f.csv"], "there is no folder nowhere"),
        (["report", "run=latest"], "has no twin to differ from"),
        (["report", "run=latest", "tune=latest"], "one page is of one thing"),
        (["predict", "interval=0.99"], "interval=0.99 is not stored with a run; take one of 0.8,"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    words: list[str], told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words if any(w.startswith("root=") for w in words) else [*words, f"root={root}"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


@pytest.mark.parametrize("target", ["return", "level"])
def test_predict_forecasts_what_was_scored(target: str, root: Path, tmp_path: Path) -> None:
    """With the history cut at a test day, the next-day forecast is the one that the run was scored
    by on that day.
    """
    run = next(r for r in results_with(root, "upgraded") if r["target"] == target)
    stored = pd.read_parquet(Path(run["folder"]) / "forecasts.parquet")
    day = stored["date"].iloc[len(stored) // 2]
    table = load_prices({"source": "sp500", "start": 2014, "end": None, "bad": "refuse"}).table
    table[table["date"] <= day].to_csv(tmp_path / "until.csv", index=False)
    out = tmp_path / "next.csv"
    assert (
        main(
            [
                "predict",
                f"root={root}",
                f"run={run['key'][:12]}",
                f"data.path={tmp_path / 'until.csv'}",
                f"out={out}",
            ]
        )
        == 0
    )
    told, scored = pd.read_csv(out).iloc[0], stored[stored["date"] == day].iloc[0]
    assert told["last_day"] == f"{day:%Y-%m-%d}" and told["days_ahead"] == 1
    assert told[target] == pytest.approx(scored["forecast"], rel=1e-5)
    assert told["price"] == pytest.approx(scored["price_forecast"], rel=1e-6)


@pytest.mark.parametrize("target", ["return", "level"])
def test_the_days_shares_and_the_references_make_the_stored_forecast(
    target: str, root: Path, tmp_path: Path
) -> None:
    run = next(r for r in results_with(root, "upgraded") if r["target"] == target)
    folders = [root / key[:16] for key in (run["key"], run["twin"]["key"])]
    first, second = (pd.read_parquet(folder / "forecasts.parquet") for folder in folders)
    kept = [load_checkpoint(folder / "best.ckpt") for folder in folders]
    prices = load_prices({"source": "sp500", "start": 2014, "end": None, "bad": "refuse"})
    panel, scaling = Panel.of(prices.table), kept[0]["hyper_parameters"]["scaling"]
    differing = find_differences(first, second, panel, scaling, 10, 4)
    gap = (first["forecast"] - second["forecast"]).abs()
    largest = differing.iloc[0]
    assert abs(largest["run"] - largest["twin"]) == pytest.approx(gap.max())
    between = np.diff(np.sort(panel.date[differing["row"].to_numpy(copy=True)]))
    assert len(differing) == 4 and between.min() >= 10
    for one in explain_forecasts(differing, panel, *kept):
        assert one.days[-1] == one.about["date"] and len(one.days) == 10
        drift = first.loc[first["date"] == one.about["date"], "drift"].item()
        for name, account in (("run", one.run), ("twin", one.twin)):
            unit = abs(account.shares).max()
            assert account.total == pytest.approx(one.about[name], abs=1e-5 * abs(drift))
            assert account.shares.shape == (10, len(one.features)) and abs(account.gap) < unit
            if target == "return":
                assert account.reference == pytest.approx(drift, rel=1e-5)
    out = tmp_path / "run.html"
    words = ["report", f"run={run['key'][:12]}", f"root={root}", f"out={out}"]
    for language in ("en", "zh"):
        assert main([*words, f"report.language={language}"]) == 0
        assert [tag for tag, _ in outline(out.read_text()).tags].count("svg") == 2 * DATES


def test_a_run_whose_prices_have_changed_is_not_explained(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = load_prices({"source": "sp500", "start": 2015, "end": None, "bad": "refuse"})
    monkeypatch.setattr(explained, "load_prices", lambda _: other)
    run = results_with(root, "upgraded")[0]
    assert main(["report", f"run={run['key'][:12]}", f"root={root}"]) == 2
    assert "no longer those that the run was trained on" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["return", "level", "volatility"])
def test_the_interval_is_that_of_the_validation_part(
    target: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stored radii are ranked errors of the kept weights, the measured coverage a count of the
    stored forecasts, and a prediction lies in its interval.
    """
    run = next(r for r in results_with(root) if r["target"] == target)
    folder = Path(run["folder"])
    kept = torch.load(folder / "best.ckpt", weights_only=True)
    spec, scaling = kept["hyper_parameters"]["spec"], kept["hyper_parameters"]["scaling"]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    task = get_task("stock")
    data = task.datamodule(load_prices(config["data"]), spec["task"], spec["split"], 0, config)
    data = data.with_batching(1, 0, "skip" in spec["model"])
    module = task.module(spec, data).eval()
    module.load_state_dict(kept["state_dict"])
    with torch.inference_mode():
        errors = torch.cat([(b["y"] - module(b)).abs() for b in data.part("validation")])
    ranked, n = errors.sort().values, len(errors)
    unit = scaling["y"]["tickers"]["SP500"]["scale"][0]
    stored = pd.read_parquet(folder / "forecasts.parquet")
    error = (stored["truth"] - stored["forecast"]).abs()
    for percent, radius in kept["finish"]["radii"].items():
        rank = -((n + 1) * int(percent) // -100)
        assert radius == pytest.approx(float(ranked[rank - 1]), rel=1e-5)
        assert run["metrics"][f"test/coverage_{percent}"] == (error <= radius * unit).mean()
        assert run["metrics"][f"test/width_{percent}"] == pytest.approx(2 * radius * unit)
    words = ["predict", f"root={root}", f"run={run['key'][:12]}", f"out={tmp_path / 'next.csv'}"]
    assert main([*words, "interval=0.95"]) == 0
    told = pd.read_csv(tmp_path / "next.csv").iloc[0]
    point = "volatility" if target == "volatility" else "price"
    assert told["low_95"] < told[point] < told["high_95"]
    held = run["metrics"]["test/coverage_95"]
    assert f"its 95% intervals held {held:.1%} of it" in capsys.readouterr().err
    assert main(words) == 0
    narrow = pd.read_csv(tmp_path / "next.csv").iloc[0]
    assert told["low_95"] < narrow["low_90"] < narrow["high_90"] < told["high_95"]


def test_a_run_without_stored_radii_predicts_without_an_interval_and_says_so(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = next(r for r in results_with(root) if r["target"] == "return")
    kept = torch.load(Path(run["folder"]) / "best.ckpt", weights_only=True)
    task, prices = get_task("stock"), tmp_path / "prices.csv"
    load_prices({"source": "sp500", "start": 2014, "end": None, "bad": "refuse"}).table.to_csv(
        prices, index=False
    )
    words = [f"data.path={prices}"]
    whole = task.predict(words, kept, Path)
    assert capsys.readouterr().err == ""
    del kept["finish"]
    bare = task.predict(words, kept, Path)
    assert capsys.readouterr().err.count("without a 90% interval") == 1
    assert bare.equals(whole.drop(columns=["low_90", "high_90"]))


def test_predict_latest_is_the_run_that_was_asked_for_not_its_twin(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", f"root={root}"]) == 0
    said = capsys.readouterr().out
    assert (
        "traditional" in said and "2018-12-31" in said and "volatility" in said
    )  # the last one was asked for itself
    assert np.isfinite(
        [
            float(word)
            for word in said.split()
            if word.replace(".", "").replace("-", "").isdigit() and "." in word
        ]
    ).all()


def results_with(root: Path, recipe: str = "") -> list[dict]:
    found = [json.loads(path.read_text()) for path in root.glob("*/result.json")]
    targets = {
        path.parent.name: yaml_target(path.parent / "config.yaml")
        for path in root.glob("*/result.json")
    }
    chosen = [run for run in found if recipe in ("", run["recipe"])]
    return [run | {"target": targets[run["key"][:16]]} for run in chosen]


def yaml_target(path: Path) -> str:
    return yaml.safe_load(path.read_text())["task"]["target"]


def test_a_csv_holds_no_formula_and_no_control_character(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "a\rb\x07c", "plain"]
    path = tmp_path / "out.csv"
    write_csv(pd.DataFrame({"text": texts, "value": -1.5}), path)
    written = pd.read_csv(path)
    assert written["text"].tolist() == [
        *("'=1+1", "'+1", "'-2", "'@SUM(A1)", "'\t=1", "a b c", "plain"),
    ]
    assert (written["value"] == -1.5).all()


class Evil:
    """Runs code where a reader unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_holds_code_or_is_cut_off_is_refused(tmp_path: Path) -> None:
    path, trace = tmp_path / "best.ckpt", tmp_path / "ran"
    torch.save({"state_dict": {}, "hyper_parameters": Evil(trace)}, path)
    with pytest.raises(UserError, match="is damaged"):
        load_checkpoint(path)
    assert not trace.exists()
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, path)
    for content in (path.read_bytes()[:1000], b"", b"zip", path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is damaged"):
            load_checkpoint(path)


def test_a_checkpoint_with_a_changed_bit_is_fetched_again_or_refused(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    copy = tmp_path / "runs"
    shutil.copytree(root, copy)
    (row, *_) = [one for one in Store(copy).rows() if one.tags.get("upgate.role") == "run"]
    kept = copy / row.key[:16] / "best.ckpt"
    whole = kept.read_bytes()
    words = ["predict", f"root={copy}", f"run={row.run_id}"]
    assert main(words) == 0
    forecast = capsys.readouterr().out
    for at in (len(whole) // 3, len(whole) // 2):
        kept.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert main(words) == 0
        assert capsys.readouterr().out == forecast and kept.read_bytes() == whole
        assert "it was fetched again" in caplog.text
        caplog.clear()
    kept.write_bytes(whole[:-1])
    stored = Path(Store(copy).client.get_run(row.run_id).info.artifact_uri) / "best.ckpt"
    before = stored.read_bytes()
    try:
        stored.write_bytes(whole[:-2])
        assert main(words) == 2
        assert "damaged here and in the store" in capsys.readouterr().err
    finally:
        stored.write_bytes(before)


@pytest.mark.parametrize("name", ["config.yaml", "best.ckpt"])
def test_a_folder_where_a_file_should_be_is_named(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row, *_) = [one for one in Store(root).rows() if one.tags.get("upgate.role") == "run"]
    kept = root / row.key[:16] / name
    kept.rename(aside := kept.with_name("aside"))
    try:
        kept.mkdir()
        assert main(["predict", f"root={root}", f"run={row.run_id}"]) == 2
        assert capsys.readouterr().err == (
            f"upgate: {kept}: Is a directory; a folder is where a file should be; move it away\n"
        )
    finally:
        kept.rmdir()
        aside.rename(kept)
