"""A study in one table and one sentence, for a terminal of 80 characters."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from upgate.console import new_table, number
from upgate.study.result import ArmVerdict, Study, StudyResult
from upgate.tasks.registry import get_task

HUGE = 1e5  # numbers from here on are short in powers of ten only


def metric_name(study: Study, language: str = "en") -> str:
    """The metric's label; the key of a metric that the task does not have any more."""
    metric = get_task(study.task).metric
    return metric.label_in(language) if metric.key == study.metric else study.metric


def p_value(p: float) -> str:
    return "" if math.isnan(p) else "<.001" if p < 0.001 else f"{p:.3f}"


def effect(study: Study, value: float) -> str:
    """An effect with its sign, in percent or points; inf: diverged."""
    shown = study.shown(value)
    return (
        format(shown, "+.2f" if abs(shown) < HUGE else "+.1e")
        if math.isfinite(shown)
        else "inf"
        if shown > 0
        else "-inf"
    )


def interval(study: Study, one: ArmVerdict) -> str:
    return f"{effect(study, one.low)} to {effect(study, one.high)}"


def word(one: ArmVerdict) -> str:
    """The verdict, and what an undecided one still needs."""
    if one.word != "undecided":
        return one.word
    return "undecided" if one.more_seeds is None else f"undecided +{one.more_seeds}"


def whole(result: StudyResult) -> ArmVerdict | None:
    """The verdict on the upgraded recipe as a whole; None for arms, which have no such one."""
    study = result.study
    if study.design == "arms":
        return None
    most = max(study.arms, key=lambda arm: len(arm.on)).name
    return next((one for one in result.verdicts if one.arm == most), None)


def sentence(result: StudyResult) -> str:
    """The answer in one sentence."""
    study = result.study
    if not result.verdicts:
        return "Nothing can be said yet: no seed has every run that it needs."
    one = whole(result)
    if one is None:
        return f"Beside {study.baseline}: {by_word(result.verdicts)}."
    said = f"{one.arm} {claim(study, one)}"
    if result.parts:
        said += f"; of its {len(result.parts)} parts {by_word(result.parts)}"
    return f"{said}."


def claim(study: Study, one: ArmVerdict) -> str:
    """helps: its MSE ratio is 8.3% lower than traditional's (95% interval ..., 6 seeds)."""
    seeds = f"{one.n} seed{'s' * (one.n > 1)}"
    name = metric_name(study)
    if not math.isfinite(one.effect):
        return f"{one.word}: of {seeds}, {one.diverged} have a run that diverged"
    shown = study.shown(one.effect)
    unit = "%" if study.unit == "%" else " points"
    gap = f"{abs(shown):.2f}{unit} {'lower' if shown < 0 else 'higher'} than {study.baseline}'s"
    spread = (
        f"{100 * (1 - study.alpha):g}% interval {interval(study, one)}{unit}"
        if one.n > 1
        else "one seed is an anecdote"
    )
    return f"{_verb(study, one)}: its {name} is {gap} ({spread}, {seeds})"


def _verb(study: Study, one: ArmVerdict) -> str:
    if one.word == "equivalent":
        return f"is equivalent to {study.baseline}"
    if one.word == "undecided":
        more = (
            "no number of seeds up to 10,000"
            if one.more_seeds is None
            else f"about {one.more_seeds} more seeds"
        )
        return f"is undecided, {more} would decide"
    return one.word


def by_word(verdicts: Sequence[ArmVerdict]) -> str:
    """clip and init help, optimizer hurts, 4 are undecided: names where there are few."""
    found = []
    for name in ("helps", "hurts", "equivalent", "undecided"):
        those = [one.arm for one in verdicts if one.word == name]
        verb = {"helps": ("helps", "help"), "hurts": ("hurts", "hurt")}.get(
            name, (f"is {name}", f"are {name}")
        )[len(those) > 1]
        if those:
            found.append(f"{' and '.join(those) if len(those) < 4 else len(those)} {verb}")
    return ", ".join(found)


def show(console: Console, result: StudyResult) -> None:
    """The table, A/A first, the parts' shares where there are any, what the controls say, and the sentence."""
    study = result.study
    unit = f"percent of {study.baseline}'s" if study.unit == "%" else "points"
    better = "higher" if study.higher_is_better else "lower"
    title = f"{metric_name(study)}, {better} is better; effect: arm minus {study.baseline}, {unit}"
    table = new_table(
        title, "", "score", f"effect [{100 * (1 - study.alpha):g}% interval]", "Holm p", "verdict"
    )
    if result.aa is not None:
        table.add_row(Text(result.aa.arm), *cells(study, result.aa), end_section=True)
    table.add_row(Text(study.baseline), score(result.baseline_score), "", "", "baseline")
    for one in result.verdicts:
        table.add_row(Text(one.arm), *cells(study, one))
    for i, (name, value) in enumerate(sorted(result.references.items())):
        table.add_row(
            Text(name),
            score(value),
            "",
            "",
            "reference",
            end_section=i == len(result.references) - 1,
        )
    for one in result.parts:
        table.add_row(Text(f"share of {one.arm}"), *cells(study, one))
    console.print(table)
    for control in result.controls:
        held = "has not run" if control.holds is None else "holds: not a bit differs"
        if control.holds is False:
            held = f"FAILS: differs by {control.difference:g}"
        console.print(f"{control.name} {held}", highlight=False, markup=False, soft_wrap=True)
    for note in notes(result):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    console.print(result.sentence, highlight=False, markup=False, soft_wrap=True)


def score(value: float) -> str:
    return "" if math.isnan(value) else number(value, ".4f" if value < HUGE else ".1e")


def cells(study: Study, one: ArmVerdict) -> tuple[str, ...]:
    found = effect(study, one.effect)
    if one.n > 1:
        found += f" [{effect(study, one.low)}, {effect(study, one.high)}]"
    return score(one.score), found, p_value(one.p_holm), word(one)


def notes(result: StudyResult) -> list[str]:
    """What a reader of the table must know."""
    said = []
    if any(one.word == "undecided" and one.more_seeds for one in (*result.verdicts, *result.parts)):
        said.append(
            "undecided +n: about n more seeds would decide, if effect and spread are as seen"
        )
    if result.aa is not None and result.aa.word in ("helps", "hurts"):
        chance = f"{100 * result.study.alpha:g}% of all studies do so by chance"
        said.append(
            f"A/A found a difference where there is none: {chance}; look at the other rows with that in mind"
        )
    if any(result.diverged.values()):
        told = ", ".join(f"{count} of {name}" for name, count in result.diverged.items() if count)
        said.append(f"diverged runs, ranked last: {told}")
    if not result.complete:
        count = sum(len(cells) for cells in result.missing.values())
        said.append(f"missing runs: {count}; a seed counts where all of it is there")
    said += [
        other_dates(one.arm, result)
        for one in [whole(result)]
        if one is not None and result.second.get(one.arm)
    ]
    said.append(f"looks at this test part in this store: {result.looks} runs")
    return said


def other_dates(arm: str, result: StudyResult) -> str:
    """p-values beyond seeds; those of the trained seeds alone say so in their names."""
    tests = [
        f"{test.name}: {p_value(test.p)}" for test in result.second[arm] if not math.isnan(test.p)
    ]
    return f"{arm} on other test {get_task(result.study.task).test_items}, p of {'; '.join(tests)}"
