"""The report's sections of a study on prices: forecasts, the difference over time, tickers."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from upgate.page.figure import MAX_ROWS, Comparison, Figure, RunTables, figure_section
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Html
from upgate.page.svg import Line, date_ticks, epoch_days, format_number, line_figure, thin_indices
from upgate.page.translations import Translator
from upgate.tasks.stock.texts import TEXTS

FORECAST_DAYS = 90  # in the picture of a forecast: more cannot be told apart on a phone


def price_sections(comparison: Comparison, w: Translator) -> list[Html]:
    """Forecasts of the last fold, the difference over time, and the tickers.

    Forecasts of one fold alone, for those of all folds may be 100 MB.
    """
    w = w.extended(TEXTS)
    baseline, arm, tables = comparison.baseline, comparison.arm, comparison.tables
    base_tickers, arm_tickers = (tables.runs(name, "tickers") for name in (baseline, arm))
    fold = max(folds_of(base_tickers) & folds_of(arm_tickers), default=None)
    base_forecasts: RunTables = {}
    arm_forecasts: RunTables = {}
    if fold is not None:
        base_forecasts = tables.runs(baseline, "forecasts", fold)
        arm_forecasts = tables.runs(arm, "forecasts", fold)
    return [
        figure_section(forecast(baseline, base_forecasts, arm, arm_forecasts, w), w),
        figure_section(lead(comparison, w), w),
        figure_section(tickers(comparison, base_tickers, arm_tickers, w), w),
    ]


def folds_of(runs: RunTables) -> set[int]:
    return {fold for _, fold in runs}


def forecast(
    baseline: str, base_runs: RunTables, arm: str, arm_runs: RunTables, w: Translator
) -> Figure | None:
    """The first ticker of the last fold that both have: truth and forecasts, means over seeds."""
    fold = max(folds_of(arm_runs) & folds_of(base_runs), default=None)
    if fold is None:
        return None
    frame = _mean_over_seeds(arm_runs, fold)
    ticker = frame["ticker"].iloc[0]
    days = _of_ticker(frame, ticker).tail(FORECAST_DAYS)
    prefix = "price_" if "price_truth" in days else ""
    base = _of_ticker(_mean_over_seeds(base_runs, fold), ticker).reindex(days.index)
    truth = days[f"{prefix}truth"]
    series = {
        ("persistence", w("persistence")): days[f"{prefix}persistence"],
        ("base", baseline): base[f"{prefix}forecast"],
        ("truth", w("truth")): truth,
        ("arm", arm): days[f"{prefix}forecast"],
    }
    x = epoch_days(pd.Series(days.index))
    lines = [Line(name, kind, x, y.to_numpy(float)) for (kind, name), y in series.items()]
    errors = ", ".join(
        f"{name} {format_number(float((y - truth).abs().mean()))}"
        for (kind, name), y in series.items()
        if kind != "truth"
    )
    unit = w("unit_price" if prefix else "unit_target")
    return Figure(
        w("forecast"),
        line_figure(lines, date_ticks(x[0], x[-1])),
        w("forecast_label", ticker=ticker, baseline=baseline, arm=arm, errors=errors),
        [w("date"), *(line.name for line in lines)],
        [
            [f"{days.index[i]:%Y-%m-%d}", *(format_number(float(line.y[i]), 6) for line in lines)]
            for i in thin_indices(len(days), MAX_ROWS)
        ],
        w("forecast_note", ticker=ticker, shown=len(days), fold=fold, unit=unit),
    )


def _of_ticker(frame: pd.DataFrame, ticker: str) -> pd.DataFrame:
    return frame[frame["ticker"] == ticker].set_index("label_date")


def _mean_over_seeds(runs: RunTables, fold: int) -> pd.DataFrame:
    frames = [frame for (_, run_fold), frame in runs.items() if run_fold == fold]
    mean = frames[0].copy()
    for column in ("forecast", "price_forecast"):
        if column in mean:
            mean[column] = np.mean([frame[column].to_numpy(float) for frame in frames], axis=0)
    return mean


def lead(comparison: Comparison, w: Translator) -> Figure | None:
    """The others' losses minus the arm's, summed over the test dates."""
    arm, dates = comparison.arm, comparison.dates
    losses = {name: np.asarray(series, float) for name, series in comparison.losses.items()}
    kinds = {comparison.baseline: "base", "persistence": "persistence", "har": "truth"}
    others = [name for name in kinds if name in losses]
    if arm not in losses or not others or not dates or not np.isfinite(losses[arm]).all():
        return None
    x = epoch_days(pd.Series(dates))
    lines = []
    for name in others:
        title = w("against", name=w("persistence") if name == "persistence" else name)
        lines.append(Line(title, kinds[name], x, np.cumsum(losses[name] - losses[arm])))
    return _lead_figure(lines, dates, arm, w)


def _lead_figure(lines: list[Line], dates: Sequence[str], arm: str, w: Translator) -> Figure:
    x = lines[0].x
    ends = ", ".join(f"{format_number(float(line.y[-1]))} {line.name}" for line in lines)
    return Figure(
        w("lead"),
        line_figure(lines, date_ticks(x[0], x[-1]), zero=True),
        w("lead_label", arm=arm, said=ends),
        [w("date"), *(line.name for line in lines)],
        [
            [dates[i], *(format_number(float(line.y[i])) for line in lines)]
            for i in thin_indices(len(x), MAX_ROWS)
        ],
        w("lead_note", arm=arm),
    )


def tickers(
    comparison: Comparison, base_runs: RunTables, arm_runs: RunTables, w: Translator
) -> Figure | None:
    """Each ticker's MSE over persistence's, both recipes."""
    baseline, arm = comparison.baseline, comparison.arm
    base, candidate = ratios(base_runs), ratios(arm_runs)
    names = sorted(candidate.keys() & base.keys(), key=lambda name: (candidate[name], name))
    if not names:
        return None
    rows = []
    for i in thin_indices(len(names), MAX_ROWS):
        first, second = base[names[i]], candidate[names[i]]
        text = f"{format_number(first)} → {format_number(second)}"
        rows.append(ForestRow(names[i], second, text, first))
    body = []
    for name in names:
        direct = comparison.ratios.get(name, candidate[name] / base[name])
        numbers = (base[name], candidate[name], direct)
        body.append([name, *map(format_number, numbers)])
    wins = sum(candidate[name] < base[name] for name in names)
    ends = (w("better_left"), w("worse_right"))
    return Figure(
        w("tickers"),
        forest_plot(rows, 1.0, None, ends, log=True),
        w("tickers_label", n=len(names), arm=arm, baseline=baseline, wins=wins),
        [w("ticker"), baseline, arm, f"{arm} / {baseline}"],
        body,
        _tickers_note(comparison, len(rows), len(names), w),
    )


def _tickers_note(comparison: Comparison, shown: int, total: int, w: Translator) -> str:
    overall, thinned = "", ""
    if ratio := comparison.ratio:
        values = {"ratio": ratio.effect, "low": ratio.low, "high": ratio.high}
        overall = w("tickers_whole", **{key: format_number(x) for key, x in values.items()})
    if shown < total:
        thinned = w("shown_of", shown=shown, all=total)
    text = w("tickers_note", baseline=comparison.baseline, arm=comparison.arm)
    return w.sentences(text, overall, thinned)


def ratios(runs: RunTables) -> Mapping[str, float]:
    """Ticker -> MSE over persistence's, the geometric mean over runs."""
    if not runs:
        return {}
    moving = [frame[frame["persistence"] > 0] for frame in runs.values()]
    frames = [frame.assign(log=_log_ratio(frame)) for frame in moving]
    means = pd.concat(frames).groupby("ticker")["log"].mean()
    return {str(name): math.exp(value) for name, value in means.items()}


def _log_ratio(frame: pd.DataFrame) -> pd.Series:
    ratio: pd.Series = frame["forecast"].astype(float) / frame["persistence"].astype(float)
    return ratio.map(math.log)
