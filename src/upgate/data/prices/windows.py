"""Panel to tensors for one fold: the samples of each part, scaled by the training part only.

A sample is named by its origin t, the row of the last day in its window. It belongs to a part if
and only if the dates of row t and of row t + h, where its label ends, both lie in the part: so
labels are purged at every boundary, also for a ticker with holes in its calendar. Its window may
reach back before the part: past inputs are no leak.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upgate.data.prices.features import Floats, Ints, Panel, inputs, labels
from upgate.data.splits.chronological import Fold
from upgate.data.texts import say
from upgate.errors import UserError
from upgate.messages import joined

PARTS = ("train", "validation", "test")
ENOUGH = 30  # training rows (for the label: samples) from which a ticker has its own statistics
# Standard deviations: an unadjusted split is a day of 20 to 60 of them. Prices do grow out of their
# training range.
CLIP = {"return": 10.0, "volatility": 10.0, "level": np.inf}

Mask = NDArray[np.bool_]


class Statistics(TypedDict):
    """What is subtracted from K numbers, and what they are divided by."""

    centre: list[float]
    scale: list[float]


class Fitted(TypedDict):
    """The statistics of each ticker that has its own, and of all tickers together."""

    tickers: dict[str, Statistics]
    pooled: Statistics | None  # None where a pool has no meaning: for price levels


class Scaling(TypedDict):
    """The fitted transforms as plain values, for a checkpoint."""

    target: str
    horizon: int
    features: list[str]
    x: Fitted
    y: Fitted


@dataclass(frozen=True)
class StockTensors:
    """What a fold trains on and is judged by; N rows, as in `panel`."""

    panel: Panel
    window: int
    x: Tensor  # (N, F) float32, scaled; rows without a value are 0 and inside no window
    y: Tensor  # (N,) float32, scaled label by origin row; NaN where there is none
    # train, validation, test -> (n,) int64 origin rows, by date, within a date by ticker
    origin: dict[str, Tensor]
    target: Floats  # (N,) label by origin row in target units: log return, price, or log volatility
    # Plain values, for a checkpoint: what `apply_scaling`, `unscale` and `to_price` need.
    scaling: Scaling
    notes: dict[str, int]  # what was left out or treated in another way, counted


def build_tensors(
    panel: Panel,
    *,
    fold: Fold,
    window: int,
    horizon: int,
    target: str,
    features: list[str],
    bad: Literal["refuse", "drop"],
) -> StockTensors:
    """Make the tensors of one fold; all statistics are of rows and labels in its training part.

    With the target `level` a ticker is scaled by its own training range, so one with fewer than
    ENOUGH training rows or samples has no honest scale: it is left out and counted. With the others
    it takes the pooled statistics. Raises UserError if no training sample is left, or if a ticker
    is too short for any sample and `bad` is "refuse".
    """
    values, label = inputs(panel, features), labels(panel, target, horizon)
    complete = _complete(panel, values, window)
    inside = {part: _inside(panel, horizon, getattr(fold, part)) for part in PARTS}
    sample = complete & np.isfinite(label)
    row = np.isfinite(values).all(axis=1) & _inside(panel, 0, fold.train)
    scaling: Scaling = {
        "target": target,
        "horizon": horizon,
        "features": list(features),
        "x": _fit(panel, values, row, target),
        "y": _fit(panel, label[:, None], sample & inside["train"], target),
    }
    usable = sample & _known(panel, scaling)[panel.ticker]
    origin = {part: _by_date(panel, usable & inside[part]) for part in inside}
    needed = window + horizon + _lost(values)
    if not len(origin["train"]):
        raise UserError(_no_sample(panel, fold, needed + (ENOUGH - 1 if target == "level" else 0)))
    short = _find_short(panel, window, horizon, needed, bad)
    flat = complete & np.isnan(label) & np.any(list(inside.values()), axis=0)
    notes = _notes(panel, scaling, short, flat)
    x = scale_inputs(panel, values, scaling)
    y = _scale(panel, label[:, None], scaling["y"])
    return StockTensors(panel, window, x, y[:, 0], origin, label, scaling, notes)


def _find_short(panel: Panel, window: int, horizon: int, needed: int, bad: str) -> Mask:
    """Which tickers are too short for any sample, (T,). Raises UserError unless `bad` is "drop"."""
    short = np.diff(panel.first) < needed
    if short.any() and bad != "drop":
        raise UserError(
            say(
                "too_few_rows",
                rows=_rows(panel, short),
                window=window,
                horizon=horizon,
                needed=needed,
            )
        )
    return short


def _notes(panel: Panel, scaling: Scaling, short: Mask, flat: Mask) -> dict[str, int]:
    """Count short tickers, (T,), those that have no scale of their own, and flat labels, (N,)."""
    scaled = scaling["x"]["tickers"].keys() & scaling["y"]["tickers"].keys()
    own = np.array([name in scaled for name in panel.tickers])
    return {
        "tickers_too_short": int(short.sum()),
        # for the target level they are left out, else they are scaled by the pooled statistics
        "tickers_without_own_scale": int((~short & ~own).sum()),
        "labels_flat": int(flat.sum()),
    }


def window_batches(
    x: Tensor, y: Tensor, window: int, skip: Tensor | None = None
) -> Callable[[Tensor], dict[str, Tensor]]:
    """A function of origins (B,) -> {"x": (B, W, F) contiguous, "y": (B,), "origin": (B,)}.

    With a reference's forecasts, (N,), also {"skip": (B,)}.

    All windows are one strided view of x; `index_select` on it is the fastest way measured (64
    windows of 60 x 6 out of 600,000 rows, one thread: 9 us; indexing the view 18, rows by origin +
    arange 39, a stack of slices 72).
    """
    windows = x.unfold(0, window, 1).transpose(1, 2)  # (N - W + 1, W, F)

    def batch(origin: Tensor) -> dict[str, Tensor]:
        made = {
            "x": windows.index_select(0, origin - (window - 1)),
            "y": y.index_select(0, origin),
            "origin": origin,
        }
        return made if skip is None else made | {"skip": skip.index_select(0, origin)}

    return batch


def apply_scaling(panel: Panel, scaling: Scaling, window: int) -> tuple[Tensor, Tensor]:
    """x (N, F) for new data, and each ticker's last row (T,), the origins of the next forecasts.

    A ticker unknown to the scaling takes the pooled statistics; the target `level` has none:
    UserError.
    """
    values = inputs(panel, scaling["features"])
    _check_market(panel, scaling)
    unknown = ~_known(panel, scaling)
    if unknown.any():
        raise UserError(say("no_training_range", ticker=panel.tickers[int(unknown.argmax())]))
    last = panel.first[1:] - 1
    short = ~_complete(panel, values, window)[last]
    if short.any():
        raise UserError(
            say("too_few_to_forecast", rows=_rows(panel, short), needed=window + _lost(values))
        )
    return scale_inputs(panel, values, scaling), torch.from_numpy(last)


def scale_inputs(panel: Panel, values: Floats, scaling: Scaling) -> Tensor:
    """x (N, F) of features in their own units; 0 where there is no value or no scale."""
    return _scale(panel, values, scaling["x"], CLIP[scaling["target"]]).nan_to_num()


def _check_market(panel: Panel, scaling: Scaling) -> None:
    """Raise UserError where means over a panel would be over fewer tickers than in training."""
    absent = sorted(scaling["x"]["tickers"].keys() - set(panel.tickers))
    if absent and any(name.startswith("market_") for name in scaling["features"]):
        raise UserError(
            say(
                "market_of_fewer",
                count=len(scaling["x"]["tickers"]),
                names=joined(absent[:3]),
                more=say("and_others") if len(absent) > 3 else "",
            )
        )


def unscale(scaled: Floats, row: Ints, panel: Panel, scaling: Scaling) -> Floats:
    """Predictions in target units, (n,) float64, from scaled ones at these origin rows."""
    centre, scale = _statistics(panel.tickers, scaling["y"], 1)
    ticker = panel.ticker[row]
    return np.asarray(scaled, np.float64) * scale[ticker, 0] + centre[ticker, 0]


def scale_labels(panel: Panel, values: Floats, scaling: Scaling) -> Tensor:
    """The inverse of `unscale`, of every row: (N,) float32; NaN for a ticker without a scale."""
    return _scale(panel, values[:, None], scaling["y"])[:, 0]


def to_price(prediction: Floats, row: Ints, panel: Panel, scaling: Scaling) -> Floats | None:
    """The prices meant by predictions in target units, (n,); None for a volatility."""
    if scaling["target"] == "volatility":
        return None
    return prediction if scaling["target"] == "level" else panel.close[row] * np.exp(prediction)


def _complete(panel: Panel, values: Floats, window: int) -> Mask:
    """Whether the `window` rows ending at each row are of one ticker and finite, (N,)."""
    row = np.arange(len(values))
    finite = np.isfinite(values).all(axis=1)
    hole = np.maximum.accumulate(np.where(finite, -1, row))  # the last row that is not finite
    return row - window >= np.maximum(hole, panel.first[panel.ticker] - 1)


def _inside(panel: Panel, horizon: int, part: range) -> Mask:
    """Whether both row t's date and row t + horizon's lie in the part, (N,)."""
    # NaN, beyond the ticker's rows, is in no part.
    end = panel.ahead(panel.date.astype(np.float64), horizon)
    return (panel.date >= part.start) & (end < part.stop)


def _by_date(panel: Panel, chosen: Mask) -> Tensor:
    row = np.flatnonzero(chosen)
    return torch.from_numpy(row[np.argsort(panel.date[row], kind="stable")])


def _fit(panel: Panel, values: Floats, chosen: Mask, target: str) -> Fitted:
    """Centre and scale, K numbers each, of each ticker over the chosen rows.

    And pooled over all tickers where that has a meaning: not for price levels.
    """
    fit = _minimum_range if target == "level" else _mean_deviation
    row = np.flatnonzero(chosen)
    bounds = np.searchsorted(row, panel.first)
    own = {
        name: fit(values[row[a:b]])
        for name, (a, b) in zip(panel.tickers, pairwise(bounds), strict=True)
        if b - a >= ENOUGH
    }
    pooled = fit(values[row]) if target != "level" and len(row) else None
    return {"tickers": own, "pooled": pooled}


def _mean_deviation(values: Floats) -> Statistics:
    return _as_lists(values.mean(axis=0), values.std(axis=0))


def _minimum_range(values: Floats) -> Statistics:
    return _as_lists(values.min(axis=0), np.ptp(values, axis=0))


def _as_lists(centre: Floats, scale: Floats) -> Statistics:
    # The standard deviation of equal numbers need not come out as 0.
    constant = scale <= 1e-12 * np.abs(centre)
    return {"centre": centre.tolist(), "scale": np.where(constant, 1.0, scale).tolist()}


def _statistics(tickers: Sequence[str], fitted: Fitted, width: int) -> tuple[Floats, Floats]:
    """Centre and scale, (T, width) each: the ticker's own, else the pooled, else NaN."""
    centre, scale = np.full((2, len(tickers), width), np.nan)
    for i, name in enumerate(tickers):
        statistics = fitted["tickers"].get(name, fitted["pooled"])
        if statistics is not None:
            centre[i], scale[i] = statistics["centre"], statistics["scale"]
    return centre, scale


