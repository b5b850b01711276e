"""Simulated studies, sent through the statistics themselves: are their levels what they say?

Pure NumPy, no training: `python -m upgate.study.simulation STUDIES FILE` writes the table. Effects
are in standard deviations of one seed's difference where not said otherwise; lower is better.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from upgate.stats.attribution import attribute
from upgate.stats.looks import LOOKS, look_level
from upgate.stats.paired import Floats, paired
from upgate.stats.power import holm, power, tost
from upgate.stats.two_way import DATE_LAGS, two_way

ALPHA, SEEDS, PLANTED = 0.05, 6, 1.5
HEADING = f"## Scenarios, {SEEDS} seeds where no other number is given"
LEAST_COVERAGE, POWER_GAP = 0.93, 0.05
DATES, ITEMS, TICKERS = 500, 1821, 10
PHI, CORRELATION = 0.4, 0.5
MARGIN, FAMILY = 1.5, 4  # of TOST, in standard deviations; questions of a family
PARTS = ("a", "b", "c", "d")  # a or b alone brings everything, c and d nothing
Rng = np.random.Generator
Draw = Callable[[Rng], Floats]
Trial = Callable[[Rng], tuple[bool, bool]]  # (rejected, the interval holds the truth)


@dataclass(frozen=True)
class Row:
    """What one scenario measured; coverage and power are None where not asked."""

    name: str
    studies: int
    nominal: float
    level: float
    coverage: float | None = None
    power: float | None = None
    planned: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95% interval (Clopper & Pearson 1934) of the measured level."""
        found = stats.binomtest(round(self.level * self.studies), self.studies)
        low, high = found.proportion_ci(0.95)
        return float(low), float(high)

    @property
    def faults(self) -> list[str]:
        """What does not hold, in words.

        A level above the 99.9% bound of the nominal one, a coverage below that of 93%, a power not
        within 5 points of the plan's.
        """
        bound = float(stats.binom.isf(0.001, self.studies, self.nominal)) / self.studies
        faults = ["level"] if self.level > bound else []
        least = float(stats.binom.ppf(0.001, self.studies, LEAST_COVERAGE)) / self.studies
        if self.coverage is not None and self.coverage < least:
            faults.append("coverage")
        if self.power is not None and self.planned is not None:
            faults += ["power"] if abs(self.power - self.planned) > POWER_GAP else []
        return faults


def simulate(studies: int, seed: int = 0) -> Iterator[Row]:
    """Measure every scenario on so many studies, each with random numbers of its own."""
    for i, (name, draw) in enumerate(DRAWS.items()):
        level, coverage = _run(_over_seeds(draw, 0.0), studies, (seed, i, 1))
        row = Row(name, studies, ALPHA, level, coverage)
        if name == "normal":  # the plan's power assumes it
            found = _run(_over_seeds(draw, PLANTED), studies, (seed, i, 2))[0]
            row = replace(row, power=found, planned=power(PLANTED, SEEDS, ALPHA))
        yield row
    for i, (name, trial) in enumerate(TRIALS.items()):
        level, coverage = _run(trial, studies, (seed, i, 3))
        yield Row(name, studies, ALPHA, level, None if name in NO_INTERVAL else coverage)


