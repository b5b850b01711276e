"""The scenarios of the self-test: simulated studies whose truth is known.

One function a scenario. It draws a study, sends it through the judge's own functions and says
whether a label or an interval is wrong. Lower scores are better; differences have a standard
deviation of about 1 where not said otherwise, and SEEDS seeds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from upgate.experiment.designs import Arm, two_level
from upgate.stats.attribution import attribute
from upgate.stats.estimate import Floats
from upgate.stats.looks import LOOKS, always_valid_p, look_level
from upgate.stats.paired import differences
from upgate.stats.power import power, tost_power
from upgate.stats.random_effects import random_effects
from upgate.stats.reliability import either_collapsed, reliability
from upgate.stats.two_way import DATE_LAGS
from upgate.stats.verdict import FEWEST_EQUIVALENT, Units, Verdict, verdict, verdicts
from upgate.study.judge import Judge
from upgate.study.result import Study
from upgate.tasks.significance import UnitScores

ALPHA, SEEDS, PLANTED = 0.05, 6, 1.5
TINY = 1e-9  # a margin within which nothing is equivalent
DATES, ITEMS, TICKERS, FOLDS = 500, 1821, 10, 5
PHI, CORRELATION = 0.4, 0.5
MARGIN, FAMILY = 1.5, 4  # of equivalence; questions of a family
RATE, LOSS, RUIN = 0.2, 10.0, 50.0  # share of the runs that collapse; what a collapse costs
DATA_SETS, MOST_SEEDS = 6, 40
Rng = np.random.Generator


class Sample(NamedTuple):
    """wrong: a label says what is not so. covered: the interval holds the truth; None: no interval
    of that truth is printed."""

    wrong: bool
    covered: bool | None = None


@dataclass(frozen=True)
class Scenario:
    """name: of at most 44 letters. study: one without an effect, or with a known one.

    planted: one with an effect, found or not; planned: how often it should be found. share: of the
    studies asked for that are simulated, for those that take long. reason: why it fails.
    """

    name: str
    study: Callable[[Rng], Sample]
    nominal: float = ALPHA
    planted: Callable[[Rng], bool] | None = None
    planned: float | None = None
    share: float = 1.0
    reason: str = ""


def has_word(one: Verdict) -> bool:
    """Whether the label claims a difference."""
    return one.label in ("helps", "hurts")


def arm_verdict(arm: Floats, base: Floats) -> Verdict:
    """The verdict of an arm's scores beside the baseline's, collapsed runs set apart."""
    failed = either_collapsed(arm, base, "lower")
    return verdict(differences(arm, base), TINY, ALPHA, collapsed=failed)


def about_mean(arm: Floats, base: Floats, truth: float = 0.0) -> Sample:
    """A label about the mean; where runs collapsed the interval is not said to be the mean's."""
    one = arm_verdict(arm, base)
    covered = None if one.collapsed else one.low <= truth <= one.high
    return Sample(has_word(one), covered)


def pair(draw: Callable[[Rng], Floats], rng: Rng) -> Sample:
    """Both arms draw their scores alike; differences have no mean."""
    return about_mean(draw(rng), draw(rng))


def skewed(sigma: float, rng: Rng) -> Sample:
    """The differences are lognormal about their mean, 0; the baseline's scores are all equal."""
    d = rng.lognormal(sigma=sigma, size=SEEDS) - np.exp(sigma**2 / 2)
    return about_mean(d / d_spread(sigma), np.zeros(SEEDS))


def d_spread(sigma: float) -> float:
    """The standard deviation of a lognormal variable."""
    return float(np.sqrt(np.expm1(sigma**2) * np.exp(sigma**2)))


def bimodal(rng: Rng) -> Floats:
    return np.asarray(rng.choice([-2.0, 2.0], SEEDS) + rng.normal(size=SEEDS))


def find_planted(draw: Callable[[Rng], Floats], spread: float, rng: Rng) -> bool:
    """An effect of PLANTED standard deviations of a seed's difference, which is sqrt(2) spread."""
    arm = draw(rng) - PLANTED * np.sqrt(2) * spread
    return arm_verdict(arm, draw(rng)).label == "helps"


def collapsing(rng: Rng, loss: float = LOSS, better_by: float = 0.0) -> tuple[Floats, Floats]:
    """Scores of an arm of which 1 run in 5 collapses, and of a baseline that never does."""
    arm = rng.normal(size=SEEDS) + loss * (rng.random(SEEDS) < RATE) - better_by
    return arm, rng.normal(size=SEEDS)


