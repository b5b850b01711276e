"""Learning curves: validation loss by epoch, the mean over seeds with its band."""

import math

import numpy as np

from upgate.page.figure import MAX_ROWS, Figure, RunTables
from upgate.page.html import Child
from upgate.page.svg import Floats, Line, format_number, integer_ticks, line_figure, thin_indices
from upgate.page.translations import Translator

FAR = 10  # times the median: losses beyond are not drawn, or one explosion hides all curves
STATISTICS = ("mean", "lowest", "highest")


def curves(
    baseline: str, base_runs: RunTables, arm: str, arm_runs: RunTables, w: Translator
) -> Figure | None:
    """The curves of two recipes; None where neither has one."""
    candidates = (mean_curve(baseline, "base", base_runs), mean_curve(arm, "arm", arm_runs))
    lines = [line for line in candidates if line is not None]
    if not lines:
        return None
    losses = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    top = FAR * float(np.median(losses)) if losses.size else math.inf
    drawn = [cut_above(line, top) for line in lines]
    epochs = max(float(line.x[-1]) for line in lines)
    columns = [w("epoch")]
    for line in lines:
        columns += [f"{line.name}, {w(statistic)}" for statistic in STATISTICS]
    last = {line.kind: format_number(float(line.y[-1])) for line in lines}
    ends = {"ours": last.get("arm", "–"), "theirs": last.get("base", "–")}
    return Figure(
        arm,
        line_figure(drawn, integer_ticks(epochs), x_label=w("epoch")),
        w("curves_label", arm=arm, baseline=baseline, **ends),
        columns,
        [[int(i) + 1, *_cells(lines, int(i))] for i in thin_indices(int(epochs), MAX_ROWS)],
    )


def _cells(lines: list[Line], i: int) -> list[Child]:
    """The numbers of an epoch; a dash where a line has ended."""
    cells: list[Child] = []
    for line in lines:
        cells += [format_number(y[i]) if i < len(y) else "–" for y in line.series]
    return cells


def mean_curve(name: str, kind: str, runs: RunTables) -> Line | None:
    """Mean, lowest and highest over seeds, folds averaged first.

    A run that has stopped early keeps its last value.
    """
    losses = {cell: table["val/loss"].to_numpy(float) for cell, table in runs.items() if len(table)}
    if not losses:
        return None
    epochs = max(map(len, losses.values()))
    by_seed: dict[int, list[Floats]] = {}
    for (seed, _), y in losses.items():
        padded = np.pad(y, (0, epochs - len(y)), mode="edge")
        by_seed.setdefault(seed, []).append(padded)
    means = np.array(
        [np.mean(by_seed[seed], axis=0) for seed in sorted(by_seed)]
    )  # (seeds, epochs)
    x = np.arange(1.0, epochs + 1)
    return Line(name, kind, x, means.mean(axis=0), means.min(axis=0), means.max(axis=0))


def cut_above(line: Line, top: float) -> Line:
    """The line without its values above `top`."""
    y, low, high = (
        None if v is None else np.where(np.nan_to_num(v, nan=np.inf) > top, np.nan, v)
        for v in (line.y, line.low, line.high)
    )
    assert y is not None
    return Line(line.name, line.kind, line.x, y, low, high)
