"""What a classifier of reviews is worth: its scores beside the references' on the same reviews, and without the leaked ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_f1_score,
    multiclass_matthews_corrcoef,
)

BINS = 15  # of the calibration error: Guo et al. 2017
NEVER = 1e-15  # a reference's probability of 0 counts as this: one sure mistake does not make a loss infinite


@dataclass(frozen=True)
class Judgement:
    """metrics: one number each, those of a reference under its name (`linear/accuracy`); predictions: a row per review."""

    metrics: dict[str, float]
    predictions: pd.DataFrame  # row, text, truth, predicted, probability (of the predicted class), p_<class> for each, leaked


def judge(
    logits: Tensor,
    y: Tensor,
    references: Mapping[str, np.ndarray],
    leaked: np.ndarray,
    classes: Sequence[str],
    texts: Sequence[str],
) -> Judgement:
    """Judge logits, (n, K), against labels y, (n,), and beside references: probabilities, (n, K) each.

    `leaked`, (n,) bool, marks reviews that are in the training part too; it is empty where there was nothing to look for. Where some are,
    `accuracy_unseen` leaves them out, for the references too. `accuracy_lead_linear` is in shares: 0.01 is a point.
    """
    logits, y = logits.detach().double().cpu(), y.cpu()
    seen = torch.from_numpy(leaked if len(leaked) else np.zeros(len(y), dtype=bool))
    given = {"": logits} | {
        f"{name}/": torch.from_numpy(p).clamp_min(NEVER).log() for name, p in references.items()
    }
    metrics = {"samples": float(len(y))} | ({"leaked": float(seen.sum())} if seen.any() else {})
    for name, own in given.items():
        metrics |= {f"{name}{key}": value for key, value in scores(own, y).items()}
        if seen.any() and not seen.all():
            metrics[f"{name}accuracy_unseen"] = accuracy(own[~seen], y[~seen])
    if "linear" in references:
        metrics["accuracy_lead_linear"] = metrics["accuracy"] - metrics["linear/accuracy"]
    return Judgement(metrics, table(logits.softmax(dim=1), y, seen, classes, texts))


def scores(logits: Tensor, y: Tensor) -> dict[str, float]:
    """Return the metrics of one classifier, for any K >= 2."""
    predicted, classes = logits.argmax(dim=1), logits.shape[1]
    return {
        "accuracy": accuracy(logits, y),
        "macro_f1": float(multiclass_f1_score(predicted, y, classes, average="macro")),
        "mcc": matthews(predicted, y, classes),
        "loss": float(F.cross_entropy(logits, y)),
        "ece": float(multiclass_calibration_error(logits.softmax(dim=1), y, classes, n_bins=BINS)),
    }


def accuracy(logits: Tensor, y: Tensor) -> float:
    """Return the share of labels that the largest logit names."""
    return float(multiclass_accuracy(logits.argmax(dim=1), y, logits.shape[1], average="micro"))


def matthews(predicted: Tensor, y: Tensor, classes: int) -> float:
    """Return the correlation of predictions and labels; 0 where either is all one class (torchmetrics has a limit of its own there)."""
    if (predicted == predicted[0]).all() or (y == y[0]).all():
        return 0.0
    return float(multiclass_matthews_corrcoef(predicted, y, classes))


def table(
    probabilities: Tensor, y: Tensor, leaked: Tensor, classes: Sequence[str], texts: Sequence[str]
) -> pd.DataFrame:
    """Return the predictions; truth and predicted are names of classes."""
    names = np.array(classes, dtype=object)
    top = probabilities.max(dim=1)
    return pd.DataFrame(
        {
            "row": np.arange(len(y)),
            "text": list(texts),
            "truth": names[y.numpy()],
            "predicted": names[top.indices.numpy()],
            "probability": top.values.numpy(),
            **{f"p_{name}": probabilities[:, k].numpy() for k, name in enumerate(classes)},
            "leaked": leaked.numpy(),
        }
    )
