"""A study in one table and one sentence, for a terminal of 80 characters."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from upgate.console import new_table, number, print_lines
from upgate.experiment.records import looks_line
from upgate.study.result import ArmVerdict, Control, Study, StudyResult
from upgate.tasks.registry import get_task

HUGE = 1e5  # numbers from here on are short in powers of ten only
VERBS = {  # verdict -> the verb of one arm, of several
    "helps": ("helps", "help"),
    "hurts": ("hurts", "hurt"),
    "equivalent": ("is equivalent", "are equivalent"),
    "undecided": ("is undecided", "are undecided"),
}


def metric_name(study: Study, language: str = "en") -> str:
    """The metric's label; the key of a metric that the task does not have any more."""
    metric = get_task(study.task).metric
    return metric.label_in(language) if metric.key == study.metric else study.metric


def p_text(p: float) -> str:
    if math.isnan(p):
        return ""
    return "<.001" if p < 0.001 else f"{p:.3f}"


def signed_effect(study: Study, value: float) -> str:
    """An effect with its sign, in percent or points; inf: diverged."""
    shown = study.shown(value)
    if not math.isfinite(shown):
        return "inf" if shown > 0 else "-inf"
    return format(shown, "+.2f" if abs(shown) < HUGE else "+.1e")


def interval_text(study: Study, one: ArmVerdict) -> str:
    return f"{signed_effect(study, one.low)} to {signed_effect(study, one.high)}"


def verdict_with_seeds(one: ArmVerdict) -> str:
    """The verdict, and how many more seeds an undecided one needs."""
    if one.verdict != "undecided" or one.more_seeds is None:
        return one.verdict
    return f"undecided +{one.more_seeds}"


def main_verdict(result: StudyResult) -> ArmVerdict | None:
    """The verdict on the upgraded recipe with all its parts; None for a design of arms."""
    study = result.study
    if study.design == "arms":
        return None
    most = max(study.arms, key=lambda arm: len(arm.on)).name
    return next((one for one in result.verdicts if one.arm == most), None)


def summarize_study(result: StudyResult) -> str:
    """The answer in one sentence."""
    study = result.study
    if not result.verdicts:
        return "Nothing can be said yet: no seed has every run that it needs."
    one = main_verdict(result)
    if one is None:
        return f"Beside {study.baseline}: {list_by_verdict(result.verdicts)}."
    sentence = f"{one.arm} {claim_text(study, one)}"
    if result.parts:
        sentence += f"; of its {len(result.parts)} parts {list_by_verdict(result.parts)}"
    return f"{sentence}."


def claim_text(study: Study, one: ArmVerdict) -> str:
    """helps: its MSE ratio is 8.3% lower than traditional's (95% interval ..., 6 seeds)."""
    seeds = f"{one.n} seed{'s' * (one.n > 1)}"
    if not math.isfinite(one.effect):
        return f"{one.verdict}: of {seeds}, {one.diverged} have a run that diverged"
    shown = study.shown(one.effect)
    unit = "%" if study.unit == "%" else " points"
    direction = "lower" if shown < 0 else "higher"
    difference = f"{abs(shown):.2f}{unit} {direction} than {study.baseline}'s"
    spread = "one seed is an anecdote"
    if one.n > 1:
        spread = f"{_confidence(study)} interval {interval_text(study, one)}{unit}"
    name = metric_name(study)
    return f"{_predicate(study, one)}: its {name} is {difference} ({spread}, {seeds})"


def list_by_verdict(verdicts: Sequence[ArmVerdict]) -> str:
    """clip and init help, optimizer hurts, 4 are undecided: names where there are few."""
    phrases = []
    for verdict, verbs in VERBS.items():
        names = [one.arm for one in verdicts if one.verdict == verdict]
        if names:
            who = " and ".join(names) if len(names) < 4 else str(len(names))
            phrases.append(f"{who} {verbs[len(names) > 1]}")
    return ", ".join(phrases)


def print_study(console: Console, result: StudyResult) -> None:
    """The table, the controls, what a reader must know, and the sentence."""
    console.print(study_table(result))
    print_lines(console, [describe_control(control) for control in result.controls])
    print_lines(console, [*study_notes(result), result.sentence])


