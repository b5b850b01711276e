"""Stores that other tools' usual code makes, judged, and checked against SciPy by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import upgate
from upgate import cli
from upgate.stats.two_way import two_way
from upgate.store.foreign import open_client, open_runs

# What a user of Lightning writes: two models, six seeds, one logger; the losses of each test row as
# a csv, the forecasts as `mlflow.log_table` writes them.
LIGHTNING = """
import csv, sys, warnings
warnings.simplefilter("ignore")
import lightning as L
import torch
from lightning.pytorch.loggers import MLFlowLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class Regression(L.LightningModule):
    def __init__(self, model: str, seed: int):
        super().__init__()
        self.save_hyperparameters()
        hidden = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
        self.net = hidden if model == "mlp" else nn.Linear(8, 1)
        self.rows = []

    def training_step(self, batch, _):
        x, y = batch
        loss = nn.functional.mse_loss(self.net(x)[:, 0], y)
        self.log("train_loss", loss)
        return loss

    def test_step(self, batch, _):
        x, y = batch
        forecast = self.net(x)[:, 0]
        self.log("test_mse", nn.functional.mse_loss(forecast, y))
        self.rows += zip(forecast.tolist(), y.tolist())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.02)

g = torch.Generator().manual_seed(0)
x = torch.randn(224, 8, generator=g)
y = torch.sin(2 * x[:, 0]) + 0.5 * x[:, 1] + 0.1 * torch.randn(224, generator=g)
train = DataLoader(TensorDataset(x[:192], y[:192]), 16, shuffle=True)
test = DataLoader(TensorDataset(x[192:], y[192:]), 32)
for model in ("linear", "mlp"):
    for seed in range(6):
        L.seed_everything(seed, verbose=False)
        module = Regression(model, seed)
        logger = MLFlowLogger("regression", tracking_uri=sys.argv[1], artifact_location=sys.argv[2])
        trainer = L.Trainer(max_epochs=15, logger=logger, enable_checkpointing=False,
                            enable_progress_bar=False, enable_model_summary=False,
                            log_every_n_steps=4, accelerator="cpu")
        trainer.fit(module, train)
        trainer.test(module, test, verbose=False)
        with open("losses.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["row", "test_mse"])
            rows.writerows((i, (a - b) ** 2) for i, (a, b) in enumerate(module.rows))
        logger.experiment.log_artifact(logger.run_id, "losses.csv", "test")
        a, b = zip(*module.rows)
        columns = {"example": list(range(len(a))), "prediction": a, "truth": b}
        logger.experiment.log_table(logger.run_id, columns, "forecasts.json")
"""
MODELS = ["metric=test_mse", "group=model", "baseline=linear"]


@pytest.fixture(scope="module")
def lightning(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that name the store."""
    folder = tmp_path_factory.mktemp("lightning")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    code = [sys.executable, "-c", LIGHTNING, uri, str(folder / "artifacts")]
    done = subprocess.run(code, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [f"mlflow.uri={uri}", "mlflow.experiment=regression"]


def judged(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:  # type: ignore[type-arg]
    assert cli.main(["judge", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["judge", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def cells(uri: str, path: str) -> np.ndarray:
    """Losses by model, seed and test row, read by hand, (2, 6, 32)."""
    frame = open_runs(uri, "regression").read(["params.model", "params.seed"])
    frame = frame.sort_values(["params.model", "params.seed"])
    losses = [pd.read_csv(f"{uri}/{path}")["test_mse"] for uri in frame["artifact_uri"]]
    return np.array(losses).reshape(2, 6, -1)


@pytest.mark.long
def test_lightnings_runs_are_judged_as_scipy_does(
    lightning: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = judged([*lightning, *MODELS], capsys)
    uri = lightning[0].removeprefix("mlflow.uri=")
    linear, mlp = cells(uri, "test/losses.csv").mean(axis=2)
    test = stats.ttest_rel(mlp, linear)
    (row,) = found["verdicts"]
    interval = test.confidence_interval()
    by_hand = [mlp.mean() - linear.mean(), interval.low, interval.high, test.pvalue]
    assert [row["effect"], row["low"], row["high"], row["p"]] == pytest.approx(by_hand, rel=1e-3)
    assert row["n"] == 6 and row["verdict"] == "helps"
    assert "6 pairs, over seeds only" in found["sentence"]


@pytest.mark.long
def test_losses_and_forecasts_in_artifacts_widen_the_interval_by_the_test_rows(
    lightning: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    uri = lightning[0].removeprefix("mlflow.uri=")
    linear, mlp = cells(uri, "test/losses.csv")
    expected = two_way(mlp - linear, 0)
    by_hand = [expected.effect, expected.low, expected.high, expected.p]
    for words in (
        ["items=row"],
        ["items=example"],
        ["items=row", "mlflow.artifact=test/losses.csv"],
    ):
        found = judged([*lightning, *MODELS, *words], capsys)
        (row,) = found["verdicts"]
        ours = [row["effect"], row["low"], row["high"], row["p"]]
        assert ours == pytest.approx(by_hand, rel=1e-4)
        assert "6 pairs by 32 items, over seeds and items" in found["sentence"]


@pytest.mark.long
def test_what_no_artifact_has_is_answered_with_the_nearest(
    lightning: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused([*lightning, *MODELS, "items=exampel"], capsys)
    assert "is not a column of the runs' artifact tables, did you mean 'example'?" in said
    named = ["items=row", "mlflow.artifact=test/loses.csv"]
    said = refused([*lightning, *MODELS, *named], capsys)
    assert "is not an artifact of any run, did you mean 'test/losses.csv'?" in said
    words = [*lightning, *MODELS, "mlflow.artifact=test/losses.csv"]
    assert "mlflow.artifact needs items=COLUMN" in refused(words, capsys)
    assert "has no column rwo, did you mean 'row'?" in refused([*words, "items=rwo"], capsys)
    other = ["metric=test_f1", *MODELS[1:], "better=higher", "items=example"]
    assert "has no column test_f1, and no forecasts" in refused([*lightning, *other], capsys)


@pytest.mark.long
def test_one_run_without_its_table_is_named_and_a_failed_one_diverged(
    lightning: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    uri = lightning[0].removeprefix("mlflow.uri=")
    client = open_client(uri)
    number = client.get_experiment_by_name("regression").experiment_id
    run = client.create_run(number).info.run_id
    client.log_param(run, "model", "mlp")
    client.log_param(run, "seed", 0)
    client.set_terminated(run, "FINISHED")
    words = [*lightning, *MODELS, "items=row"]
    said = refused(words, capsys)
    assert f"run {run} (model=mlp, seed=0) has no artifact test/losses.csv" in said
    client.log_param(run, "note", "a failed one of another seed")
    client.delete_run(run)
    run = client.create_run(number).info.run_id
    for key, value in {"model": "mlp", "seed": 6}.items():
        client.log_param(run, key, value)
    client.set_terminated(run, "FAILED")
    try:
        found = judged(words, capsys)
        assert "Diverged runs: 1." in found["sentence"]
        assert found["verdicts"][0]["n"] == 6  # the baseline has no seed 6
    finally:
        client.delete_run(run)


def test_published_scores_are_judged_as_scipy_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A csv as papers publish it: a row per seed and model, rounded, in no order."""
    path = tmp_path / "scores.csv"
    path.write_text(
        "Model,Seed,Test Accuracy (%)\n"
        "BiLSTM,1,89.21\nBiLSTM,2,88.87\nBiLSTM,3,89.46\nBiLSTM,4,89.05\nBiLSTM,5,89.30\n"
        "BiLSTM,6,88.95\nGRU,6,89.62\nGRU,5,89.71\nGRU,4,89.33\nGRU,3,90.12\nGRU,2,89.41\n"
        "GRU,1,89.58\n"
    )
    words = [f"data.path={path}", "metric=Test Accuracy (%)", "group=Model", "baseline=BiLSTM"]
    (row,) = judged([*words, "pair=Seed", "smallest_effect=0.3"], capsys)["verdicts"]
    gru = [89.58, 89.41, 90.12, 89.33, 89.71, 89.62]
    lstm = [89.21, 88.87, 89.46, 89.05, 89.30, 88.95]
    test = stats.ttest_rel(gru, lstm)
    interval = test.confidence_interval()
    found = [row["p"], row["low"], row["high"]]
    assert found == pytest.approx([test.pvalue, interval.low, interval.high])
    assert row["verdict"] == "helps"
    frame = pd.read_csv(path)
    asked = {"metric": "Test Accuracy (%)", "group": "Model", "baseline": "BiLSTM", "pair": "Seed"}
    assert upgate.judge(frame, **asked).verdicts.iloc[0].p == row["p"]
