"""`upgate study selftest`: are verdicts fair, and does a run find what is there and nothing else?

Simulated studies for the verdicts; real trainings of a small LSTM on simulated prices for the rest:
a random walk, which nobody can predict, and returns that follow an AR(1) with phi = .2, of whose
variance 4% can be predicted.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.text import Text
from scipy import stats

from upgate.console import new_table
from upgate.experiment.jobs import make_job
from upgate.messages import Message, joined, shown
from upgate.run.datasets import Datasets
from upgate.run.train import train
from upgate.stats.estimate import Floats
from upgate.stats.power import power
from upgate.stats.verdict import verdict
from upgate.study.simulation import simulate
from upgate.study.texts import say
from upgate.tasks.names import get_facts

TASK = "stock"  # on simulated prices, whose predictable part is known
STUDIES, SEEDS, ALPHA = 400, 6, 0.05
PLANTED = 1.5  # standard deviations of a seed's difference: 6 seeds find it about 85% of the time
SCENARIO_STUDIES = 60  # of each scenario; `make selftest` takes more
TINY = 1e-9  # a margin within which nothing is equivalent, so that the t-test alone speaks
DAYS, PHI = 4000, 0.2
SMALL = (  # the upgraded recipe on what a laptop's core does in ten seconds
    f"task={TASK}",
    "data=prices",
    "task.window=5",
    "task.features=[close_return]",
    "model.hidden_size=8",
    "model.num_layers=1",
    "trainer.max_epochs=6",
    "trainer.accelerator=cpu",
    "optimizer.lr=3e-3",
    "threads=1",
)


@dataclass(frozen=True)
class Check:
    """A control: its value, and the bounds between which it should lie."""

    name: str
    value: float
    low: float
    high: float
    form: str = ".1%"

    @property
    def holds(self) -> bool:
        return self.low <= self.value <= self.high

    @property
    def bounds(self) -> str:
        low, high = format(self.low, self.form), format(self.high, self.form)
        return low if self.low == self.high else say("range", first=low, last=high)


def selftest(console: Console, seed: int = 0) -> int:
    """Run every control and show it; the exit code: 0 where all hold, else 1."""
    start = time.monotonic()
    checks = [*check_simulations(seed), zero_control(), *check_trainings(seed)]
    title = say("selftest_title", studies=STUDIES, seeds=SEEDS)
    table = new_table(title, "", say("found"), say("should_be"), "")
    for check in checks:
        outcome = say("holds") if check.holds else Text(shown(say("fails_red")), "red")
        value = format(check.value, check.form)
        table.add_row(check.name, value, check.bounds, outcome)
    console.print(table)
    failed = sum(not check.holds for check in checks)
    wrong = show_scenarios(console, seed)
    summary: Message = say("controls_hold", n=len(checks))
    if failed:
        summary = say("controls_fail", failed=failed, n=len(checks))
    if wrong:
        summary = joined([summary, say("scenarios_fail", n=wrong)], "sentences")
    line = say("in_seconds", summary=summary, n=f"{time.monotonic() - start:.0f}")
    console.print(shown(line), highlight=False)
    return 1 if failed or wrong else 0


def show_scenarios(console: Console, seed: int) -> int:
    """Print level, coverage and power of every simulated scenario; how many of them fail."""
    title = say("scenarios_title", n=SCENARIO_STUDIES)
    table = new_table(title, "", *map(say, ("level", "nominal", "coverage", "power")), "")
    rows = list(simulate(SCENARIO_STUDIES, seed))
    for row in rows:
        outcome = Text(shown(say("fails_red")), "red") if row.faults else say("holds")
        coverage = "" if row.coverage is None else f"{row.coverage:.0%}"
        found = "" if row.power is None else f"{row.power:.0%} ({row.planned:.0%})"
        level, nominal = f"{row.level:.0%}", f"{row.nominal:.0%}"
        name = say.of("scenario", row.name)
        table.add_row(name, level, nominal, coverage, found, outcome)
    console.print(table)
    return sum(bool(row.faults) for row in rows)


def check_simulations(seed: int) -> list[Check]:
    """Share of simulated studies that find a difference.

    Between one recipe and itself, and between recipes that differ.
    """
    rng = np.random.default_rng(seed)
    same = found_differences(rng.normal(size=(STUDIES, SEEDS)))
    planted = found_differences(rng.normal(PLANTED, size=(STUDIES, SEEDS)))
    name = say("check_planted", size=str(PLANTED))
    return [
        Check(say("check_aa"), same, *rate_bounds(ALPHA)),
        Check(name, planted, *rate_bounds(power(PLANTED, SEEDS, ALPHA))),
    ]


def found_differences(differences: Floats) -> float:
    """Share of studies, (studies, seeds), whose verdict is helps or hurts."""
    labels = [verdict(d, TINY, ALPHA).label for d in differences]
    return float(np.mean([label in ("helps", "hurts") for label in labels]))


def rate_bounds(rate: float) -> tuple[float, float]:
    """Where 99.9% of the simulated rates lie if the true one is `rate`."""
    low, high = stats.binom.interval(0.999, STUDIES, rate)
    return float(low / STUDIES), float(high / STUDIES)


def zero_control() -> Check:
    """The largest difference that independent updates make to the traditional recipe's scores.

    It must be 0.
    """
    overrides = (
        "recipe=traditional",
        "data=sp500",
        "data.start=2016",
        "trainer.max_epochs=1",
        "optimizer.lr=1e-3",
    )
    joint, independent = (
        score_training(overrides),
        score_training((*overrides, "layerwise=independent")),
    )
    difference = max(abs(joint[name] - independent[name]) for name in joint)
    return Check(say("check_independent"), difference, 0.0, 0.0, "g")


def check_trainings(seed: int) -> list[Check]:
    """One training on a random walk and one on an AR(1): the MSE over persistence's, 600 days."""
    metric = get_facts(TASK).metric.key
    with tempfile.TemporaryDirectory() as folder:
        walk, ar = Path(folder) / "walk.csv", Path(folder) / "ar.csv"
        simulate_prices(0.0, seed).to_csv(walk, index=False)
        simulate_prices(PHI, seed).to_csv(ar, index=False)
        ratios = [score_training((f"data.path={path}",))[metric] for path in (walk, ar)]
    return [
        Check(say("check_walk"), ratios[0], 0.99, 1.05, ".4f"),
        Check(say("check_returns", share=f"{PHI**2:.0%}"), ratios[1], 0.91, 0.99, ".4f"),
    ]