def study_table(result: StudyResult) -> Table:
    """A row per arm, A/A first; then the references, and the parts' shares where there are any."""
    study = result.study
    unit = f"percent of {study.baseline}'s" if study.unit == "%" else "points"
    title = (
        f"{metric_name(study)}, {study.better} is better;"
        f" effect: arm minus {study.baseline}, {unit}"
    )
    table = new_table(
        title, "", "score", f"effect [{_confidence(study)} interval]", "Holm p", "verdict"
    )
    if result.aa is not None:
        table.add_row(Text(result.aa.arm), *verdict_cells(study, result.aa), end_section=True)
    table.add_row(Text(study.baseline), format_score(result.baseline_score), "", "", "baseline")
    for one in result.verdicts:
        table.add_row(Text(one.arm), *verdict_cells(study, one))
    last = len(result.references) - 1
    for i, (name, value) in enumerate(sorted(result.references.items())):
        cells = (format_score(value), "", "", "reference")
        table.add_row(Text(name), *cells, end_section=i == last)
    for one in result.parts:
        table.add_row(Text(f"share of {one.arm}"), *verdict_cells(study, one))
    return table


def verdict_cells(study: Study, one: ArmVerdict) -> tuple[str, ...]:
    """Score, effect with its interval, adjusted p, verdict."""
    effect = signed_effect(study, one.effect)
    if one.n > 1:
        effect += f" [{signed_effect(study, one.low)}, {signed_effect(study, one.high)}]"
    return format_score(one.score), effect, p_text(one.p_holm), verdict_with_seeds(one)


def format_score(value: float) -> str:
    return "" if math.isnan(value) else number(value, ".4f" if value < HUGE else ".1e")


def describe_control(control: Control) -> str:
    if control.holds is None:
        return f"{control.name} has not run"
    if control.holds:
        return f"{control.name} holds: not a bit differs"
    return f"{control.name} FAILS: differs by {control.difference:g}"


def study_notes(result: StudyResult) -> list[str]:
    """What a reader of the table must know."""
    lines = []
    judged = (*result.verdicts, *result.parts)
    if any(one.verdict == "undecided" and one.more_seeds for one in judged):
        lines.append(
            "undecided +n: about n more seeds would decide, if effect and spread stay as measured"
        )
    if result.aa is not None and result.aa.verdict in ("helps", "hurts"):
        chance = f"{100 * result.study.alpha:g}% of all studies do so by chance"
        lines.append(
            f"the A/A control shows a difference where there is none: {chance};"
            " judge the other rows accordingly"
        )
    diverged = [f"{count} of {name}" for name, count in result.diverged.items() if count]
    if diverged:
        lines.append(f"diverged runs, ranked last: {', '.join(diverged)}")
    if not result.complete:
        count = sum(map(len, result.missing.values()))
        lines.append(f"missing runs: {count}; a seed counts where all its runs are finished")
    main = main_verdict(result)
    if main is not None and result.significance.get(main.arm):
        lines.append(beyond_seeds(main.arm, result))
    return [*lines, looks_line(result.looks)]


def beyond_seeds(arm: str, result: StudyResult) -> str:
    """p-values on other dates or items; those of the trained seeds alone say so in their names."""
    tests = [
        f"{test.name}: {p_text(test.p)}"
        for test in result.significance[arm]
        if not math.isnan(test.p)
    ]
    units = get_task(result.study.task).test_items
    return f"{arm} on other test {units}, p of {'; '.join(tests)}"


def _confidence(study: Study) -> str:
    return f"{100 * (1 - study.alpha):g}%"


def _predicate(study: Study, one: ArmVerdict) -> str:
    if one.verdict == "equivalent":
        return f"is equivalent to {study.baseline}"
    if one.verdict != "undecided":
        return one.verdict
    more = "no number of seeds up to 10,000"
    if one.more_seeds is not None:
        more = f"about {one.more_seeds} more seeds"
    return f"is undecided, {more} would decide"