def other_runs(rng: Rng) -> Sample:
    """The interval is about the runs that do not collapse, which are as good as the baseline's."""
    one = arm_verdict(*collapsing(rng))
    return Sample(has_word(one), one.low <= 0 <= one.high)


def collapse_rate(rng: Rng, loss: float) -> Sample:
    rate = reliability(*collapsing(rng, loss)).rate
    covered = rate.low <= RATE <= rate.high
    return Sample(not covered, covered)


def see_collapse(rng: Rng, loss: float) -> bool:
    return reliability(*collapsing(rng, loss)).collapsed > 0


def false_collapse(rng: Rng) -> Sample:
    return Sample(reliability(*rng.normal(size=(2, SEEDS))).collapsed > 0)


def variances(rng: Rng) -> Sample:
    """Correlated arms of equal variance; P(better) is a half."""
    arm, base = rng.normal(size=(2, SEEDS)) + rng.normal(size=SEEDS)
    found = reliability(arm, base)
    return Sample(found.variance_p <= ALPHA, found.better.low <= 0.5 <= found.better.high)


def with_units(d: Floats, lags: int, truth: float = 0.0) -> Sample:
    """d: (seeds, units)."""
    seeds = d.mean(axis=1)
    one = verdict(seeds, TINY, ALPHA, units=Units(d - seeds[:, None], lags))
    covered = one.low <= truth <= one.high
    return Sample(not covered if truth else has_word(one), covered)


def series(rng: Rng, columns: int) -> Floats:
    """AR(1) noise, (dates, columns), of variance 1, from its stationary distribution."""
    noise = rng.normal(size=(DATES, columns)) * np.sqrt(1 - PHI**2)
    noise[0] /= np.sqrt(1 - PHI**2)
    for t in range(1, DATES):
        noise[t] += PHI * noise[t - 1]
    return noise


def price_losses(rng: Rng) -> Floats:
    """(seeds, dates): a share that all seeds have in common, the seed's, and the rest."""
    seeds = rng.normal(scale=0.05, size=(SEEDS, 1))
    return np.asarray(series(rng, 1)[:, 0] + seeds + rng.normal(size=(SEEDS, DATES)))


def dates(rng: Rng) -> Sample:
    return with_units(price_losses(rng), DATE_LAGS)


def tickers(rng: Rng) -> Sample:
    """Averaged over tickers that share half of their variance, per date."""
    common, own = series(rng, 1)[:, 0], series(rng, TICKERS).mean(axis=1)
    shared = np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own
    cells = rng.normal(size=(SEEDS, DATES)) / np.sqrt(TICKERS)
    return with_units(shared + rng.normal(scale=0.05, size=(SEEDS, 1)) + cells, DATE_LAGS)


def items(rng: Rng) -> Sample:
    """Right or wrong: each item leans to either arm, the same for all seeds; none on average."""
    lean = rng.normal(scale=0.2, size=ITEMS)
    seeds = rng.normal(scale=0.01, size=(SEEDS, 1))
    chance = np.clip(np.stack([0.5 + lean + seeds, 0.5 - lean - seeds]), 0, 1)
    right = rng.random((2, SEEDS, ITEMS)) < chance
    return with_units(right[0].astype(float) - right[1], 0)


