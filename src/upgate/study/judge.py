"""The labels of a study: gatekeeping from the primary question to the other arms and the parts.

The primary question is judged at the study's level. Only if it has an answer are the others judged,
as one family under Holm; so the same runs give the same label in every design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from upgate.stats.attribution import (
    Attribution,
    bounded,
    levels_of,
    pair_weights,
    remainder_weights,
    share_weights,
)
from upgate.stats.estimate import Floats
from upgate.stats.paired import differences
from upgate.stats.reliability import Reliability, either_collapsed, reliability
from upgate.stats.shapley import Sampling, share_sampling
from upgate.stats.two_way import equivalence_p, two_way
from upgate.stats.verdict import FEWEST, Units, Verdict, verdict, verdicts, without_word
from upgate.study.result import Study
from upgate.study.scores import Scores
from upgate.tasks.significance import UnitScores

Differences = Mapping[str, Mapping[int, float]]  # arm -> seed -> arm minus baseline


@dataclass(frozen=True)
class Judge:
    """A study's scores, and what its test units add to them."""

    study: Study
    scores: Scores
    units: UnitScores

    def arms(self, by_arm: Differences) -> dict[str, Verdict]:
        """The verdicts of the arms that share a seed with the baseline."""
        primary = self.study.primary_arm
        judged = {primary: self._alone(by_arm, primary)} if primary in by_arm else {}
        others = [name for name in by_arm if name != primary]
        if self.study.parts or not others:
            judged |= {name: without_word(self._alone(by_arm, name)) for name in others}
        else:
            family = self._family({name: by_arm[name] for name in others})
            gate = judged.get(primary)
            judged |= {name: self.gated(one, gate) for name, one in family.items()}
        return {name: judged[name] for name in by_arm}

    def control(self, by_arm: Differences) -> dict[str, Verdict]:
        """The verdict of the A/A control, beside which nothing else is asked."""
        return {name: self._alone(by_arm, name) for name in by_arm}

    def gated(self, one: Verdict, gate: Verdict | None) -> Verdict:
        """The verdict, without a label where the primary question has no answer."""
        return without_word(one) if gate is None or gate.label == "undecided" else one

    def parts(
        self, attribution: Attribution, seeds: Sequence[int], gate: Verdict | None
    ) -> dict[str, Verdict]:
        """The verdicts of the parts' shares, one family."""
        levels, values, deviations = self._design(seeds)
        orders, scores = self.study.part_orders, bounded(values, self.study.better)[0]
        weights = share_weights(levels, orders)
        shares = weights @ scores
        units: dict[str, Units] = {}
        if deviations is not None:
            of_parts = np.einsum("pa,asu->psu", weights, deviations)
            lags = self.units.lags
            units = {p: Units(d, lags) for p, d in zip(self.study.parts, of_parts, strict=True)}
        per_part = dict(zip(self.study.parts, shares, strict=True))
        study = self.study
        sampled: dict[str, Sampling] = {}
        if attribution.method == "sampled":
            errors = share_sampling(levels, orders, scores)
            sampled = dict(zip(study.parts, errors, strict=True))
        judged = verdicts(per_part, study.margin, study.level, study.better, units, sampled=sampled)
        if attribution.method == "main" and not self.small_remainder(seeds):
            return {name: without_word(one) for name, one in judged.items()}
        return {name: self.gated(one, gate) for name, one in judged.items()}

    def small_remainder(self, seeds: Sequence[int]) -> bool:
        """Whether what the shares do not explain is within the smallest effect of interest.

        In a fraction of a factorial a share also holds interactions of three parts, of which the
        remainder need not show anything: any one of three saturating parts brings a fourth, that
        does nothing, a quarter of the effect. Such parts interact in pairs too, so that there
        every interaction of two must be small as well.
        """
        if len(seeds) < FEWEST:
            return False
        levels, values, deviations = self._design(seeds)
        pairs = pair_weights(self.study.parts, levels).values()
        contrasts = [remainder_weights(levels), *(2 * row for row in pairs)]
        values = bounded(values, self.study.better)[0]
        return all(self._small(row, values, deviations) for row in contrasts)

    def _small(self, weights: Floats, values: Floats, deviations: Floats | None) -> bool:
        """Whether a contrast of the arms is equivalent to nothing."""
        d, lags = (weights @ values)[:, None], 0
        if deviations is None:
            d = np.repeat(d, 2, axis=1)  # no noise between units
        else:
            d, lags = d + np.einsum("a,asu->su", weights, deviations), self.units.lags
        found = two_way(d, lags, self.study.level)
        p = equivalence_p(found.effect, found.error, found.df, self.study.margin)
        return bool(p <= self.study.level)

    def references(self, values: Mapping[str, float]) -> dict[str, Verdict]:
        """The primary arm against each reference that costs nothing; value in the metric."""
        arm = self.study.primary_arm
        own = self.scores.get(arm, {})
        if not own:
            return {}
        judged = {}
        for name, value in values.items():
            d = differences(list(own.values()), self.study.scaled(value))
            units = self._units(arm, name, len(own))
            study = self.study
            judged[name] = verdict(d, study.margin, study.level, study.better, units)
        return judged

    def reliability(self, by_arm: Differences) -> dict[str, Reliability]:
        """The second verdict of every arm, and of the baseline beside itself."""
        study = self.study
        found = {}
        for name in (study.baseline, *by_arm):
            own, base = self._paired(name, by_arm.get(name, self.scores.get(study.baseline, {})))
            if len(own):
                found[name] = reliability(own, base, study.better, study.alpha, study.margin)
        return found

    def _alone(self, by_arm: Differences, name: str) -> Verdict:
        study, d = self.study, by_arm[name]
        units = self._units(name, study.baseline, len(d))
        failed = self._collapsed(name, d)
        values = list(d.values())
        return verdict(values, study.margin, study.level, study.better, units, failed)

    def _family(self, by_arm: Differences) -> dict[str, Verdict]:
        study = self.study
        values = {name: list(d.values()) for name, d in by_arm.items()}
        found = {name: self._units(name, study.baseline, len(d)) for name, d in by_arm.items()}
        units = {name: one for name, one in found.items() if one is not None}
        failed = {name: self._collapsed(name, d) for name, d in by_arm.items()}
        return verdicts(values, study.margin, study.level, study.better, units, failed)

    def _paired(self, name: str, seeds: Mapping[int, float]) -> tuple[Floats, Floats]:
        """The scores of an arm and of the baseline, paired by seed, by position for A/A."""
        study, own = self.study, self.scores.get(name, {})
        base = self.scores.get(study.baseline, {})
        partner = dict(zip(study.aa_seeds, study.seeds, strict=False))
        is_aa = study.aa is not None and name == study.aa.name
        pairs = [(own[s], base[partner[s] if is_aa else s]) for s in seeds]
        a, b = np.array(pairs, float).reshape(-1, 2).T
        return a, b

    def _collapsed(self, name: str, seeds: Mapping[int, float]) -> NDArray[np.bool_]:
        """(seeds,): where the arm's or the baseline's run failed."""
        own, base = self._paired(name, seeds)
        return either_collapsed(own, base, self.study.better, self.study.margin)

    def _units(self, name: str, other: str, seeds: int) -> Units | None:
        """The deviations of the difference of two arms; None where they are not of all seeds."""
        own, base = (self.units.deviations.get(one) for one in (name, other))
        if own is None or base is None or own.shape[1] != base.shape[1]:
            return None
        if len(own) != seeds or len(base) not in (1, seeds):
            return None
        return Units(own - base, self.units.lags)

    def _design(self, seeds: Sequence[int]) -> tuple[NDArray[np.bool_], Floats, Floats | None]:
        """Levels (arms, parts), scores (arms, seeds), deviations (arms, seeds, units) or None."""
        study, arms = self.study, [arm.name for arm in self.study.arms]
        levels = levels_of(study.parts, [frozenset(arm.on) for arm in study.arms])
        values = np.zeros((len(arms), len(seeds)))
        for (i, arm), (j, seed) in product(enumerate(arms), enumerate(seeds)):
            values[i, j] = self.scores[arm][seed]
        found = [self.units.deviations.get(arm) for arm in arms]
        known = [one for one in found if one is not None and len(one) == len(seeds)]
        return levels, values, np.stack(known) if len(known) == len(arms) else None
