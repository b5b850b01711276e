"""A study in one table and one sentence, for a terminal of 80 characters."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from upgate.console import new_table, number, print_lines
from upgate.experiment.records import looks_line
from upgate.stats.estimate import Estimate
from upgate.stats.reliability import Reliability
from upgate.stats.shapley import draw_orders, prefixes
from upgate.study.result import ArmVerdict, Control, Study, StudyResult
from upgate.tasks.names import get_facts

OFFERED = 8  # orders of the parts that a study with a remainder offers to sample
HUGE = 1e5  # numbers from here on are short in powers of ten only
VERBS = {  # verdict -> the verb of one arm, of several
    "helps": ("helps", "help"),
    "hurts": ("hurts", "hurt"),
    "equivalent": ("is equivalent", "are equivalent"),
    "undecided": ("is undecided", "are undecided"),
}


def metric_name(study: Study, language: str = "en") -> str:
    """The metric's label; the key of a metric that the task does not have any more."""
    return get_facts(study.task).metric.label_in(language, study.metric)


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
    """The verdict, and how many more seeds, or times the test data, an undecided one needs."""
    if one.verdict != "undecided":
        return one.verdict or "–"
    more = f" +{one.more_seeds}" if one.more_seeds else ""
    times = f" x{one.more_data:.1f}" if one.more_data is not None else ""
    return f"undecided{more}{times}"


def main_verdict(result: StudyResult) -> ArmVerdict | None:
    """The verdict on the primary question; None before it has a seed."""
    primary = result.study.primary_arm
    return next((one for one in result.verdicts if one.arm == primary), None)


def summarize_study(result: StudyResult) -> str:
    """The answer in one sentence."""
    study = result.study
    if not result.verdicts:
        return "Nothing can be said yet: no seed has every run that it needs."
    one = main_verdict(result)
    if one is None:
        return f"Nothing can be said yet: {study.primary_arm} has no seed with every run."
    clauses = [f"{one.arm} {claim_text(study, one)}", *finding_of_reliability(result, one)]
    others = [other for other in result.verdicts if other is not one]
    if result.parts:
        judged = list_by_verdict(result.parts)
        named = f"of its {len(result.parts)} parts {judged}"
        clauses.append(named if judged else f"its parts are not judged: {why_no_words(result)}")
    elif others:
        judged = judge_others(others)
        clauses.append(judged or "the other recipes are not judged before it is decided")
    return f"{'; '.join(clauses)}."


def finding_of_reliability(result: StudyResult, one: ArmVerdict) -> list[str]:
    """The clause on collapses, or on variances that surely differ; empty where it is no finding."""
    found, base = (result.reliability.get(arm) for arm in (one.arm, result.study.baseline))
    if found is None or base is None:
        return []
    if found.collapsed or base.collapsed:
        text = f"it fails in {failed_text(found)}, {result.study.baseline} in {failed_text(base)}"
        trimmed = " (its effect is that of the other seeds)" if one.collapsed else ""
        return [text + trimmed]
    if found.variance_p <= result.study.level and 0 < found.variance_ratio < math.inf:
        steadier = found.variance_ratio > 1
        times = found.variance_ratio if steadier else 1 / found.variance_ratio
        name = result.study.baseline if steadier else one.arm
        return [f"{name}'s variance over seeds is {times:.3g} times the other's"]
    return []


def failed_text(one: Reliability) -> str:
    """1 of 6 seeds (0% to 64%)."""
    return f"{one.collapsed} of {one.n} seeds ({one.rate.low:.0%} to {one.rate.high:.0%})"


def why_no_words(result: StudyResult) -> str:
    attributed = result.attribution
    if attributed is not None and not attributed.small_remainder:
        return "interactions between parts are not shown to be small"
    return "whether all together help is undecided"


def claim_text(study: Study, one: ArmVerdict) -> str:
    """helps: its MSE ratio is 8.3% lower than traditional's (95% interval ..., 6 seeds)."""
    seeds = f"{one.n} seed{'s' * (one.n > 1)}{look_text(study)}"
    if not math.isfinite(one.effect):
        return f"{one.verdict}: of {seeds}, {one.diverged} have a run that diverged"
    shown = study.shown(one.effect)
    unit = "%" if study.unit == "%" else " points"
    direction = "lower" if shown < 0 else "higher"
    difference = f"{abs(shown):.2f}{unit} {direction} than {study.baseline}'s"
    spread = "one seed is an anecdote"
    if one.n > 1:
        interval = f"{interval_text(study, one)}{unit} {over_text(study, one)}"
        spread = f"{confidence(one.level)} interval {interval}"
    name = metric_name(study)
    return f"{_predicate(study, one)}: its {name} is {difference} ({spread}, {seeds})"