def markdown(rows: list[Row]) -> str:
    """The table of docs/results/selftest.md."""
    lines = [
        "| Scenario | Studies | Nominal | Level (95%) | Coverage | Power (planned) | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row.interval
        coverage = "" if row.coverage is None else f"{row.coverage:.1%}"
        found = "" if row.power is None else f"{row.power:.1%} ({row.planned:.1%})"
        outcome = "**fails: " + ", ".join(row.faults) + "**" if row.faults else "holds"
        level = f"{row.level:.1%} ({low:.1%} to {high:.1%})"
        cells = (row.name, f"{row.studies:,}", f"{row.nominal:.0%}", level, coverage, found)
        lines.append(f"| {' | '.join(cells)} | {outcome} |")
    return "\n".join(lines)


def _run(trial: Trial, studies: int, seed: tuple[int, ...]) -> tuple[float, float]:
    """Share of studies that reject, and of those whose interval holds the truth."""
    rng = np.random.default_rng(seed)
    outcomes = np.array([trial(rng) for _ in range(studies)])
    return float(outcomes[:, 0].mean()), float(outcomes[:, 1].mean())


def _over_seeds(draw: Draw, effect: float) -> Trial:
    def trial(rng: Rng) -> tuple[bool, bool]:
        found = paired(draw(rng) + effect, ALPHA)
        return found.p <= ALPHA, found.low <= effect <= found.high

    return trial


def _bimodal(rng: Rng) -> Floats:
    return np.asarray(rng.choice([-2.0, 2.0], SEEDS) + rng.normal(size=SEEDS))


def _skewed(rng: Rng) -> Floats:
    return rng.lognormal(size=SEEDS) - float(np.exp(0.5))


def _skewed_arms(rng: Rng) -> Floats:
    return rng.lognormal(size=SEEDS) - rng.lognormal(size=SEEDS)


def _collapse(rng: Rng) -> Floats:
    """One arm loses 10 in 1 of 5 runs and is better by 2 in expectation elsewhere: mean 0."""
    return rng.normal(size=SEEDS) + 10 * (rng.random(SEEDS) < 0.2) - 2


def _both_collapse(rng: Rng) -> Floats:
    arms = rng.normal(size=(2, SEEDS)) + 10 * (rng.random((2, SEEDS)) < 0.2)
    return np.asarray(arms[0] - arms[1])


def _folds(rng: Rng) -> Floats:
    """Five folds whose own effects of the arm add up to 0; every seed runs on all of them."""
    folds = rng.normal(scale=2, size=5)
    cells = rng.normal(size=(SEEDS, 5)) + (folds - folds.mean())
    return np.asarray(cells.mean(axis=1))


def _series(rng: Rng, columns: int) -> Floats:
    """AR(1) noise, (dates, columns), of variance 1, from its stationary distribution."""
    noise = rng.normal(size=(DATES, columns)) * np.sqrt(1 - PHI**2)
    noise[0] /= np.sqrt(1 - PHI**2)
    for t in range(1, DATES):
        noise[t] += PHI * noise[t - 1]
    return noise


def _two_ways(d: Floats, lags: int) -> tuple[bool, bool]:
    found = two_way(d, lags, ALPHA)
    return found.p <= ALPHA, found.low <= 0 <= found.high


def _dates(rng: Rng) -> tuple[bool, bool]:
    shared = _series(rng, 1)[:, 0]
    seeds = rng.normal(scale=0.05, size=(SEEDS, 1))
    return _two_ways(shared + seeds + rng.normal(size=(SEEDS, DATES)), DATE_LAGS)


def _tickers(rng: Rng) -> tuple[bool, bool]:
    """Averaged over tickers that share half of their variance, per date."""
    common, own = _series(rng, 1)[:, 0], _series(rng, TICKERS).mean(axis=1)
    shared = np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own
    cells = rng.normal(size=(SEEDS, DATES)) / np.sqrt(TICKERS)
    return _two_ways(shared + rng.normal(scale=0.05, size=(SEEDS, 1)) + cells, DATE_LAGS)


def _items(rng: Rng) -> tuple[bool, bool]:
    """Right or wrong: each item leans to either arm, the same for all seeds; none on average."""
    lean = rng.normal(scale=0.2, size=ITEMS)
    seeds = rng.normal(scale=0.01, size=(SEEDS, 1))
    chance = np.clip(np.stack([0.5 + lean + seeds, 0.5 - lean - seeds]), 0, 1)
    right = rng.random((2, SEEDS, ITEMS)) < chance
    return _two_ways(right[0].astype(float) - right[1], 0)


def _saturating(rng: Rng) -> tuple[bool, bool]:
    """Does a part that does nothing help or hurt, where either of two others brings everything?"""
    every = frozenset(PARTS)
    on = [frozenset(), every, *(frozenset({p}) for p in PARTS), *(every - {p} for p in PARTS)]
    means = np.array([-float(bool(arm & {"a", "b"})) for arm in on])
    scores = means[:, None] + rng.normal(scale=0.2, size=(len(on), SEEDS))
    share = attribute(PARTS, on, scores, alpha=ALPHA).shares["c"].share
    return share.p <= ALPHA, share.low <= 0 <= share.high


def _looks(rng: Rng) -> tuple[bool, bool]:
    d, level = rng.normal(size=LOOKS[-1]), look_level(LOOKS, ALPHA)
    return any(paired(d[:n], ALPHA).p <= level for n in LOOKS), True


def _at_margin(rng: Rng) -> tuple[bool, bool]:
    return tost(rng.normal(size=SEEDS) + MARGIN, MARGIN) <= ALPHA, True


def _family(rng: Rng) -> tuple[bool, bool]:
    p = [tost(d, MARGIN) for d in rng.normal(size=(FAMILY, SEEDS)) + MARGIN]
    return bool((holm(p) <= ALPHA).any()), True


DRAWS: dict[str, Draw] = {
    "normal": lambda rng: rng.normal(size=SEEDS),
    "heavy tails (t, 3 degrees of freedom)": lambda rng: rng.standard_t(3, SEEDS),
    "skewed scores, equal arms (lognormal)": _skewed_arms,
    "skewed differences (lognormal, mean 0)": _skewed,
    "bimodal": _bimodal,
    "both arms collapse in 1 of 5": _both_collapse,
    "one arm collapses in 1 of 5 (mean 0)": _collapse,
    "arm-by-fold effects": _folds,
}
TRIALS: dict[str, Trial] = {
    f"dates, autocorrelation {PHI}": _dates,
    f"{TICKERS} tickers, correlation {CORRELATION}, autocorrelation {PHI}": _tickers,
    f"items, {ITEMS:,}, that lean alike for all seeds": _items,
    "saturating parts: one that does nothing": _saturating,
    f"looks at {', '.join(map(str, LOOKS))} seeds": _looks,
    "equivalence at the margin": _at_margin,
    f"equivalence at the margin, {FAMILY} questions under Holm": _family,
}
NO_INTERVAL = set(list(TRIALS)[4:])


def main() -> int:
    """Put the table at the end of a file and print it; the exit code: 1 where a scenario fails."""
    studies, path = int(sys.argv[1]), Path(sys.argv[2])
    rows = list(simulate(studies))
    before = path.read_text().partition(HEADING)[0] if path.exists() else ""
    path.write_text(f"{before}{HEADING}\n\n{markdown(rows)}\n")
    print(markdown(rows))
    return int(any(row.faults for row in rows))


if __name__ == "__main__":
    sys.exit(main())
