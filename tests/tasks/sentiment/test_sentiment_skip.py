"""model.skip=reference of reviews: two weights, fitted on validation, of two kinds of log-odds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from helpers.run import results, train
from upgate.cli import main
from upgate.data.reviews.nb_logistic import LogOdds, count, fit_log_odds, log_odds
from upgate.tasks.sentiment.skip import add_log_odds, fit_weights

TEXTS = ["good", "good film", "very good", "bad", "bad film", "not good at all, bad"]
Y = np.array([1, 1, 1, 0, 0, 0])


def test_the_weights_have_the_lowest_loss() -> None:
    draws = torch.Generator().manual_seed(0)
    y = torch.randint(3, (400,), generator=draws)
    odds, logits = (
        F.one_hot(y, 3) * scale + torch.randn(400, 3, generator=draws) for scale in (2.0, 1.0)
    )
    weights = fit_weights(odds, logits, y)
    best = F.cross_entropy(add_log_odds(odds, logits, weights), y)
    for a, b in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (-1, 0), (0, -1)):
        moved = weights + torch.tensor([a, b])
        assert best < F.cross_entropy(add_log_odds(odds, logits, moved), y)


def test_an_lstm_that_knows_nothing_gets_no_weight() -> None:
    draws = torch.Generator().manual_seed(1)
    y = torch.randint(2, (4000,), generator=draws)
    odds = F.one_hot(y, 2) * 2.0 + torch.randn(4000, 2, generator=draws)
    weights = fit_weights(odds, torch.randn(4000, 2, generator=draws), y)
    assert weights[0] > 1 and abs(weights[1]) < 0.15


def test_n_grams_are_weighted_by_naive_bayes_as_the_paper_says() -> None:
    """The coefficient of an n-gram of one class alone leans to it, of both alike it is 0."""
    model = fit_log_odds(TEXTS, Y, 2)
    one = {name: model([name])[0, 1] for name in ("bad", "very", "film")}
    none = model(["zzz"])[0, 1]
    assert one["bad"] < none < one["very"]
    assert one["film"] == pytest.approx(none, abs=0.2)
    assert count(["good good"]).max() == 1  # whether it stands there, not how often


def test_a_class_without_a_text_is_never_the_answer() -> None:
    logits = fit_log_odds(TEXTS, Y, 3)(TEXTS)
    assert logits.shape == (6, 3) and (logits.argmax(axis=1) == Y).all()


def test_the_kept_model_is_the_fitted_one(tmp_path: Path) -> None:
    first, odds = log_odds(TEXTS, Y, ["a good one"], 2, tmp_path)
    again, same = log_odds(TEXTS, Y, ["a good one"], 2, tmp_path)
    assert isinstance(again, LogOdds) and np.array_equal(odds, same)
    assert np.array_equal(first(["a good one"]), odds) and len(list(tmp_path.glob("*.npz"))) == 1


def test_a_checkpoint_labels_texts_as_the_run_did(tmp_path: Path) -> None:
    root, out = tmp_path / "runs", tmp_path / "labels.csv"
    assert train(root, "task=sentiment", "model.skip=reference", "twin=false")[0] == 0
    (run,) = results(root).values()
    scored = pd.read_parquet(Path(run["folder"]) / "predictions.parquet")
    texts = tmp_path / "texts.csv"
    scored[["text"]].to_csv(texts, index=False)
    assert main(["predict", f"root={root}", f"data.path={texts}", f"out={out}"]) == 0
    labelled = pd.read_csv(out)
    assert (labelled["label"] == scored["predicted"]).all()
    np.testing.assert_allclose(labelled["probability"], scored["probability"], rtol=1e-4)
    metrics = run["metrics"]
    assert metrics["val/loss"] <= metrics["val/lstm/loss"], "the weights may be 0 and 1"
    assert metrics["test/lstm/accuracy"] != metrics["test/accuracy"]
    assert metrics["test/loss"] < 1.05 * metrics["test/nb_logistic/loss"]