def _known(panel: Panel, scaling: Scaling) -> Mask:
    """Which tickers can be scaled, (T,)."""
    known = np.ones(len(panel.tickers), dtype=bool)
    for fitted in (scaling["x"], scaling["y"]):
        if fitted["pooled"] is None:
            known &= np.array([name in fitted["tickers"] for name in panel.tickers])
    return known


def _scale(panel: Panel, values: Floats, fitted: Fitted, clip: float = np.inf) -> Tensor:
    """(N, K) float32."""
    centre, scale = _statistics(panel.tickers, fitted, values.shape[1])
    scaled = (values - centre[panel.ticker]) / scale[panel.ticker]
    return torch.from_numpy(scaled.clip(-clip, clip).astype(np.float32))


def _lost(values: Floats) -> int:
    """The rows at a ticker's start without features: 1 where a feature looks at the day before."""
    return int(np.isnan(values[0]).any())


def _rows(panel: Panel, chosen: Mask) -> str:
    """`APTV (and 3 more) has 44 rows`, for the shortest of the chosen tickers."""
    rows = np.diff(panel.first)
    worst = int(np.where(chosen, rows, rows.max() + 1).argmin())
    more = say("and_more", count=int(chosen.sum()) - 1) if chosen.sum() > 1 else ""
    return say("has_rows", ticker=panel.tickers[worst], more=more, count=int(rows[worst]))


def _no_sample(panel: Panel, fold: Fold, needed: int) -> str:
    rows = np.bincount(panel.ticker[_inside(panel, 0, fold.train)], minlength=len(panel.tickers))
    best = int(rows.argmax())
    have = say("no_sample", ticker=panel.tickers[best], count=int(rows[best]))
    if rows[best] < needed:
        return say("no_sample_of_few", have=have, needed=needed)
    return say("no_sample_of_flat", have=have)
