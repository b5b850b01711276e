"""The modules under a Trainer of one's own: what they log, stop at, save, load and go on from."""

import runpy
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from helpers.project import REPO
from helpers.store import fresh
from upgate import StockDataModule, StockModule, UserError, predict
from upgate.config.compose import compose
from upgate.data.prices.sources import load_sp500, to_prices
from upgate.recipe.engagement import weights_hash
from upgate.run.resolve import check_recipe
from upgate.tasks.registry import get_task
from upgate.tasks.stock.predict import forecast_next
from upgate.types import Batch

EXAMPLES = REPO / "docs" / "examples"
AVERAGES: dict[str, dict[str, Any]] = {
    "ema": {"averaging": "ema", "schedule": "constant"},
    "schedule_free": {"optimizer": "schedule_free", "schedule": "constant"},
}
QUIET: Any = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}


@pytest.fixture(autouse=True)
def lightning_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its advice on workers, intervals and folders is none of ours."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return load_sp500(start="2016").table.set_index("date").drop(columns="ticker")


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame) -> StockDataModule:
    return StockDataModule.create(frame, target="volatility", window=5, batch_size=128)


def make(data: StockDataModule, **recipe: Any) -> StockModule:
    return StockModule.create(data, model={"hidden_size": 4}, regularization="none", **recipe)


def weights(module: StockModule) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in module.net.named_parameters()}


