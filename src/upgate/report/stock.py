"""The pictures of a study on prices: forecast against truth and persistence, who leads when, ticker by ticker."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from upgate.report.figures import MOST, Figure, Runs
from upgate.report.forest_plot import Row, rows
from upgate.report.html import Html
from upgate.report.svg import Line, chart, day_ticks, days, legend, number, thin
from upgate.report.translations import Words
from upgate.study.result import StudyResult

SHOWN = 90  # test days in the picture of a forecast: more cannot be told apart on a phone


def forecast(baseline: str, theirs: Runs, arm: str, ours: Runs, w: Words) -> Figure | None:
    """The first ticker of the last fold that both have: truth and forecasts, means over seeds."""
    both = {fold for _, fold in ours} & {fold for _, fold in theirs}
    if not both:
        return None
    fold = max(both)
    ours_mean, theirs_mean = _over_seeds(ours, fold), _over_seeds(theirs, fold)
    ticker = ours_mean["ticker"].iloc[0]
    one = ours_mean[ours_mean["ticker"] == ticker].set_index("label_date").tail(SHOWN)
    prefix = "price_" if "price_truth" in one else ""
    other = (
        theirs_mean[theirs_mean["ticker"] == ticker]
        .set_index("label_date")[f"{prefix}forecast"]
        .reindex(one.index)
    )
    series = {
        ("persistence", w("persistence")): one[f"{prefix}persistence"],
        ("base", baseline): other,
        ("truth", w("truth")): one[f"{prefix}truth"],
        ("arm", arm): one[f"{prefix}forecast"],
    }
    truth = one[f"{prefix}truth"]
    x = days(pd.Series(one.index))
    lines = [Line(name, kind, x, values.to_numpy(float)) for (kind, name), values in series.items()]
    picture = Html(chart(lines, day_ticks(x[0], x[-1])) + legend(list(series)))
    errors = ", ".join(
        f"{name} {number(float((v - truth).abs().mean()))}"
        for (kind, name), v in series.items()
        if kind != "truth"
    )
    body = [
        [f"{one.index[i]:%Y-%m-%d}", *(number(float(v.iloc[i]), 6) for v in series.values())]
        for i in thin(len(one), MOST)
    ]
    unit = w("unit_price" if prefix else "unit_target")
    note = w("forecast_note", ticker=ticker, shown=len(one), fold=fold, unit=unit)
    label = w("forecast_label", ticker=ticker, baseline=baseline, arm=arm, errors=errors)
    return Figure(
        w("forecast"), picture, label, [w("date"), *(name for _, name in series)], body, note
    )


def _over_seeds(runs: Runs, fold: int) -> pd.DataFrame:
    frames = [frame for (_, f), frame in runs.items() if f == fold]
    mean = frames[0].copy()
    for column in ("forecast", "price_forecast"):
        if column in mean:
            mean[column] = np.mean([frame[column].to_numpy(float) for frame in frames], axis=0)
    return mean


def lead(result: StudyResult, arm: str, w: Words) -> Figure | None:
    """The others' losses minus the arm's, summed over the test dates."""
    losses = {name: np.asarray(series, float) for name, series in result.losses.items()}
    others = [name for name in (result.study.baseline, "persistence", "har") if name in losses]
    if arm not in losses or not others or not result.dates or not np.isfinite(losses[arm]).all():
        return None
    x = days(pd.Series(result.dates))
    kinds = {result.study.baseline: "base", "persistence": "persistence", "har": "truth"}
    drawn = [
        Line(
            w("against", name=w("persistence") if name == "persistence" else name),
            kinds[name],
            x,
            np.cumsum(losses[name] - losses[arm]),
        )
        for name in others
    ]
    picture = Html(
        chart(drawn, day_ticks(x[0], x[-1]), zero=True)
        + legend([(line.kind, line.name) for line in drawn])
    )
    body = [
        [result.dates[i], *(number(float(line.y[i])) for line in drawn)] for i in thin(len(x), MOST)
    ]
    said = ", ".join(f"{number(float(line.y[-1]))} {line.name}" for line in drawn)
    return Figure(
        w("lead"),
        picture,
        w("lead_label", arm=arm, said=said),
        [w("date"), *(one.name for one in drawn)],
        body,
        w("lead_note", arm=arm),
    )


def tickers(result: StudyResult, theirs: Runs, arm: str, ours: Runs, w: Words) -> Figure | None:
    """Each ticker's MSE over persistence's, both recipes."""
    base, mine = ratios(theirs), ratios(ours)
    names = sorted((name for name in mine if name in base), key=lambda name: mine[name])
    if not names:
        return None
    drawn = [names[i] for i in thin(len(names), MOST)]
    found = [
        Row(name, mine[name], f"{number(base[name])} → {number(mine[name])}", base[name])
        for name in drawn
    ]
    baseline, direct = result.study.baseline, result.tickers.get(arm, {})
    body = [
        [
            name,
            number(base[name]),
            number(mine[name]),
            number(direct.get(name, mine[name] / base[name])),
        ]
        for name in names
    ]
    columns = [w("ticker"), baseline, arm, f"{arm} / {baseline}"]
    note = w("tickers_note", baseline=baseline, arm=arm)
    if whole := result.ticker_interval.get(arm):
        note += " " + w(
            "tickers_whole",
            ratio=number(whole.effect),
            low=number(whole.low),
            high=number(whole.high),
        )
    if len(drawn) < len(names):
        note += " " + w("shown_of", shown=len(drawn), all=len(names))
    label = w(
        "tickers_label",
        n=len(names),
        arm=arm,
        baseline=baseline,
        wins=sum(mine[n] < base[n] for n in names),
    )
    return Figure(
        w("tickers"),
        rows(
            found,
            1.0,
            None,
            (w("better_left"), w("worse_left").removeprefix("← ") + " →"),
            log=True,
        ),
        label,
        columns,
        body,
        note,
    )


def ratios(runs: Runs) -> Mapping[str, float]:
    """Ticker -> MSE over persistence's, the geometric mean over runs."""
    if not runs:
        return {}
    every = pd.concat([frame.assign(log=_log_ratio(frame)) for frame in runs.values()])
    return {
        str(name): math.exp(value) for name, value in every.groupby("ticker")["log"].mean().items()
    }


def _log_ratio(frame: pd.DataFrame) -> pd.Series:
    ratio: pd.Series = frame["forecast"].astype(float) / frame["persistence"].astype(float)
    return ratio.map(math.log)
