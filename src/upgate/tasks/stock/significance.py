"""What test dates and tickers say about forecasts, beyond seeds.

Loss series, Diebold-Mariano, Clark-West, ratios by ticker.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from upgate.data.prices.reference_names import REFERENCES
from upgate.stats.estimate import Floats, Interval
from upgate.stats.forecast import (
    clark_west,
    clark_west_gain,
    confidence_set,
    diebold_mariano,
    seeds_and_dates,
)
from upgate.stats.paired import t_interval
from upgate.stats.panel import LossPanel, ratio_over_tickers
from upgate.stats.verdict import FEWEST
from upgate.tasks.significance import BeyondSeeds, Cell, Significance, StudyRuns
from upgate.tasks.stock.texts import BOTH_WAYS, OVER_PERSISTENCE, SEEDS_FIXED
from upgate.tasks.stock.units import moving_tickers

FEWEST_DATES = 8  # of a fold: two lags
INTERVAL_DATES = 500  # of all folds: with 250 an interval of 95% held 92% (stats/panel.py)
SKILL = "skill"  # Clark and West's adjusted gain over persistence, a column beside the losses


def _seed_means(by_seed: Mapping[str, list[pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Mean losses over seeds of every arm that has any."""
    trained = {arm: frames for arm, frames in by_seed.items() if frames}
    return {arm: sum(frames[1:], frames[0]) / len(frames) for arm, frames in trained.items()}


def _confidence(series: Mapping[str, pd.Series]) -> dict[str, float]:
    """The model confidence set of two arms or more."""
    if len(series) < 2:
        return {}
    return confidence_set({arm: values.to_numpy() for arm, values in series.items()})


def compare_forecasts(runs: StudyRuns) -> BeyondSeeds:
    """An arm with a diverged run has no loss series and no tests."""
    by_seed = {arm: seed_losses(runs, arm) for arm in runs.cells}
    means = _seed_means(by_seed)
    series = {arm: frame["forecast"] for arm, frame in means.items()}
    losses_by_date = {arm: values.tolist() for arm, values in series.items()}
    dates: list[str] = []
    if runs.baseline in means:
        baseline = means[runs.baseline]
        dates = [f"{day:%Y-%m-%d}" for day in baseline.index]
        # Runs of an older version have fewer references: those that not all have are left out.
        losses_by_date |= {
            name: baseline[name].tolist()
            for name in REFERENCES
            if name in baseline and baseline[name].notna().all()
        }
    logs = ticker_logs_by_arm(runs)
    return BeyondSeeds(
        second={arm: forecast_tests(runs, by_seed, arm) for arm in by_seed},
        confidence_set=_confidence(series),
        tickers={arm: ticker_ratios(frame) for arm, frame in logs.items()},
        ticker_interval=ticker_intervals(runs, list(logs)),
        dates=dates,
        losses=losses_by_date,
    )


def seed_losses(runs: StudyRuns, arm: str) -> list[pd.DataFrame]:
    """Losses per date of each seed, all folds in the order of time; none where a run diverged."""
    by_seed = []
    for seed in dict.fromkeys(seed for seed, _ in runs.cells[arm]):
        tables = [runs.table(arm, (seed, fold), "forecasts") for fold in runs.folds]
        folds = [date_losses(table) for table in tables if table is not None]
        if len(folds) < len(tables):
            return []
        by_seed.append(pd.concat(folds).sort_index())
    return by_seed


