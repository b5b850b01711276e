"""The scores of a classifier of reviews, beside the references' on the same reviews.

Without the reviews that are in the training part, too.
"""

from collections.abc import Mapping, Sequence

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

from upgate.tasks.base import Evaluation

BINS = 15  # of the calibration error: Guo et al. 2017
# A reference's probability of 0 counts as this: a sure mistake does not make a loss infinite.
MIN_PROBABILITY = 1e-15


def evaluate_classifier(
    logits: Tensor,
    y: Tensor,
    references: Mapping[str, np.ndarray],
    leaked: np.ndarray,
    classes: Sequence[str],
    texts: Sequence[str],
) -> Evaluation:
    """Evaluate logits, (n, K), against labels y, (n,); references: probabilities, (n, K) each.

    `leaked`, (n,) bool, marks reviews that are in the training part too; it is empty where nobody
    looked. Where some are, `accuracy_unseen` leaves them out, for the references too.
    `accuracy_lead_linear` is in shares: 0.01 is a point. Table: predictions, a row per review.
    """
    logits, y = logits.detach().double().cpu(), y.cpu()
    seen = torch.from_numpy(leaked if len(leaked) else np.zeros(len(y), dtype=bool))
    classifiers = {"": logits}
    for name, p in references.items():
        classifiers[f"{name}/"] = torch.from_numpy(p).clamp_min(MIN_PROBABILITY).log()
    metrics = {"samples": float(len(y))} | ({"leaked": float(seen.sum())} if seen.any() else {})
    for name, output in classifiers.items():
        metrics |= {f"{name}{key}": value for key, value in classifier_metrics(output, y).items()}
        if seen.any() and not seen.all():
            metrics[f"{name}accuracy_unseen"] = accuracy(output[~seen], y[~seen])
    if "linear" in references:
        metrics["accuracy_lead_linear"] = metrics["accuracy"] - metrics["linear/accuracy"]
    predictions = prediction_table(logits.softmax(dim=1), y, seen, classes, texts)
    names = np.array(classes, dtype=object)
    for name in [name for name in references if name != "majority"]:
        predictions[f"predicted_{name}"] = names[references[name].argmax(axis=1)]
    return Evaluation(metrics, {"predictions": predictions})


def classifier_metrics(logits: Tensor, y: Tensor) -> dict[str, float]:
    """The metrics of one classifier, for any K >= 2."""
    predicted, classes = logits.argmax(dim=1), logits.shape[1]
    return {
        "accuracy": accuracy(logits, y),
        "macro_f1": float(multiclass_f1_score(predicted, y, classes, average="macro")),
        "mcc": matthews(predicted, y, classes),
        "loss": float(F.cross_entropy(logits, y)),
        "ece": float(multiclass_calibration_error(logits.softmax(dim=1), y, classes, n_bins=BINS)),
    }


def accuracy(logits: Tensor, y: Tensor) -> float:
    """The share of labels that the largest logit names."""
    return float(multiclass_accuracy(logits.argmax(dim=1), y, logits.shape[1], average="micro"))


def matthews(predicted: Tensor, y: Tensor, classes: int) -> float:
    """The correlation of predictions and labels; 0 where either is of one class only.

    torchmetrics has another limit there.
    """
    if (predicted == predicted[0]).all() or (y == y[0]).all():
        return 0.0
    return float(multiclass_matthews_corrcoef(predicted, y, classes))


def prediction_table(
    probabilities: Tensor, y: Tensor, leaked: Tensor, classes: Sequence[str], texts: Sequence[str]
) -> pd.DataFrame:
    """The predictions: truth and predicted are names of classes.

    Columns: row, text, truth, predicted, probability (of the predicted class), p_<class> for each
    class, leaked. `evaluate_classifier` adds the linear model's answers.
    """
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