def folds(rng: Rng, new_folds: bool) -> Sample:
    """Each fold of the dates has an effect of its own, the same for all seeds; 0 over all folds.

    As large as what the noise of a fold's dates adds to its mean.
    """
    own = rng.normal(scale=0.15, size=FOLDS)
    d = price_losses(rng) + np.repeat(own, DATES // FOLDS)
    return with_units(d, DATE_LAGS, 0.0 if new_folds else float(own.mean()))


def study_of(arms: list[Arm], parts: list[str]) -> Study:
    """A study on a plain scale, where MARGIN's share is the smallest effect."""
    return Study(
        id="simulated", task="", design="", overrides=[], arms=arms, parts=parts,
        seeds=list(range(SEEDS)), folds=[0], keys={}, aa=None, aa_seeds=[], zero=None,
        metric="", higher_is_better=False, scale="plain", smallest_effect=0.2, alpha=ALPHA,
        data="", source="", frozen={}, commands=[],
    )  # fmt: skip


def judge_of(study: Study, scores: Floats) -> tuple[Judge, dict[str, dict[int, float]]]:
    """A judge of scores, (arms, seeds), and the differences of all arms from the first."""
    by_arm = {a.name: dict(enumerate(row)) for a, row in zip(study.arms, scores, strict=True)}
    d = {a.name: dict(enumerate(r - scores[0])) for a, r in zip(study.arms, scores, strict=True)}
    del d[study.baseline]
    return Judge(study, by_arm, UnitScores()), d


def design_of(name: str, k: int) -> list[frozenset[str]]:
    """The parts, a, b, c, ..., that are on in each arm of a design of k parts; none first."""
    parts = "abcdefgh"[:k]
    if name == "factorial":
        rows = [frozenset(np.array(list(parts))[row > 0].tolist()) for row in two_level(k)]
        return sorted(rows, key=len)
    every = frozenset(parts)
    return [frozenset(), *map(frozenset, parts), *(every - {p} for p in parts), every]


def judge_parts(design: str, k: int, saturate: str, rng: Rng) -> dict[str, Verdict]:
    """Verdicts of k parts of which any one of `saturate` brings all, 1; the others do nothing."""
    on = design_of(design, k)
    arms = [Arm(",".join(sorted(one)) or "none", [], sorted(one)) for one in on]
    study = study_of(arms, list("abcdefgh"[:k]))
    means = np.array([-float(bool(one & set(saturate))) for one in on])
    scores = means[:, None] + rng.normal(scale=0.05, size=(len(on), SEEDS))
    judge, by_arm = judge_of(study, scores)
    gate = judge.arms({study.primary_arm: by_arm[study.primary_arm]})[study.primary_arm]
    return judge.parts(attribute(study.parts, on, scores, alpha=ALPHA), study.seeds, gate)


def saturating(design: str, k: int, saturate: str, rng: Rng) -> Sample:
    """Does a part that does nothing get a word?"""
    judged = judge_parts(design, k, saturate, rng)
    return Sample(any(has_word(one) for p, one in judged.items() if p not in saturate))


def gatekeeping(rng: Rng, primary: float, other: float = 0.0) -> dict[str, Verdict]:
    """A primary arm and FAMILY others; `other` is the effect of the last, in standard deviations
    of a difference."""
    names = ["traditional", "upgraded", *"abcd"[:FAMILY]]
    scores = rng.normal(size=(len(names), SEEDS))
    scores[1] -= primary * np.sqrt(2)
    scores[-1] -= other * np.sqrt(2)
    judge, by_arm = judge_of(study_of([Arm(name, []) for name in names], []), scores)
    return judge.arms(by_arm)


def family(rng: Rng, primary: float) -> Sample:
    judged = gatekeeping(rng, primary)
    null = [one for name, one in judged.items() if name != "upgraded" or not primary]
    return Sample(any(map(has_word, null)))


def declared_looks(rng: Rng) -> Sample:
    d, level = rng.normal(size=LOOKS[-1]), look_level(LOOKS, ALPHA)
    return Sample(any(has_word(verdict(d[:n], TINY, level)) for n in LOOKS))


def undeclared_looks(rng: Rng) -> Sample:
    """After every seed from the sixth on."""
    d = rng.normal(size=MOST_SEEDS)
    t = [d[:n].mean() / (d[:n].std(ddof=1) / np.sqrt(n)) for n in range(SEEDS, MOST_SEEDS + 1)]
    return Sample(any(always_valid_p(one, SEEDS + i - 1.0) <= ALPHA for i, one in enumerate(t)))


def is_equivalent(rng: Rng, effect: float) -> bool:
    d = rng.normal(size=FEWEST_EQUIVALENT) + effect
    return verdict(d, MARGIN, ALPHA).label == "equivalent"


def equivalent_family(rng: Rng) -> Sample:
    d = dict(zip("abcd", rng.normal(size=(FAMILY, FEWEST_EQUIVALENT)) + MARGIN, strict=True))
    return Sample(any(v.label == "equivalent" for v in verdicts(d, MARGIN, ALPHA).values()))


def data_sets(rng: Rng, tau: float, new: bool = False) -> Sample:
    """Several data sets' mean effects from SEEDS differences each; of sets like these, or a new."""
    effects = rng.normal(scale=tau, size=DATA_SETS) if tau else np.zeros(DATA_SETS)
    d = rng.normal(size=(DATA_SETS, SEEDS)) + effects[:, None]
    found = random_effects(d.mean(axis=1), d.var(axis=1, ddof=1) / SEEDS, ALPHA)
    if new:
        covered = found.prediction_low <= rng.normal(scale=tau) <= found.prediction_high
        return Sample(not covered, covered)
    return Sample(found.p <= ALPHA, found.low <= 0 <= found.high)


def normal(rng: Rng) -> Floats:
    return rng.normal(size=SEEDS)


def heavy(rng: Rng) -> Floats:
    return rng.standard_t(5, size=SEEDS)


UNSEEN = "what six seeds do not show cannot be judged: see below"
SMALL_COLLAPSE = "10 standard deviations are not always 5 robust ones of six seeds"
# at least one, and fewer than half of the runs: three of six move the median itself
SEEN = float(binom.cdf((SEEDS - 1) // 2, SEEDS, RATE) - binom.pmf(0, SEEDS, RATE))
FOLDS_REASON = (
    "five folds say little of new ones, and lags of 12 dates do not see an effect that lasts a fold"
)
PLAN = power(PLANTED, SEEDS, ALPHA)
SCENARIOS = (
    Scenario("normal", partial(pair, normal), planted=partial(find_planted, normal, 1.0),
             planned=PLAN),
    Scenario("heavy tails (t, 5 df)", partial(pair, heavy)),
    Scenario("skewed scores, equal arms (lognormal)",
             partial(pair, lambda rng: rng.lognormal(size=SEEDS))),
    Scenario("skewed differences (skewness 1.7)", partial(skewed, 0.5), reason=UNSEEN),
    Scenario("skewed differences (skewness 6.2)", partial(skewed, 1.0), reason=UNSEEN),
    Scenario("bimodal", partial(pair, bimodal)),
    Scenario("arm collapses, 1 in 5; the other runs equal", other_runs),
    Scenario("the same, other runs better: mean 0",
             lambda rng: about_mean(*collapsing(rng, better_by=RATE * LOSS)), reason=UNSEEN),
    *(Scenario(f"collapse rate of 1 in 5, by {loss:.0f} sd: interval",
               partial(collapse_rate, loss=loss), planned=SEEN,
               planted=partial(see_collapse, loss=loss), reason=SMALL_COLLAPSE)
      for loss in (LOSS, RUIN)),
    Scenario("collapse seen where none is (normal)", false_collapse, nominal=0.005),
    Scenario("equal variances; P(better)", variances),
    Scenario("fold effects, about these folds", partial(folds, new_folds=False)),
    Scenario("fold effects, about new folds", partial(folds, new_folds=True),
             reason=FOLDS_REASON),
    Scenario(f"dates, autocorrelation {PHI}", dates),
    Scenario(f"{TICKERS} tickers, correlation {CORRELATION}", tickers),
    Scenario(f"{ITEMS:,} items that lean alike", items),
    Scenario("2 of 4 parts saturate, parts: null parts",
             partial(saturating, "parts", 4, "ab"), share=0.25),
    Scenario("3 of 7 parts saturate, parts: null parts",
             partial(saturating, "parts", 7, "abc"), share=0.2),
    Scenario("3 of 7 parts saturate, fraction: null parts",
             partial(saturating, "factorial", 7, "abc"), share=0.25),
    Scenario("no arm differs: any label", partial(family, primary=0.0), share=0.25),
    Scenario("only the primary differs: other labels", partial(family, primary=8.0), share=0.25,
             planted=lambda rng: has_word(gatekeeping(rng, 8.0, 2.5)["abcd"[FAMILY - 1]]),
             planned=power(2.5, SEEDS, ALPHA / FAMILY)),
    Scenario(f"looks at {', '.join(map(str, LOOKS))} seeds", declared_looks, share=0.25),
    Scenario(f"undeclared looks, 6 to {MOST_SEEDS} seeds", undeclared_looks),
    Scenario("equivalent, at the margin, 12 seeds",
             lambda rng: Sample(is_equivalent(rng, MARGIN)),
             planted=lambda rng: is_equivalent(rng, 0.0),
             planned=tost_power(0.0, MARGIN, FEWEST_EQUIVALENT, ALPHA)),
    Scenario(f"the same, a family of {FAMILY}", equivalent_family),
    Scenario(f"{DATA_SETS} data sets, alike: the mean", partial(data_sets, tau=0.0)),
    Scenario(f"{DATA_SETS} data sets that differ: the mean", partial(data_sets, tau=0.4)),
    Scenario(f"{DATA_SETS} data sets that differ: a new one",
             partial(data_sets, tau=0.4, new=True)),
)  # fmt: skip