def look_text(study: Study) -> str:
    """, look 1 of 4: where the study may be extended; or that looks before it had no plan."""
    if study.undeclared:
        return f", look {len(study.undeclared) + 1}, not declared"
    return f", look {study.look} of {len(study.looks)}" if study.looks else ""


def over_text(study: Study, one: ArmVerdict) -> str:
    """What the interval is about."""
    if one.over == "seeds":
        return "over seeds only"
    return f"over seeds and test {get_facts(study.task).test_items}"


def list_by_verdict(verdicts: Sequence[ArmVerdict]) -> str:
    """clip and init help, optimizer hurts, 4 are undecided: names where there are few."""
    phrases = []
    for verdict, verbs in VERBS.items():
        names = [one.arm for one in verdicts if one.verdict == verdict]
        if names:
            who = " and ".join(names) if len(names) < 4 else str(len(names))
            phrases.append(f"{who} {verbs[len(names) > 1]}")
    return ", ".join(phrases)


def judge_others(others: Sequence[ArmVerdict]) -> str:
    """The verdicts of the recipes that are not asked about first; empty before they are judged."""
    judged = list_by_verdict(others)
    return f"of the other {len(others)} recipes {judged}" if judged and len(others) > 1 else judged


def print_study(console: Console, result: StudyResult) -> None:
    """The table, the controls, what a reader must know, and the sentence."""
    console.print(study_table(result))
    if result.reliability:
        console.print(reliability_table(result))
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
        title, "", "score", f"effect [{confidence(study.level)} interval]", "p", "verdict"
    )
    if result.aa is not None:
        table.add_row(Text(result.aa.arm), *verdict_cells(study, result.aa), end_section=True)
    table.add_row(Text(study.baseline), format_score(result.baseline_score), "", "", "baseline")
    for one in result.verdicts:
        table.add_row(Text(one.arm), *verdict_cells(study, one))
    last = len(result.references) - 1
    for i, (name, value) in enumerate(sorted(result.references.items())):
        cells = reference_cells(result, name, value)
        table.add_row(Text(name), *cells, end_section=i == last)
    for one in result.parts:
        table.add_row(Text(f"share of {one.arm}"), *verdict_cells(study, one))
    if result.attribution is not None and result.attribution.method == "main":
        rest = result.attribution.remainder
        small = "small" if result.attribution.small_remainder else "not shown small"
        table.add_row("remainder", "", effect_cell(study, rest), "", small)
    return table


def reliability_table(result: StudyResult) -> Table:
    """The second verdict: a row per arm."""
    study = result.study
    title = f"reliability: on one new seed, against {study.baseline}"
    heads = ("failed", "spread", "variance, p", "worst", "P(better)")
    table = new_table(title, "", *heads)
    for name, one in result.reliability.items():
        failed = f"{one.collapsed} of {one.n}, up to {one.rate.high:.0%}"
        row = [failed, spread_text(study, one.spread)]
        if name == study.baseline:
            row += ["", format_score(study.unscaled(one.worst)), ""]
        else:
            better = f"{one.better.effect:.0%} [{one.better.low:.0%}, {one.better.high:.0%}]"
            known = not math.isnan(one.variance_p)
            variance = f"/{one.variance_ratio:.3g}, {p_text(one.variance_p)}" if known else ""
            row += [variance, format_score(study.unscaled(one.worst)), better]
        table.add_row(Text(name), *row)
    return table


def spread_text(study: Study, spread: float) -> str:
    """The standard deviation of a recipe's scores over seeds."""
    if math.isnan(spread):
        return ""
    return f"{study.shown(spread):.2f}{'%' if study.unit == '%' else ' points'}"


def reference_cells(result: StudyResult, name: str, value: float) -> tuple[str, ...]:
    """A reference's score, and what the primary arm is beside it."""
    one = result.against_references.get(name)
    if one is None:
        return format_score(value), "", "", "reference"
    study = result.study
    verbs = {"helps": "beaten", "hurts": "not reached", "equivalent": "equalled"}
    outcome = verbs.get(one.verdict, "undecided")
    return format_score(value), effect_cell(study, one), p_text(one.p_holm), outcome


def verdict_cells(study: Study, one: ArmVerdict) -> tuple[str, ...]:
    """Score, effect with its interval, adjusted p, verdict."""
    cells = effect_cell(study, one), p_text(one.p_holm), verdict_with_seeds(one)
    return format_score(one.score), *cells


