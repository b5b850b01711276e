"""One answer over the studies of several data sets, as values that go to JSON and back."""

from dataclasses import dataclass

import numpy as np

from upgate.serialization import to_json
from upgate.stats.estimate import Floats
from upgate.study.load import Experiment
from upgate.study.result import ArmVerdict, Study


@dataclass(frozen=True)
class DataSet:
    """What one data set's study says of the primary arm."""

    name: str
    study: str  # id
    source: str
    data: str  # content hash
    verdict: ArmVerdict | None  # None before a seed has every run that it needs
    baseline_score: float
    scores: dict[str, float]  # arm, the baseline too -> mean score
    missing: int  # runs
    looks: int  # runs of the store that were evaluated on this test part


@dataclass(frozen=True)
class NewDataSet:
    """What to expect of one more data set like these: the prediction interval of the effect.

    better, equivalent, worse: probabilities, with the smallest effect of interest between them; nan
    for fewer than three data sets.
    """

    low: float
    high: float
    better: float
    equivalent: float
    worse: float


@dataclass(frozen=True)
class OverResult:
    """The answer over data sets. Effects are in the study's scale, as everywhere.

    question: what the studies have in common; without keys and data, and its smallest effect of
    interest is the largest of theirs. together: the primary arm; None before any data set has an
    effect. others: the other arms; judged as one family after the primary, and only where they are
    named recipes.
    """

    experiment: Experiment
    question: Study
    sentence: str
    sets: list[DataSet]
    together: ArmVerdict | None
    new: NewDataSet | None
    spread: float  # standard deviation of the true effect between data sets; nan if not combined
    others: list[ArmVerdict]
    correlation: float  # of the data sets' losses on days that they share, mean; nan for none
    more_sets: int | None  # that would decide an undecided answer; None: not known, or decided
    complete: bool
    seconds: float  # of training, all runs together

    @property
    def losses(self) -> Floats:
        """(data sets, arms): mean scores, signed so that lower is better; nan where one lacks."""
        names = [arm.name for arm in self.question.arms]
        table = np.array([[one.scores.get(name, np.nan) for name in names] for one in self.sets])
        return -table if self.question.higher_is_better else table

    @property
    def costs(self) -> Floats | None:
        """(data sets, arms): above 0, lower is better: the metric, or the error rate of a share.

        None where the metric is neither.
        """
        losses = self.losses
        if self.question.higher_is_better and ((-losses >= 0) & (-losses < 1)).all():
            return 1 + losses
        return losses if (losses > 0).all() else None

    def json(self) -> str:
        return to_json(self)
