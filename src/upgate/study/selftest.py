"""`upgate study selftest`: is the judge fair, and does a run see what is there and nothing else?

Simulated studies for the verdicts; real trainings of a small LSTM on simulated prices for the rest: a random walk, which nobody can
predict, and returns that follow an AR(1) with phi = .2, of whose variance 4% can be predicted.
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
from upgate.run.datasets import Datasets
from upgate.run.train import train
from upgate.stats.paired import Floats
from upgate.stats.power import power
from upgate.stats.verdict import verdict
from upgate.tasks.registry import get_task

TASK = "stock"  # on simulated prices, whose predictable part is known
STUDIES, SEEDS, ALPHA = 400, 6, 0.05
PLANTED = 1.5  # standard deviations of a seed's difference: 6 seeds find it about 85% of the time
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
    "twin=false",
)


@dataclass(frozen=True)
class Check:
    """A control: what it found, and between which numbers it should lie."""

    name: str
    found: float
    low: float
    high: float
    form: str = ".1%"

    @property
    def holds(self) -> bool:
        return self.low <= self.found <= self.high


def selftest(console: Console, seed: int = 0) -> int:
    """Run every control and show it; the exit code: 0 where all hold, else 1."""
    start = time.monotonic()
    checks = [*simulated(seed), zero(), *trained(seed)]
    table = new_table(
        f"self-test: {STUDIES} simulated studies of {SEEDS} seeds, and real trainings",
        "",
        "found",
        "should be",
        "",
    )
    for one in checks:
        span = (
            format(one.low, one.form)
            if one.low == one.high
            else f"{one.low:{one.form}} to {one.high:{one.form}}"
        )
        table.add_row(
            Text(one.name),
            format(one.found, one.form),
            span,
            "holds" if one.holds else "[red]FAILS[/]",
        )
    console.print(table)
    failed = sum(not one.holds for one in checks)
    said = (
        f"{failed} of {len(checks)} controls fail" if failed else f"all {len(checks)} controls hold"
    )
    console.print(f"{said}; {time.monotonic() - start:.0f} seconds", highlight=False)
    return 1 if failed else 0


def simulated(seed: int) -> list[Check]:
    """Share of simulated studies that find a difference: between one recipe and itself, and between recipes that differ."""
    rng = np.random.default_rng(seed)
    aa, planted = (
        rates(rng.normal(size=(STUDIES, SEEDS))),
        rates(rng.normal(PLANTED, size=(STUDIES, SEEDS))),
    )
    return [
        Check("A/A studies that find a difference", aa, *between(ALPHA)),
        Check(
            f"planted effect of {PLANTED} standard deviations, found",
            planted,
            *between(power(PLANTED, SEEDS, ALPHA)),
        ),
    ]


def rates(differences: Floats) -> float:
    """Share of studies, (studies, seeds), whose verdict is helps or hurts."""
    words = [verdict(d, TINY, ALPHA).label for d in differences]
    return float(np.mean([word in ("helps", "hurts") for word in words]))


def between(rate: float) -> tuple[float, float]:
    """Where 99.9% of the simulated rates lie if the true one is `rate`."""
    low, high = stats.binom.interval(0.999, STUDIES, rate)
    return float(low / STUDIES), float(high / STUDIES)


def zero() -> Check:
    """The largest difference that independent updates of the layers make to the traditional recipe's scores: none."""
    words = (
        "recipe=traditional",
        "data=sp500",
        "data.start=2016",
        "trainer.max_epochs=1",
        "optimizer.lr=1e-3",
    )
    joint, independent = (scores(words + more) for more in ((), ("layerwise=independent",)))
    return Check(
        "independent updates against joint ones",
        max(abs(joint[name] - independent[name]) for name in joint),
        0.0,
        0.0,
        "g",
    )


def trained(seed: int) -> list[Check]:
    """What one training finds in a random walk and in an AR(1): the MSE over persistence's, on 600 test days."""
    metric = get_task(TASK).metric.key
    with tempfile.TemporaryDirectory() as folder:
        walk, ar = Path(folder) / "walk.csv", Path(folder) / "ar.csv"
        prices(0.0, seed).to_csv(walk, index=False)
        prices(PHI, seed).to_csv(ar, index=False)
        found = [scores((f"data.path={path}",))[metric] for path in (walk, ar)]
    return [
        Check("random walk: MSE over persistence's, LSTM", found[0], 0.99, 1.05, ".4f"),
        Check(f"returns with {PHI**2:.0%} to predict: the same", found[1], 0.91, 0.99, ".4f"),
    ]


def prices(phi: float, seed: int) -> pd.DataFrame:
    """Closing prices whose daily log returns, 1% of standard deviation, follow r[t] = phi r[t-1] + noise."""
    noise = np.random.default_rng(seed).normal(size=DAYS)
    returns = np.empty(DAYS)
    last = 0.0
    for t, e in enumerate(noise):
        last = returns[t] = phi * last + e
    days = pd.bdate_range("2000-01-03", periods=DAYS)
    close = 100 * np.exp(0.01 * np.cumsum(returns))
    return pd.DataFrame({"date": days, **dict.fromkeys(("open", "high", "low", "close"), close)})


def scores(words: Sequence[str]) -> dict[str, float]:
    """The test scores of one training outside any store."""
    given = {word.partition("=")[0] for word in words}
    library = Datasets()
    job = make_job(
        [*words, *(word for word in SMALL if word.partition("=")[0] not in given)], library, None
    )
    with tempfile.TemporaryDirectory() as folder:
        silent: Any = {"enable_progress_bar": False}
        outcome = train(
            job.spec,
            library.fetch(job)[1],
            Path(folder),
            lambda *_: None,
            Console(quiet=True),
            job.name,
            silent,
        )
    return {name: value for name, value in outcome.metrics.items() if name.startswith("test/")}
