"""What test dates and tickers say about forecasts, beyond seeds: loss series, Diebold-Mariano, Clark-West, per-ticker ratios."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from upgate.run.store import Row
from upgate.study.result import Second, Study
from upgate.study.stats import Interval
from upgate.study.stats_forecast import confidence_set, diebold_mariano, t_of_mean
from upgate.study.stats_many import cluster_bootstrap

Cells = Mapping[tuple[int, int], Row]
Tables = Callable[[Row, str], pd.DataFrame]
REFERENCES = ("persistence", "drift", "har")
SKILL = "skill"  # Clark and West's adjusted gain over persistence, a column beside the losses


def second(study: Study, runs: Mapping[str, Cells], tables: Tables) -> dict[str, Any]:
    """Fields of a StudyResult. runs: complete arms; one with a diverged run has no loss series, and its tests are undefined."""
    series = {name: over_seeds(study, cells, tables) for name, cells in runs.items()}
    finite = {name: frame for name, frame in series.items() if frame is not None}
    base = finite.get(study.baseline)
    horizon = int(study.frozen["task"]["horizon"])
    shown = {name: frame["forecast"].tolist() for name, frame in finite.items()}
    if base is not None:
        shown |= {name: base[name].tolist() for name in REFERENCES if name in base}
    found = {name: [] if frame is None else tests(study, name, frame, base, horizon) for name, frame in series.items()}
    theirs = runs.get(study.baseline, {})
    values = {name: ticker_logs(study, cells, theirs, tables) for name, cells in runs.items() if name != study.baseline}
    values = {name: frame for name, frame in values.items() if not frame.empty}
    return {
        "second": found,
        "confidence_set": confidence_set({name: frame["forecast"].to_numpy() for name, frame in finite.items()}) if len(finite) > 1 else {},
        "tickers": {name: {str(t): float(np.exp(x)) for t, x in frame.mean(axis=1).items()} for name, frame in values.items()},
        "ticker_interval": {name: Interval(*np.exp(cluster_bootstrap(frame.to_numpy(float))).tolist()) for name, frame in values.items()},
        "dates": [] if base is None else [f"{day:%Y-%m-%d}" for day in base.index],
        "losses": shown,
    }


def over_seeds(study: Study, cells: Cells, tables: Tables) -> pd.DataFrame | None:
    """Losses per date, averaged over seeds first, all folds in the order of time; None where a run diverged."""
    if any(row.diverged for row in cells.values()):
        return None
    seeds = list(dict.fromkeys(seed for seed, _ in cells))
    folds = []
    for fold in study.folds:
        first, *others = (losses(tables(cells[seed, fold], "forecasts")) for seed in seeds)
        folds.append(sum(others, first))
    return pd.concat(folds).sort_index() / len(seeds)


def losses(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Squared errors over persistence's mean one of the same ticker and fold, then the mean over tickers; a row per label date."""
    error = {name: (forecasts[name] - forecasts["truth"]) ** 2 for name in ("forecast", *REFERENCES) if name in forecasts}
    unit = error["persistence"].groupby(forecasts["ticker"]).transform("mean")
    skill = error["persistence"] - error["forecast"] + (forecasts["persistence"] - forecasts["forecast"]) ** 2
    frame = pd.DataFrame({**error, SKILL: skill}).div(unit, axis=0)
    return frame.groupby(forecasts["label_date"], sort=True).mean()


def tests(study: Study, name: str, own: pd.DataFrame, base: pd.DataFrame | None, horizon: int) -> list[Second]:
    """Against the baseline on the same dates, and against persistence, of which every forecast is an extension."""
    found = []
    if base is not None and name != study.baseline:
        outcome = diebold_mariano(own["forecast"].to_numpy(), base["forecast"].to_numpy(), horizon)
        gap = float((own["forecast"] - base["forecast"]).mean())
        found.append(Second("Diebold-Mariano", gap, *around(gap, outcome.statistic, len(own), study.alpha), outcome.p))
    statistic = t_of_mean(own[SKILL].to_numpy(), horizon)
    gain = float(own[SKILL].mean())
    found.append(Second("Clark-West, persistence", gain, *around(gain, statistic, len(own), study.alpha), float(stats.norm.sf(statistic))))
    return found


def around(mean: float, statistic: float, n: int, alpha: float) -> tuple[float, float]:
    """The interval that belongs to a t statistic."""
    if statistic == 0 or not np.isfinite(statistic):
        return mean, mean
    half = abs(mean / statistic) * float(stats.t.isf(alpha / 2, n - 1))
    return mean - half, mean + half


def ticker_logs(study: Study, own: Cells, base: Cells, tables: Tables) -> pd.DataFrame:
    """log of MSE over the baseline's: a row per ticker, a column per seed, the mean over folds; inf for a diverged run."""
    seeds = [seed for seed in study.seeds if all((seed, fold) in own and (seed, fold) in base for fold in study.folds)]
    columns = {}
    for seed in seeds:
        gaps = [gap(own[seed, fold], base[seed, fold], tables) for fold in study.folds]
        columns[seed] = pd.concat(gaps, axis=1).mean(axis=1)
    return pd.DataFrame(columns).dropna()


def gap(own: Row, base: Row, tables: Tables) -> pd.Series:
    """log ratio per ticker of one run and the baseline's; two diverged runs differ by nothing, but then no ticker is known."""
    mine, theirs = (None if row.diverged else tables(row, "tickers").set_index("ticker")["forecast"] for row in (own, base))
    if mine is None or theirs is None:
        known = theirs if mine is None else mine
        return pd.Series(dtype=float) if known is None else pd.Series(np.inf if mine is None else -np.inf, known.index)
    return pd.Series(np.log(mine / theirs))
