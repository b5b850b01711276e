"""A trial of a search and its loss; which trial is best, and which is clearly worse than that.

All losses are on one scale where lower is better.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from scipy.stats import wilcoxon

from upgate.run.result import Result
from upgate.serialization import stored_as
from upgate.tasks.facts import Metric
from upgate.tune.space import Values

COMPLETE, PRUNED, DIVERGED, FAILED = "complete", "pruned", "diverged", "failed"
ORDER = (COMPLETE, PRUNED, DIVERGED, FAILED)
P = 0.1  # of the one-sided paired test that prunes, as Optuna's WilcoxonPruner has it
PAIRS = 4  # fewer cannot reach that


@dataclass(frozen=True)
class Trial:
    """One point of one arm.

    losses: by "seed/fold", of the tuning seed; more: of the further seeds, for the best trials.
    """

    number: int
    values: Values
    overrides: list[str] = field(metadata=stored_as("words"))  # of the values; no baseline's
    keys: dict[str, str]  # "seed/fold" -> run key, further seeds' too
    losses: dict[str, float]
    state: str
    more: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean over folds; inf for what diverged or failed."""
        if not self.losses or self.state not in (COMPLETE, PRUNED):
            return math.inf
        return fmean(self.losses.values())

    @property
    def final(self) -> float:
        """The mean over folds and all seeds that it has."""
        if self.state != COMPLETE:
            return self.loss
        return fmean([*self.losses.values(), *self.more.values()])

    @property
    def rank(self) -> tuple[int, float, int]:
        """For sorting, best first: what diverged or failed is last; ties go to the earlier one."""
        return ORDER.index(self.state), self.loss, self.number


def loss_of(result: Result, metric: Metric) -> float:
    """A run's validation metric as a loss; inf where the run has none."""
    if result.status != "FINISHED" or result.diverged:
        return math.inf
    return metric.loss(result.metrics.get(metric.validation_key))


def state_of(results: Sequence[Result]) -> str:
    """The state of a trial with these runs: one that failed or diverged decides."""
    if any(result.status != "FINISHED" for result in results):
        return FAILED
    return DIVERGED if any(result.diverged for result in results) else COMPLETE


def clearly_worse(losses: Mapping[str, float], best: Mapping[str, float]) -> bool:
    """Whether paired folds show that a trial is worse than the best one so far.

    Wilcoxon's signed-rank test, one-sided, on the folds that both have; a trial that diverged in
    one is worse without a test.
    """
    cells = [cell for cell in losses if cell in best]
    differences = [losses[cell] - best[cell] for cell in cells]
    if not all(map(math.isfinite, differences)):
        return any(losses[cell] == math.inf for cell in cells)
    if len(differences) < PAIRS or fmean(differences) <= 0:
        return False
    test = wilcoxon(differences, alternative="greater", zero_method="zsplit")
    return bool(test.pvalue < P)
