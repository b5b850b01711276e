"""The learning rate by successive halving over a log grid around an optimizer's own default.

Every recipe gets the same trials: five rates, half a decade apart, at 30% of its budget (a
schedule is laid over the shorter run), and the best two in full. Where the best of the short runs
is at an end of the grid, two more rates beyond that end are tried, once. Pure: losses in, rate out.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from upgate.config.schema import format_value
from upgate.serialization import to_json

REACH = 2  # rates on each side of the default
BEYOND = 2  # rates beyond an end that is best, once
SHARE = 0.3  # of the budget in the first round: shorter runs rank recipes wrongly
KEPT = 2  # rates that are trained in full

Losses = dict[int, float]  # half decades above the default -> loss


@dataclass(frozen=True)
class RateTrial:
    """One run of the search. share: of the budget; score: the validation metric."""

    rate: float
    share: float
    score: float


@dataclass(frozen=True)
class FoundRate:
    """A rate that was searched. edge: low or high where it is an end of what was tried."""

    rate: float
    default: float
    metric: str  # val/mse_ratio, val/accuracy
    seed: int  # of all trials
    trials: list[RateTrial]
    edge: str = ""

    @property
    def override(self) -> str:
        """The found rate as one types it."""
        return f"optimizer.lr={format_value(self.rate)}"

    def text(self) -> str:
        """One line of JSON, for a tag."""
        return json.dumps(json.loads(to_json(self)), ensure_ascii=False)


class Halving:
    """One recipe's search: which rates are due, and which one is chosen.

    `short` and `full` hold the losses of the two rounds; inf is a run that diverged or failed.
    """

    def __init__(self, default: float) -> None:
        self.default = default
        self.short: Losses = {}
        self.full: Losses = {}

    def rate(self, step: int) -> float:
        """The rate so many half decades above the default, to three digits."""
        return float(f"{self.default * 10 ** (step / 2):.3g}") if step else self.default

    def grid(self) -> list[int]:
        """The first round."""
        return list(range(-REACH, REACH + 1))

    def beyond(self) -> list[int]:
        """The rates beyond the end of the grid that is best; below it where all runs diverged."""
        best = self._best(self.short)
        if best is None or best == -REACH:
            return [-REACH - i for i in range(1, BEYOND + 1)]
        return [REACH + i for i in range(1, BEYOND + 1)] if best == REACH else []

    def finalists(self) -> list[int]:
        """The second round: the best rates of the first; empty where all diverged."""
        finite = {step: loss for step, loss in self.short.items() if math.isfinite(loss)}
        return sorted(finite, key=lambda step: (finite[step], abs(step), step))[:KEPT]

    def choose(self) -> int | None:
        """The best of the second round, of equals the one nearest to the default."""
        return self._best(self.full)

    def edge(self, step: int) -> str:
        """Whether a rate is an end of what was tried."""
        if step == min(self.short):
            return "low"
        return "high" if step == max(self.short) else ""

    @staticmethod
    def _best(losses: Mapping[int, float]) -> int | None:
        best = min(losses, key=lambda step: (losses[step], abs(step), step), default=None)
        return None if best is None or not math.isfinite(losses[best]) else best


def short_budget(trainer: Mapping[str, object]) -> list[str]:
    """The overrides of a first round's run: the share of its epochs and steps, rounded up."""
    overrides = []
    for key in ("max_epochs", "max_steps"):
        limit = trainer.get(key)
        if isinstance(limit, int) and limit > 0:
            overrides.append(f"trainer.{key}={math.ceil(SHARE * limit)}")
    return overrides


def most_trials() -> int:
    """Runs of one search at most."""
    return 2 * REACH + 1 + BEYOND + KEPT


def least_cost() -> float:
    """The budget of one search in full runs, without rates beyond the grid."""
    return (2 * REACH + 1) * SHARE + KEPT


def most_cost() -> float:
    """The same with them."""
    return least_cost() + BEYOND * SHARE