def effect_cell(study: Study, one: ArmVerdict | Estimate) -> str:
    """An effect with its interval."""
    effect = signed_effect(study, one.effect)
    if one.n > 1:
        effect += f" [{signed_effect(study, one.low)}, {signed_effect(study, one.high)}]"
    return effect


def format_score(value: float) -> str:
    return "" if math.isnan(value) else number(value, ".4f" if value < HUGE else ".1e")


def describe_control(control: Control) -> str:
    if control.holds is None:
        return f"{control.name} has not run"
    if control.holds:
        return f"{control.name} holds: not a bit differs"
    return f"{control.name} FAILS: differs by {control.difference:g}"


def undecided_notes(judged: Sequence[ArmVerdict]) -> list[str]:
    """What stands behind `undecided` in the table."""
    lines = []
    if any(one.more_seeds and one.more_data is None for one in judged):
        lines.append(
            "undecided +n: about n more seeds would decide, if effect and spread stay as measured"
        )
    if any(one.more_data is not None for one in judged):
        lines.append(
            "undecided xk: more seeds would not decide, about k times the test data would;"
            " +n xk: both together"
        )
    return lines


def study_notes(result: StudyResult) -> list[str]:
    """What a reader of the table must know."""
    judged = (*result.verdicts, *result.parts)
    lines = undecided_notes(judged)
    if any(not one.verdict for one in judged):
        lines.append("–: shown with its interval and not judged")
    if result.against_references:
        names = ", ".join(sorted(result.against_references))
        lines.append(
            f"references {names}: {result.study.primary_arm} minus the reference; beaten, equalled,"
            " not reached or undecided"
        )
    lines += [*look_notes(result.study), *rate_notes(result.study), *share_notes(result)]
    if len(judged) > 1:
        lines.append(
            "arms and parts that are judged are one family under Holm: the interval of each is at"
            " the level of its step"
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
    units = get_facts(result.study.task).test_items
    return f"{arm} on other test {units}, p of {'; '.join(tests)}"


def look_notes(study: Study) -> list[str]:
    """The plan of looks, where the study has one; the looks outside it, and what they cost."""
    if study.undeclared:
        looked = ", ".join(map(str, study.undeclared))
        return [
            f"looked at before with {looked} seeds, which no plan declared: this look rejects only"
            f" at p {study.level:.4f}, which holds however often one looks"
        ]
    if not study.looks:
        return []
    plan = ", ".join(map(str, study.looks))
    return [
        f"look {study.look} of {len(study.looks)} at {plan} seeds, each at p {study.level:.4f}:"
        f" together {100 * study.alpha:g}%"
    ]


def share_notes(result: StudyResult) -> list[str]:
    """How the shares were obtained, or what sampled Shapley values would cost."""
    study, attributed = result.study, result.attribution
    if attributed is None:
        return []
    if attributed.method == "sampled":
        return [
            f"shares: Shapley values of {len(study.orders)} sampled orders of the parts; intervals"
            " over seeds and orders; nothing remains"
        ]
    if attributed.small_remainder:
        return []
    runs = order_runs(study)
    return [
        "the shares leave a remainder that is not shown to be small;"
        f" study.shapley={OFFERED} shares it out by sampled Shapley values, with {runs} more runs"
    ]


def order_runs(study: Study) -> int:
    """How many runs the offered orders add to a study of parts."""
    have = {frozenset(map(study.parts.index, arm.on)) for arm in study.arms}
    passed = prefixes(draw_orders(len(study.parts), OFFERED))
    more = sum(one not in have for one in passed)
    return more * len(study.seeds) * len(study.folds)


def rate_notes(study: Study) -> list[str]:
    """The learning rates, where the study searched them."""
    if not study.rates:
        return []
    found = ", ".join(f"{name} {one.rate:g}" for name, one in study.rates.items())
    return [f"learning rates, searched on validation data with equal effort: {found}"]


def confidence(level: float) -> str:
    """95%; 98.2%."""
    return f"{100 * (1 - level):.3g}%"


def _predicate(study: Study, one: ArmVerdict) -> str:
    if one.verdict == "equivalent":
        return f"is equivalent to {study.baseline}"
    if one.verdict != "undecided":
        return one.verdict
    more = "no number of seeds up to 10,000"
    if one.more_seeds is not None:
        more = f"about {one.more_seeds} more seeds"
    if one.more_data is not None:
        times = f"about {one.more_data:.1f} times the test data"
        more = f"more seeds would not, {times}" if one.more_seeds is None else f"{more} on {times}"
    return f"is undecided, {more} would decide"
