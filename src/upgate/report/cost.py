"""What a study's recipes cost, and what was equal in their budgets: steps, or wall time."""

import math
import shlex

from upgate.page.figure import Figure, code_block, note, render_figure, section
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.study.result import Cost, StudyResult, Wall

ALIKE = 0.05  # by which the time of equal steps may differ
UNITS = ((3600.0, "hours"), (60.0, "minutes"))  # seconds, key of the text


def cost(result: StudyResult, w: Translator) -> Html:
    """Seconds and steps of each recipe, and what the budgets had in common."""
    if not result.cost:
        return Html("")
    kinds = {result.study.baseline: "base"}
    rows, texts, body = [], [], []
    for arm, spent in result.cost.items():
        text = f"{format_number(spent.seconds, 3)} s, ×{format_number(spent.ratio, 3)}"
        interval = (0.0, spent.seconds)
        kind = kinds.get(arm, "arm")
        rows.append(ForestRow(arm, spent.seconds, text, interval=interval, kind=kind))
        texts.append(f"{arm} {text}")
        body.append(_cost_cells(arm, spent, result.diverged.get(arm, 0)))
    figure = Figure(
        "",
        forest_plot(rows, 0.0),
        w("cost_label", said=", ".join(texts)),
        [
            w("recipe"),
            w("seconds"),
            f"/ {result.study.baseline}",
            *map(w, ("per_step", "steps", "epochs", "diverged")),
        ],
        body,
        w("cost_note", total=duration(result.seconds, w)),
    )
    return section(w("cost"), render_figure(figure, w), budgets(result, w))


def _cost_cells(arm: str, spent: Cost, diverged: int) -> list[Child]:
    return [
        arm,
        format_number(spent.seconds, 3),
        format_number(spent.ratio, 3),
        format_number(1000 * spent.seconds_per_step, 3),
        format_number(spent.steps),
        format_number(spent.epochs, 3),
        diverged,
    ]


def budgets(result: StudyResult, w: Translator) -> list[Child]:
    """What was equal: wall time, with seconds allowed and used; or steps.

    Where equal steps took different times, the command of a study with equal wall time follows.
    """
    study, wall = result.study, result.study.wall
    if wall is not None and not wall.equal:
        return [
            el("h3", w("budget_wall")),
            note(w("budget_wall_note")),
            spent_table(wall, result, w),
        ]
    ratios = step_ratios(result)
    if not ratios:
        return []
    arm = max(ratios, key=lambda name: abs(math.log(ratios[name])))
    ratio = ratios[arm]
    values = {"arm": arm, "ratio": format_number(ratio, 3), "baseline": study.baseline}
    if wall is not None:
        return [note(w("budget_both", **values))]
    if abs(ratio - 1) <= ALIKE:
        return [note(w("budget_alike", **values))]
    differs = note(w("budget_differs", **values))
    return [differs, code_block(wall_command(result)), clock_note(result, w)]


def step_ratios(result: StudyResult) -> dict[str, float]:
    """Arm -> seconds of a step over the baseline's, where both were measured."""
    study, cost_of = result.study, result.cost
    if study.baseline not in cost_of:
        return {}
    base = cost_of[study.baseline].seconds_per_step
    ratios = {}
    for arm in study.arms[1:]:
        ratio = cost_of[arm.name].seconds_per_step / base if arm.name in cost_of else math.nan
        if math.isfinite(ratio) and ratio > 0:
            ratios[arm.name] = ratio
    return ratios


def clock_note(result: StudyResult, w: Translator) -> Child:
    """A warning where the baseline's two sets of runs took different times."""
    control = result.study.aa
    again = result.cost.get(control.name) if control else None
    if again is None or not abs(again.ratio - 1) > ALIKE:
        return None
    return note(w("clock", ratio=format_number(again.ratio, 3)))


def wall_command(result: StudyResult) -> str:
    """The command of the same study with equal wall time."""
    left_out = ("study.yes=true", "study.budget=steps")
    overrides = [word for word in result.study.overrides if word not in left_out]
    return shlex.join(["upgate", "study", "--yes", *overrides, "study.budget=wall"])


def spent_table(wall: Wall, result: StudyResult, w: Translator) -> Html:
    """Seconds allowed and used, by recipe."""
    body: list[list[Child]] = []
    for name, epochs in wall.epochs.items():
        used = result.cost[name].seconds if name in result.cost else math.nan
        numbers = (wall.ratio[name], wall.seconds, used)
        body.append([name, epochs, *(format_number(x, 3) for x in numbers)])
    return table(list(map(w, ("recipe", "epochs", "step_ratio", "allowed", "used"))), body)


def duration(seconds: float, w: Translator) -> str:
    for size, key in UNITS:
        if seconds >= 2 * size:
            return w(key, value=format_number(seconds / size, 3))
    return w("some_seconds", value=format_number(seconds, 3))
