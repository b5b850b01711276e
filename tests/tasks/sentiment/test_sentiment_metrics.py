"""The scores of a classifier against closed forms by NumPy and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from upgate.tasks.base import Evaluation
from upgate.tasks.sentiment.metrics import BINS, classifier_metrics, evaluate_classifier

NAMES = ("negative", "positive", "neutral", "mixed", "none")


def drawn(n: int, classes: int, seed: int = 0, strength: float = 1.5) -> tuple[Tensor, Tensor]:
    """Logits, (n, K), that are right more often than chance, and labels, (n,)."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), y] += strength
    return torch.from_numpy(logits).float(), torch.from_numpy(y)


def judged(
    logits: Tensor, y: Tensor, leaked: np.ndarray | None = None, **references: np.ndarray
) -> Evaluation:
    classes = NAMES[: logits.shape[1]]
    none = np.zeros(0, dtype=bool)
    return evaluate_classifier(
        logits,
        y,
        references,
        none if leaked is None else leaked,
        classes,
        [f"review {i}" for i in range(len(y))],
    )


def calibration(p: np.ndarray, y: np.ndarray) -> float:
    """Guo et al. 2017, by hand: the gap of mean confidence and accuracy in bins of equal width,
    weighted by their size.
    """
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    of = np.clip((sure * BINS).astype(int), 0, BINS - 1)
    return sum(abs(sure[of == b].sum() - right[of == b].sum()) for b in range(BINS)) / len(y)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_are_their_formulas(classes: int) -> None:
    logits, y = drawn(400, classes)
    p, truth = logits.double().softmax(dim=1).numpy(), y.numpy()
    predicted = p.argmax(axis=1)
    expected = {
        "samples": 400,
        "accuracy": np.mean(predicted == truth),
        "macro_f1": sk.f1_score(truth, predicted, average="macro"),
        "mcc": sk.matthews_corrcoef(truth, predicted),
        "loss": -np.log(p[np.arange(400), truth]).mean(),
        "ece": calibration(p, truth),
    }
    assert judged(logits, y).metrics == pytest.approx(expected, rel=1e-5)


def test_a_reference_is_judged_as_the_run_is() -> None:
    logits, y = drawn(300, 3)
    same = judged(
        logits,
        y,
        linear=logits.double().softmax(dim=1).numpy(),
        majority=np.tile([0.5, 0.3, 0.2], (300, 1)),
    ).metrics
    for key in ("accuracy", "macro_f1", "mcc", "loss", "ece"):
        assert same[f"linear/{key}"] == pytest.approx(same[key], rel=1e-6)
    assert same["accuracy_lead_linear"] == 0
    share = np.bincount(y, minlength=3) / 300
    assert same["majority/accuracy"] == pytest.approx(share[0]) and same["majority/mcc"] == 0
    assert same["majority/loss"] == pytest.approx(-(share * np.log([0.5, 0.3, 0.2])).sum())
    assert same["majority/ece"] == pytest.approx(abs(0.5 - share[0]), abs=1e-6)


def test_the_lead_is_over_the_linear_reference_and_only_where_it_is() -> None:
    logits, y = drawn(100, 2)
    wrong = 1 - np.eye(2)[y.numpy()]  # sure and wrong on every review
    got = judged(logits, y, linear=wrong).metrics
    assert got["linear/accuracy"] == 0 and got["accuracy_lead_linear"] == got["accuracy"] > 0.5
    assert np.isfinite(got["linear/loss"]) and got["linear/mcc"] == -1 and got["linear/ece"] == 1
    assert "accuracy_lead_linear" not in judged(logits, y).metrics


@pytest.mark.parametrize("classes", [2, 3])
def test_one_answer_to_everything_correlates_with_nothing(classes: int) -> None:
    y = torch.tensor([0, 1, 1, 1, 1])
    constant = torch.zeros(5, classes)
    constant[:, 1] = 1
    assert classifier_metrics(constant.double(), y)["mcc"] == 0 == sk.matthews_corrcoef(y, [1] * 5)
    assert classifier_metrics(constant.double(), torch.ones(5, dtype=torch.long))["mcc"] == 0


def test_a_perfect_classifier_has_no_fault() -> None:
    y = torch.arange(60) % 3
    got = classifier_metrics(1000 * torch.nn.functional.one_hot(y).double(), y)
    assert got == {"accuracy": 1, "macro_f1": 1, "mcc": 1, "loss": 0, "ece": 0}


def test_without_what_leaked_the_rest_is_counted() -> None:
    logits, y = drawn(200, 2)
    reference = drawn(200, 2, seed=1)[0].softmax(dim=1).double().numpy()
    leaked = np.arange(200) % 4 == 0
    got = judged(logits, y, leaked, linear=reference).metrics
    rest = ~leaked
    assert got["leaked"] == 50
    assert got["accuracy_unseen"] == pytest.approx(
        np.mean(logits.argmax(dim=1).numpy()[rest] == y.numpy()[rest])
    )
    assert got["linear/accuracy_unseen"] == pytest.approx(
        np.mean(reference.argmax(axis=1)[rest] == y.numpy()[rest])
    )
    clean = judged(logits, y, linear=reference).metrics
    assert {key: got[key] for key in clean} == clean
    assert set(got) - set(clean) == {"leaked", "accuracy_unseen", "linear/accuracy_unseen"}


def test_where_nothing_or_everything_leaked_there_is_no_unseen_accuracy() -> None:
    logits, y = drawn(20, 2)
    assert judged(logits, y, np.zeros(20, dtype=bool)).metrics == judged(logits, y).metrics
    everything = judged(logits, y, np.ones(20, dtype=bool)).metrics
    assert everything["leaked"] == 20 and "accuracy_unseen" not in everything


def test_predictions_have_a_row_per_review() -> None:
    logits, y = drawn(50, 3)
    leaked = np.arange(50) < 5
    got = judged(logits, y, leaked).tables["predictions"]
    columns = [
        "row",
        "text",
        "truth",
        "predicted",
        "probability",
        "p_negative",
        "p_positive",
        "p_neutral",
        "leaked",
    ]
    assert got.columns.tolist() == columns and got["row"].tolist() == list(range(50))
    assert got["text"].tolist() == [f"review {i}" for i in range(50)]
    assert got["truth"].tolist() == [NAMES[i] for i in y] and got["predicted"].tolist() == [
        NAMES[i] for i in logits.argmax(dim=1)
    ]
    p = got[["p_negative", "p_positive", "p_neutral"]].to_numpy()
    np.testing.assert_allclose(p, logits.double().softmax(dim=1).numpy())
    assert (got["probability"] == p.max(axis=1)).all() and (got["leaked"] == leaked).all()
    assert judged(logits, y).metrics["accuracy"] == pytest.approx(
        (got["truth"] == got["predicted"]).mean()
    )


def test_judging_leaves_its_input_as_it_was() -> None:
    logits, y = drawn(30, 2)
    logits.requires_grad_()
    before, p = logits.detach().clone(), np.tile([0.0, 1.0], (30, 1))
    judged(logits, y, linear=p)
    assert (logits == before).all() and (p == [0, 1]).all()
