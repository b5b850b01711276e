"""Many recipes over many data sets: mean ranks with their critical difference, and profiles."""

import numpy as np

from upgate.page.effects import format_p
from upgate.page.figure import Figure, gallery
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html
from upgate.page.svg import Floats, Line, format_number, line_figure, ticks
from upgate.page.translations import Translator
from upgate.stats.data_sets import FEWEST_SETS
from upgate.stats.ranks import Profile, performance_profile, rank_arms
from upgate.study.over_result import OverResult
from upgate.study.text import metric_name

FEWEST_ARMS = 3  # the baseline too
MOST_PROFILES = 8  # recipes
FAR = 10.0  # factors beyond are not drawn


def shows_ranks(result: OverResult) -> bool:
    """Whether there are enough recipes and data sets, each with a score."""
    losses = result.losses
    sets, arms = losses.shape
    return sets >= FEWEST_SETS and arms >= FEWEST_ARMS and not np.isnan(losses).any()


def ranks(result: OverResult, w: Translator) -> Figure | None:
    """The critical-difference view: each recipe's mean rank, half the difference on both sides."""
    if not shows_ranks(result):
        return None
    question = result.question
    names = [arm.name for arm in question.arms]
    found = rank_arms(result.losses, question.level)
    half = found.difference / 2
    rows, body = [], []
    for i, (name, rank) in enumerate(zip(names, found.mean.tolist(), strict=True)):
        kind = "base" if name == question.baseline else "arm"
        text = f"{rank:.2f}"
        rows.append(ForestRow(name, rank, text, interval=(rank - half, rank + half), kind=kind))
        p = [format_p(p) if j != i else "–" for j, p in enumerate(found.pairs[i].tolist())]
        cells: list[Child] = [name, text, *p]
        body.append(cells)
    note = w(
        "ranks_note",
        p=format_p(found.p),
        difference=f"{found.difference:.2f}",
        level=f"{100 * question.level:.3g}",
    )
    return Figure(
        w("ranks"),
        forest_plot(rows, None, None, (w("rank_best"), "")),
        w("ranks_label", said="; ".join(f"{row.label} {row.text}" for row in rows)),
        [w("recipe"), w("mean_rank"), *names],
        body,
        note,
    )


def profiles(result: OverResult, w: Translator) -> Html:
    """A picture per recipe beside the baseline; nothing where the metric has no ratios."""
    costs = result.costs if shows_ranks(result) else None
    if costs is None:
        return Html("")
    question = result.question
    names = [arm.name for arm in question.arms]
    found = performance_profile(costs)
    primary = names.index(question.primary_arm)
    shown = [primary, *(i for i in range(1, len(names)) if i != primary)][:MOST_PROFILES]
    cost = w("error_rate") if question.higher_is_better else w.of(metric_name(question))
    drawn = [profile_figure(names, i, found, w) for i in shown]
    return gallery(w("profiles"), w("profiles_note", cost=cost), drawn, w)


def profile_figure(names: list[str], arm: int, found: Profile, w: Translator) -> Figure:
    """The profile of an arm, and dashed that of the first, the baseline."""
    lines = [
        step_line(names[i], kind, found.factors, found.shares[i])
        for i, kind in ((0, "base"), (arm, "arm"))
    ]
    end = float(lines[0].x[-1])
    marks = [(t, format_number(t)) for t in ticks(1, end) if t >= 1]
    own = found.shares[arm]
    reached = found.factors[own >= 1]
    factor = format_number(float(reached[0]), 3) if len(reached) else "∞"
    body: list[list[Child]] = [
        [format_number(f), *(f"{share[i]:.0%}" for i in (0, arm))]
        for f, share in zip(found.factors.tolist(), found.shares.T, strict=True)
    ]
    return Figure(
        names[arm],
        line_figure(lines, marks, zero=True, x_label=w("profile_factor")),
        w("profile_label", arm=names[arm], best=f"{100 * own[0]:.0f}", factor=factor),
        [w("profile_factor"), names[0], names[arm]],
        body,
    )


def step_line(name: str, kind: str, factors: Floats, shares: Floats) -> Line:
    """Level between factors, in percent; a little beyond the last one, so that its step shows."""
    near = factors <= FAR
    x, y = factors[near], 100 * shares[near]
    end = x[-1] + 0.05 * max(float(x[-1] - 1), 0.02)
    xs = np.append(np.repeat(x, 2)[1:], end)
    return Line(name, kind, xs, np.repeat(y, 2))