def date_losses(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Squared errors over persistence's mean one of the same ticker and fold, mean over tickers.

    A row per label date, a column per forecast.
    """
    forecasts = moving_tickers(forecasts)
    error = {
        name: (forecasts[name] - forecasts["truth"]) ** 2
        for name in ("forecast", *REFERENCES)
        if name in forecasts
    }
    unit = error["persistence"].groupby(forecasts["ticker"]).transform("mean")
    columns = (forecasts[name].to_numpy() for name in ("truth", "persistence", "forecast"))
    skill = clark_west_gain(*columns)
    frame = pd.DataFrame({**error, SKILL: skill}).div(unit, axis=0)
    return frame.groupby(forecasts["label_date"], sort=True).mean()


def forecast_tests(
    runs: StudyRuns, by_seed: dict[str, list[pd.DataFrame]], arm: str
) -> list[Significance]:
    """Against the baseline on the same dates and seeds, and against persistence."""
    horizon = int(runs.settings["horizon"])
    candidate, baseline = by_seed[arm], by_seed.get(runs.baseline, [])
    tests = []
    if candidate and baseline and arm != runs.baseline:
        tests += against_baseline(candidate, baseline, horizon, runs.alpha)
    if candidate:
        tests.append(against_persistence(candidate, horizon, runs.alpha))
    return tests


def against_baseline(
    candidate: list[pd.DataFrame], baseline: list[pd.DataFrame], horizon: int, alpha: float
) -> list[Significance]:
    """Two tests of the loss difference; losses: a frame per seed.

    Diebold-Mariano takes the average over seeds, and so regards these trained models as fixed: it
    calls two draws of one recipe different in 35 to 52% of cases (simulated at 5%). Seeds and
    dates, clustered both ways, does not.
    """
    a, b = stacked(candidate, "forecast"), stacked(baseline, "forecast")
    difference = float((a - b).mean())
    tests = []
    for name, outcome, n in (
        (BOTH_WAYS, seeds_and_dates(a, b, horizon), min(a.shape)),
        (SEEDS_FIXED, diebold_mariano(a, b, horizon), a.shape[1]),
    ):
        low, high = t_interval(difference, outcome.statistic, n, alpha)
        tests.append(Significance(name, difference, low, high, outcome.p))
    return tests


def against_persistence(candidate: list[pd.DataFrame], horizon: int, alpha: float) -> Significance:
    """Clark-West, for every forecast is an extension of persistence."""
    skill = stacked(candidate, SKILL).mean(axis=0)
    outcome, gain = clark_west(skill, horizon), float(skill.mean())
    low, high = t_interval(gain, outcome.statistic, len(skill), alpha)
    return Significance(OVER_PERSISTENCE, gain, low, high, outcome.p)


def stacked(frames: list[pd.DataFrame], column: str) -> Floats:
    """(seeds, dates)"""
    return np.stack([frame[column].to_numpy(float) for frame in frames])


def ticker_logs_by_arm(runs: StudyRuns) -> dict[str, pd.DataFrame]:
    """The arms but the baseline that have tickers in common with it -> `ticker_logs`."""
    if runs.baseline not in runs.cells:
        return {}
    logs = {arm: ticker_logs(runs, arm) for arm in runs.cells if arm != runs.baseline}
    return {arm: frame for arm, frame in logs.items() if not frame.empty}


def ticker_intervals(runs: StudyRuns, arms: Sequence[str]) -> dict[str, Interval]:
    """All tickers in one number, about new dates and seeds.

    None of an arm with a diverged run or where the baseline has one; none below six seeds, or 500
    dates.
    """
    losses = {arm: fold_losses(runs, arm) for arm in (runs.baseline, *arms)}
    base = losses[runs.baseline]
    found = {}
    for arm in arms:
        panels = [pair_losses(own, other) for own, other in zip(losses[arm], base, strict=False)]
        pairs = [one for one in panels if one is not None and one.arm.shape[0] >= FEWEST]
        if len(pairs) == len(panels) and sum(one.arm.shape[-1] for one in pairs) >= INTERVAL_DATES:
            found[arm] = ratio_over_tickers(pairs, int(runs.settings["horizon"]))
    return found


def fold_losses(runs: StudyRuns, arm: str) -> list[dict[int, pd.DataFrame]]:
    """By fold, then by seed, `ticker_losses`; empty where a run diverged."""
    if arm not in runs.cells:
        return []
    seeds = list(dict.fromkeys(seed for seed, _ in runs.cells[arm]))
    folds = []
    for fold in runs.folds:
        tables = {seed: runs.table(arm, (seed, fold), "forecasts") for seed in seeds}
        if any(table is None for table in tables.values()):
            return []
        folds.append({s: ticker_losses(table) for s, table in tables.items() if table is not None})
    return folds


def ticker_losses(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Squared errors of one run: a row per ticker, a column per label date; 0 for no such date."""
    forecasts = moving_tickers(forecasts)
    error = (forecasts["forecast"] - forecasts["truth"]) ** 2
    keyed = error.groupby([forecasts["ticker"], forecasts["label_date"]]).sum()
    return keyed.unstack(fill_value=0).sort_index(axis=1)


def pair_losses(arm: dict[int, pd.DataFrame], base: dict[int, pd.DataFrame]) -> LossPanel | None:
    """The seeds and tickers that both have; None where the data say nothing about new dates."""
    seeds = [seed for seed in arm if seed in base]
    if not seeds:
        return None
    tickers = arm[seeds[0]].index.intersection(base[seeds[0]].index)
    own, other = (
        np.stack([losses[seed].loc[tickers].to_numpy(float) for seed in seeds])
        for losses in (arm, base)
    )
    return LossPanel(own, other) if own.shape[-1] >= FEWEST_DATES else None


def ticker_ratios(logs: pd.DataFrame) -> dict[str, float]:
    """Ticker -> geometric mean of the ratios over seeds."""
    return {str(ticker): float(np.exp(log)) for ticker, log in logs.mean(axis=1).items()}


def ticker_logs(runs: StudyRuns, arm: str) -> pd.DataFrame:
    """log of MSE over the baseline's: a row per ticker, a column per seed, the mean over folds.

    inf for a diverged run.
    """
    columns = {}
    for seed in dict.fromkeys(seed for seed, _ in runs.cells[arm]):
        ratios = [log_ratio(runs, arm, (seed, fold)) for fold in runs.folds]
        columns[seed] = pd.concat(ratios, axis=1).mean(axis=1)
    return pd.DataFrame(columns).dropna()


def log_ratio(runs: StudyRuns, arm: str, cell: Cell) -> pd.Series:
    """log ratio by ticker of one run and the baseline's; empty where both diverged."""
    candidate, baseline = ticker_errors(runs, arm, cell), ticker_errors(runs, runs.baseline, cell)
    if candidate is not None and baseline is not None:
        return pd.Series(np.log(candidate / baseline))
    if candidate is not None:
        return pd.Series(-np.inf, candidate.index)
    if baseline is not None:
        return pd.Series(np.inf, baseline.index)
    return pd.Series(dtype=float)


def ticker_errors(runs: StudyRuns, arm: str, cell: Cell) -> pd.Series | None:
    """MSE by ticker; None for a diverged run."""
    table = runs.table(arm, cell, "tickers")
    return None if table is None else table.set_index("ticker")["forecast"]
