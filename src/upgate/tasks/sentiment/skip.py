"""model.skip=reference of reviews: the answer is the linear model's log-odds and the LSTM's, added.

The LSTM is trained on a loss of its own: added to log-odds that fit the training part, it learned
nothing on IMDb. The weights of the two are fitted on the validation part, which neither was fitted
on; so what the LSTM knows beyond the linear model is what it adds.
"""

from typing import TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from upgate.data.reviews.nb_logistic import LogOdds

STEPS = 100  # of L-BFGS, at most


class SkipFit(TypedDict):
    """What a prediction needs beside the network. weights: of the log-odds and of the logits."""

    weights: Tensor  # (2,)
    coefficients: Tensor
    intercept: Tensor


def fit_weights(odds: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    """The two weights with the lowest cross-entropy, (2,) float64: a convex problem.

    odds, logits: (n, K) of the validation part, in one order; y: (n,).
    """
    parts = torch.stack([odds.double(), logits.double()])  # (2, n, K)
    weights = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(torch.einsum("a,ank->nk", weights, parts), y)
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return weights.detach()


def add_log_odds(odds: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
    """(n, K) float64."""
    return weights[0] * odds.double() + weights[1] * logits.double()


def keep(model: LogOdds, weights: Tensor) -> SkipFit:
    """As tensors, for a checkpoint."""
    return {
        "weights": weights,
        "coefficients": torch.from_numpy(model.coefficients),
        "intercept": torch.from_numpy(model.intercept),
    }


def model_of(fitted: SkipFit) -> LogOdds:
    """The linear model of a checkpoint."""
    kept = (fitted["coefficients"], fitted["intercept"])
    coefficients, intercept = (np.asarray(one.numpy(), np.float32) for one in kept)
    return LogOdds(coefficients, intercept)
