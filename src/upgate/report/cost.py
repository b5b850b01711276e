"""What a study's recipes cost, and what was equal in their budgets: steps, or wall time."""

import math
import shlex

from upgate.page.figure import Figure, note, render_figure, section
from upgate.page.forest_plot import Row, forest_plot
from upgate.page.html import Child, Html, el, table
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.study.result import StudyResult, Wall

ALIKE = 0.05  # by which the time of equal steps may differ


def cost(result: StudyResult, w: Translator) -> Html:
    if not result.cost:
        return Html("")
    kinds = {result.study.baseline: "base"}
    drawn = [
        Row(
            arm,
            one.seconds,
            f"{format_number(one.seconds, 3)} s, ×{format_number(one.ratio, 3)}",
            interval=(0.0, one.seconds),
            kind=kinds.get(arm, "arm"),
        )
        for arm, one in result.cost.items()
    ]
    columns = [
        w("recipe"),
        w("seconds"),
        f"/ {result.study.baseline}",
        w("per_step"),
        w("steps"),
        w("epochs"),
        w("diverged"),
    ]
    body: list[list[Child]] = []
    for arm, one in result.cost.items():
        numbers = (one.seconds, one.ratio, 1000 * one.seconds_per_step)
        body.append(
            [
                arm,
                *(format_number(x, 3) for x in numbers),
                format_number(one.steps),
                format_number(one.epochs, 3),
                result.diverged.get(arm, 0),
            ]
        )
    label = w("cost_label", said=", ".join(f"{row.label} {row.text}" for row in drawn))
    figure = Figure(
        "",
        forest_plot(drawn, 0.0),
        label,
        columns,
        body,
        w("cost_note", total=duration(result.seconds, w)),
    )
    return section(w("cost"), render_figure(figure, w), budgets(result, w))


def budgets(result: StudyResult, w: Translator) -> list[Child]:
    """What is equal: wall time, with the seconds allowed and used; or steps, and whether their time differs enough for the other study."""
    study, wall = result.study, result.study.wall
    if wall is not None and not wall.equal:
        return [el("h3", w("budget_wall")), note(w("budget_wall_note")), spent(wall, result, w)]
    base = (
        result.cost[study.baseline].seconds_per_step if study.baseline in result.cost else math.nan
    )
    ratios = {
        arm.name: result.cost[arm.name].seconds_per_step / base
        for arm in study.arms[1:]
        if arm.name in result.cost
    }
    ratios = {name: ratio for name, ratio in ratios.items() if math.isfinite(ratio) and ratio > 0}
    if not ratios:
        return []
    most = max(ratios, key=lambda name: abs(math.log(ratios[name])))
    told = {"arm": most, "ratio": format_number(ratios[most], 3), "baseline": study.baseline}
    if wall is not None:
        return [note(w("budget_both", **told))]
    if abs(ratios[most] - 1) <= ALIKE:
        return [note(w("budget_alike", **told))]
    again = result.cost.get(study.aa.name) if study.aa else None
    loose = (
        [note(w("clock", ratio=format_number(again.ratio, 3)))]
        if again and abs(again.ratio - 1) > ALIKE
        else []
    )
    words = [word for word in study.words if word not in ("study.yes=true", "study.budget=steps")]
    command = shlex.join(["upgate", "study", "--yes", *words, "study.budget=wall"])
    return [note(w("budget_differs", **told)), el("pre", el("code", command), tabindex="0"), *loose]


def spent(wall: Wall, result: StudyResult, w: Translator) -> Html:
    body: list[list[Child]] = []
    for name, epochs in wall.epochs.items():
        used = result.cost[name].seconds if name in result.cost else math.nan
        body.append(
            [name, epochs, *(format_number(x, 3) for x in (wall.ratio[name], wall.seconds, used))]
        )
    return table([w("recipe"), w("epochs"), w("step_ratio"), w("allowed"), w("used")], body)


def duration(seconds: float, w: Translator) -> str:
    for size, key in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return w(key, value=format_number(seconds / size, 3))
    return w("some_seconds", value=format_number(seconds, 3))
