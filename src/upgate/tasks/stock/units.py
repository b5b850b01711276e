"""What each test date adds to a score: the date's part of the log of the MSE ratio.

The score is the mean over tickers of log MSE; a date's errors move it, to first order, by their
excess over the ticker's mean error, over that mean.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from upgate.stats.estimate import Floats
from upgate.stats.two_way import date_lags
from upgate.tasks.significance import StudyRuns, UnitScores

FORECAST = "forecast"
REFERENCES = ("persistence", "drift", "har", "har_leverage", "ewma", "ar1", "ridge")


def date_scores(runs: StudyRuns) -> UnitScores:
    """Deviations per label date, all folds in order; an arm with a diverged run has none.

    Persistence and its like are the same for every arm and seed; they are read from one run.
    """
    deviations: dict[str, Floats] = {}
    for arm, cells in runs.cells.items():
        seeds = dict.fromkeys(seed for seed, _ in cells)
        rows = [_seed_deviations(runs, arm, seed, [FORECAST]) for seed in seeds]
        if all(row is not None for row in rows):
            frames = [row for row in rows if row is not None]
            deviations[arm] = np.stack([frame[FORECAST].to_numpy() for frame in frames])
            if arm == runs.baseline:
                deviations |= _references(runs, cells[0][0])
    dates = next((values.shape[1] for values in deviations.values()), 0)
    return UnitScores(deviations, date_lags(dates, int(runs.settings["horizon"])))


def _references(runs: StudyRuns, seed: int) -> dict[str, Floats]:
    frame = _seed_deviations(runs, runs.baseline, seed, REFERENCES)
    if frame is None:
        return {}
    return {str(name): values.to_numpy()[None] for name, values in frame.items()}


def _seed_deviations(
    runs: StudyRuns, arm: str, seed: int, names: Sequence[str]
) -> pd.DataFrame | None:
    """A row per date of every fold, a column per forecaster that is there; None if one diverged."""
    tables = [runs.table(arm, (seed, fold), "forecasts") for fold in runs.folds]
    folds = [fold_deviations(table, names) for table in tables if table is not None]
    if len(folds) < len(tables):
        return None
    total = sum(map(len, folds))
    return pd.concat([fold * (total / len(folds)) for fold in folds])


def moving_tickers(forecasts: pd.DataFrame) -> pd.DataFrame:
    """The rows of tickers whose price moves: at others persistence has no error to compare with."""
    if "persistence" not in forecasts:
        return forecasts
    moves = forecasts["truth"] != forecasts["persistence"]
    return forecasts[moves.groupby(forecasts["ticker"]).transform("any")]


def fold_deviations(forecasts: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Each label date's part of the mean over tickers of log MSE; the sum over dates is 0.

    A forecaster without an error at some ticker has no log, and is left out.
    """
    forecasts = moving_tickers(forecasts)
    ticker = forecasts["ticker"]
    sizes = ticker.groupby(ticker).transform("size") * ticker.nunique()
    columns = {}
    for name in names:
        if name in forecasts:
            error = (forecasts[name] - forecasts["truth"]) ** 2
            mean = error.groupby(ticker).transform("mean")
            if (mean > 0).all():
                columns[name] = (error / mean - 1) / sizes
    return pd.DataFrame(columns).groupby(forecasts["label_date"], sort=True).sum()
