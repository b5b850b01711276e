"""model.skip=reference: training starts at the reference's forecast; a prediction needs no more."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from helpers.run import small, train
from upgate.cli import main
from upgate.config.compose import compose
from upgate.experiment.jobs import make_job
from upgate.run.datasets import Datasets
from upgate.run.train import with_batching
from upgate.store.store import Store
from upgate.tasks.registry import get_task
from upgate.tasks.stock.article import price_studies

REFERENCE = {"return": "drift", "level": "persistence", "volatility": "har"}


@pytest.mark.parametrize("target", REFERENCE)
def test_before_the_first_step_the_network_is_the_reference(target: str) -> None:
    words = small("task=stock", f"task.target={target}", "model.skip=reference")
    datasets = Datasets()
    job = make_job(words, datasets, None)
    data = datasets.fetch(job)[1]
    module = get_task("stock").module(job.spec.to_dict(), data).eval()
    with torch.inference_mode():
        output = torch.cat(
            [module.net(batch) for batch in with_batching(data, job.spec).part("test")]
        )
    scores = get_task("stock").evaluate(data, "test", output).metrics
    assert scores["mse"] == pytest.approx(scores[f"{REFERENCE[target]}/mse"], rel=1e-4)


@pytest.mark.parametrize(
    ("target", "default"), [("return", "reference"), ("level", "reference"), ("volatility", "none")]
)
def test_the_default_is_decided_by_target_and_no_run_without_it_has_it_in_its_key(
    target: str, default: str
) -> None:
    specs = {
        word: make_job(small("task=stock", f"task.target={target}", *more), Datasets(), None).spec
        for word, more in {
            "": [],
            "none": ["model.skip=none"],
            "reference": ["model.skip=reference"],
        }.items()
    }
    assert specs[""].key == specs[default].key
    assert specs["none"].key != specs["reference"].key
    assert "skip" not in specs["none"].model.knobs


@pytest.mark.parametrize("target", ["return", "level"])
@pytest.mark.parametrize("recipe", ["traditional", "upgraded"])
def test_from_a_reference_the_rate_is_a_tenth_where_little_is_left_to_learn(
    target: str, recipe: str
) -> None:
    words = ["task=stock", f"task.target={target}", f"recipe={recipe}"]
    rates = [compose([*words, f"model.skip={skip}"]) for skip in ("none", "reference")]
    usual, careful = (config["optimizer"]["lr"] for config in rates)
    assert careful == pytest.approx(usual / 10)


def test_the_articles_network_starts_from_no_reference() -> None:
    studies = price_studies(["study.seeds=6"])
    assert all("model.skip=none" in words for words in studies.values())
    asked = price_studies(["model.skip=reference"])
    assert not any("model.skip=none" in words for words in asked.values())


def test_a_checkpoint_is_all_that_a_forecast_needs(tmp_path: Path) -> None:
    root, out = tmp_path / "runs", tmp_path / "next.csv"
    words = ["task=stock", "task.target=volatility", "model.skip=reference"]
    assert train(root, *words)[0] == 0
    rows = [row for row in Store(root).rows() if not row.is_parent]
    assert [row.params["model.skip"] for row in rows] == 2 * ["reference"]  # the twin's too
    assert main(["predict", f"root={root}", f"out={out}"]) == 0
    forecast = pd.read_csv(out)["volatility"]
    assert forecast.notna().all() and forecast.between(-8, -2).all()


def test_a_task_without_a_reference_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["task=sentiment", "model.skip=refrence", f"root={tmp_path / 'runs'}"]
    assert main(["train", *words]) == 2
    assert "did you mean 'reference'?" in capsys.readouterr().err