@pytest.mark.parametrize("example", ["stock", "sentiment"])
def test_the_examples_train_log_and_load(
    example: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    fresh(tmp_path)  # MLflow's database, which takes seconds to make
    after = runpy.run_path(str(EXAMPLES / f"{example}_lightning.py"))
    logged = after["trainer"].callback_metrics
    assert {"test/loss", "test/score"} <= set(after["scores"])
    best, kept = after["best"], after["kept"]
    (validated,) = pl.Trainer(logger=False, **QUIET).validate(kept, after["data"], verbose=False)
    assert validated[best.monitor] == pytest.approx(float(best.best_model_score), rel=1e-6)
    assert str(after["scores"]["test/loss"])[:5] in capsys.readouterr().out
    assert logged  # a test's own
    if example == "stock":
        columns = pd.read_csv(next(tmp_path.rglob("metrics.csv"))).columns
        assert {"train/loss", "val/loss", "val/score", "engagement/clipped_share"} <= set(columns)
        assert any(name.startswith("lr-") for name in columns)


def test_the_trainers_callbacks_see_each_epoch(data: StockDataModule, tmp_path: Path) -> None:
    stop = EarlyStopping("val/loss", patience=1)
    module = make(data, optimizer={"name": "sgd", "lr": 1e-9}, schedule="constant")
    trainer = pl.Trainer(max_epochs=9, logger=False, callbacks=[stop], **QUIET)
    trainer.fit(module, data)
    assert {"train/loss", "val/loss", "val/score"} <= set(trainer.callback_metrics)
    assert trainer.current_epoch < 9 and stop.stopped_epoch
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(
        float(plain_loss(module, data)), rel=0.1
    )


def plain_loss(module: StockModule, data: StockDataModule) -> torch.Tensor:
    losses, sizes = [], []
    with torch.no_grad():
        for batch in data.part("train"):
            losses.append(module.loss(module(batch), batch) * len(batch["y"]))
            sizes.append(len(batch["y"]))
    return torch.stack(losses).sum() / sum(sizes)


def test_the_recipes_own_stopping_stops_any_trainer(data: StockDataModule) -> None:
    stopping = {"name": "early", "patience": 2, "min_delta": 1e9}
    module = make(data, stopping=stopping)
    trainer = pl.Trainer(max_epochs=9, logger=False, enable_checkpointing=False, **QUIET)
    trainer.fit(module, data)
    assert trainer.current_epoch == 3


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize("after_validation", [False, True])
def test_a_checkpoint_holds_the_weights_that_were_judged(
    average: str,
    weights_only: bool,
    after_validation: bool,
    frame: pd.DataFrame,
    data: StockDataModule,
    tmp_path: Path,
) -> None:
    keep = ModelCheckpoint(
        tmp_path,
        monitor="val/loss",
        save_weights_only=weights_only,
        save_on_train_epoch_end=not after_validation,
    )
    module = make(data, **AVERAGES[average])
    trainer = pl.Trainer(max_epochs=2, logger=False, callbacks=[keep], **QUIET)
    trainer.fit(module, data)
    kept = StockModule.load_from_checkpoint(keep.best_model_path, weights_only=True)
    validation = trainer.validate(kept, data, verbose=False)[0]["val/loss"]
    told = predict(frame, run=Path(keep.best_model_path))
    state = {"hyper_parameters": dict(kept.hparams), "state_dict": kept.state_dict()}
    assert told.equals(forecast_next(state, to_prices(frame).table))
    assert validation == pytest.approx(float(keep.best_model_score), rel=1e-6)
    trained = weights(module)
    trainer.test(module, data, verbose=False)  # from here on the net holds what is judged
    assert any(not torch.equal(w, trained[name]) for name, w in weights(module).items())


@pytest.mark.parametrize("average", AVERAGES)
def test_training_goes_on_from_a_checkpoint(
    average: str, data: StockDataModule, tmp_path: Path
) -> None:
    def fit(module: StockModule, path: Path | None, stop_after: int) -> StockModule:
        keep = ModelCheckpoint(tmp_path / str(stop_after), save_top_k=-1)
        trainer = pl.Trainer(max_epochs=4, logger=False, callbacks=[keep], **QUIET)
        trainer.fit(module, data, ckpt_path=path, weights_only=True)
        return module

    whole = fit(make(data, **AVERAGES[average]), None, 4)
    (half,) = (tmp_path / "4").glob("epoch=1-*.ckpt")
    again = fit(make(data, **AVERAGES[average]), half, 2)
    assert weights_hash(again.net) == weights_hash(whole.net)


def test_keywords_make_what_the_command_line_makes(data: StockDataModule) -> None:
    words = ["task.target=volatility", "task.window=5", "model.hidden_size=4", "clip=value"]
    config = compose([*words, "clip.max_value=0.1", "regularization=[dropout]", "seed=3"])
    module = StockModule.create(
        data,
        model={"hidden_size": 4},
        clip={"name": "value", "max_value": 0.1},
        regularization=["dropout"],
        seed=3,
    )
    assert module.hparams["spec"]["recipe"] == check_recipe(config)
    task = get_task("stock")
    settings = task.settings(config["task"])
    theirs = task.datamodule(
        load_sp500(start="2016"), settings, task.split(config["split"], settings), 0, config
    )
    assert torch.equal(theirs.tensors.x, data.tensors.x)
    assert module.hparams["spec"]["task"] == settings
    spec = {**module.hparams["spec"], "model": {**config["model"], "name": "lstm"}}
    del spec["model"]["skip"], spec["model"]["search"]
    assert weights_hash(task.module(spec, theirs).net) == weights_hash(module.net)


def test_returns_start_from_the_reference_as_the_command_lines_do(frame: pd.DataFrame) -> None:
    data = StockDataModule.create(frame, window=5)
    module = StockModule.create(data).eval()
    batch: Batch = next(iter(data.part("test")))
    assert torch.equal(module(batch), batch["skip"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"optimiser": "adam"}, "unknown key optimiser, did you mean 'optimizer'?"),
        ({"model": {"skip": "reference"}}, "unknown key skip"),
        ({"optimizer": "adm"}, "did you mean 'adam'?"),
        ({"clip": {"name": "norm", "max_norm": -1}}, "clip.max_norm=-1"),
    ],
)
def test_wrong_keywords_are_named(words: dict, said: str, data: StockDataModule) -> None:
    with pytest.raises(UserError, match=r".*") as error:
        StockModule.create(data, **words)
    assert said in str(error.value)