def simulate_prices(phi: float, seed: int) -> pd.DataFrame:
    """Closing prices whose daily log returns follow r[t] = phi r[t-1] + noise.

    The noise has a standard deviation of 1%.
    """
    noise = np.random.default_rng(seed).normal(size=DAYS)
    returns = np.empty(DAYS)
    last = 0.0
    for t, e in enumerate(noise):
        last = returns[t] = phi * last + e
    days = pd.bdate_range("2000-01-03", periods=DAYS)
    close = 100 * np.exp(0.01 * np.cumsum(returns))
    return pd.DataFrame({"date": days, **dict.fromkeys(("open", "high", "low", "close"), close)})


def score_training(overrides: Sequence[str]) -> dict[str, float]:
    """The test scores of one training outside any store."""
    given = {override.partition("=")[0] for override in overrides}
    defaults = [one for one in SMALL if one.partition("=")[0] not in given]
    datasets = Datasets()
    job = make_job([*overrides, *defaults], datasets, None)
    with tempfile.TemporaryDirectory() as folder:
        silent: Any = {"enable_progress_bar": False}
        outcome = train(
            job.spec,
            datasets.fetch(job)[1],
            Path(folder),
            lambda *_: None,
            Console(quiet=True),
            job.name,
            silent,
        )
    return {name: value for name, value in outcome.metrics.items() if name.startswith("test/")}
