"""A trial of a search and its score, on one scale where lower is better; what is best, and what is clearly worse than that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from scipy.stats import wilcoxon

from upgate.run.result import Result
from upgate.tasks.base import Metric

COMPLETE, PRUNED, DIVERGED, FAILED = "complete", "pruned", "diverged", "failed"
ORDER = (COMPLETE, PRUNED, DIVERGED, FAILED)
P = 0.1  # of the one-sided paired test that prunes, as Optuna's WilcoxonPruner has it
PAIRS = 4  # fewer cannot reach that


@dataclass(frozen=True)
class Trial:
    """One point of one arm. losses: by "seed/fold", of the tuning seed; more: of the further seeds, for the best trials."""

    number: int
    values: dict[str, Any]
    words: list[str]  # that set the values; none for the baseline
    keys: dict[str, str]  # "seed/fold" -> run key, further seeds' too
    losses: dict[str, float]
    state: str
    more: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean over folds; inf for what diverged or failed."""
        return (
            fmean(self.losses.values())
            if self.losses and self.state in (COMPLETE, PRUNED)
            else math.inf
        )

    @property
    def final(self) -> float:
        """The mean over folds and all seeds that it has."""
        return (
            fmean([*self.losses.values(), *self.more.values()])
            if self.state == COMPLETE
            else self.loss
        )

    @property
    def rank(self) -> tuple[int, float, int]:
        """For sorting, best first: what diverged or failed stands last; ties go to the earlier one."""
        return ORDER.index(self.state), self.loss, self.number


def loss_of(result: Result, metric: Metric) -> float:
    """A run's validation metric as a loss; inf where the run has none."""
    if result.status != "FINISHED" or result.diverged:
        return math.inf
    return metric.loss(result.metrics.get(metric.validation_key))


def state_of(results: Sequence[Result]) -> str:
    """What became of a trial's runs: one that failed or diverged decides."""
    if any(result.status != "FINISHED" for result in results):
        return FAILED
    return DIVERGED if any(result.diverged for result in results) else COMPLETE


def clearly_worse(ours: Mapping[str, float], best: Mapping[str, float]) -> bool:
    """Whether paired folds say that a trial is worse than the best so far: Wilcoxon's signed-rank test, one-sided.

    Folds that both have are compared; one that diverged is worse without a test.
    """
    both = [(ours[cell], best[cell]) for cell in ours if cell in best]
    gaps = [mine - theirs for mine, theirs in both]
    if not all(map(math.isfinite, gaps)):
        return any(math.isinf(mine) and mine > 0 for mine, _ in both)
    if len(gaps) < PAIRS or fmean(gaps) <= 0:
        return False
    return bool(wilcoxon(gaps, alternative="greater", zero_method="zsplit").pvalue < P)
