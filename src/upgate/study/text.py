"""A study in one table and one sentence, for a terminal of 80 characters."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from upgate.console import counted, new_table, number, print_lines
from upgate.experiment.records import looks_line
from upgate.messages import joined
from upgate.stats.estimate import Estimate
from upgate.stats.reliability import Reliability
from upgate.stats.shapley import draw_orders, prefixes
from upgate.study.result import ArmVerdict, Control, Study, StudyResult
from upgate.study.texts import say
from upgate.tasks.names import get_facts

OFFERED = 8  # orders of the parts that a study with a remainder offers to sample
HUGE = 1e5  # numbers from here on are short in powers of ten only
VERDICTS = ("helps", "hurts", "equivalent", "undecided")
OUTCOMES = {"helps": "beaten", "hurts": "not_reached", "equivalent": "equalled"}  # of a reference


def metric_name(study: Study) -> str:
    """The metric's label; the key of a metric that the task does not have any more."""
    return get_facts(study.task).metric.label_of(study.metric)


def effect_unit(study: Study) -> str:
    """What stands after an effect: % or points."""
    return "%" if study.unit == "%" else say("points")


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


def verdict_with_seeds(one: ArmVerdict) -> str:
    """The verdict, and how many more seeds, or times the test data, an undecided one needs."""
    if one.verdict != "undecided":
        return say.of("verdict", one.verdict) if one.verdict else "–"
    more = f" +{one.more_seeds}" if one.more_seeds else ""
    times = f" x{one.more_data:.1f}" if one.more_data is not None else ""
    return say("undecided_more", more=more, times=times)


def main_verdict(result: StudyResult) -> ArmVerdict | None:
    """The verdict on the primary question; None before it has a seed."""
    primary = result.study.primary_arm
    return next((one for one in result.verdicts if one.arm == primary), None)


def summarize_study(result: StudyResult) -> str:
    """The answer in one sentence."""
    study = result.study
    if not result.verdicts:
        return say("nothing")
    one = main_verdict(result)
    if one is None:
        return say("nothing_of", arm=study.primary_arm)
    claim = say("claim_of", arm=one.arm, claim=claim_text(study, one))
    clauses = [claim, *finding_of_reliability(result, one)]
    others = [other for other in result.verdicts if other is not one]
    if result.parts:
        judged = list_by_verdict(result.parts)
        named = say("of_parts", n=len(result.parts), judged=judged)
        clauses.append(named if judged else say("parts_not_judged", reason=why_no_words(result)))
    elif others:
        judged = judge_others(others)
        clauses.append(judged or say("others_not_judged"))
    return say("sentence", clauses=joined(clauses, "sentences"))


def finding_of_reliability(result: StudyResult, one: ArmVerdict) -> list[str]:
    """The clause on collapses, or on variances that surely differ; empty where it is no finding."""
    found, base = (result.reliability.get(arm) for arm in (one.arm, result.study.baseline))
    if found is None or base is None:
        return []
    if found.collapsed or base.collapsed:
        counts = {"failed": failed_text(found), "base_failed": failed_text(base)}
        key = "fails_trimmed" if one.collapsed else "fails"
        return [say(key, baseline=result.study.baseline, **counts)]
    if found.variance_p <= result.study.level and 0 < found.variance_ratio < math.inf:
        steadier = found.variance_ratio > 1
        times = found.variance_ratio if steadier else 1 / found.variance_ratio
        name = result.study.baseline if steadier else one.arm
        return [say("variance", name=name, times=f"{times:.3g}")]
    return []


def failed_text(one: Reliability) -> str:
    """1 of 6 seeds (0% to 64%)."""
    low, high = f"{one.rate.low:.0%}", f"{one.rate.high:.0%}"
    return say("failed_seeds", failed=one.collapsed, n=one.n, low=low, high=high)


def why_no_words(result: StudyResult) -> str:
    attributed = result.attribution
    if attributed is not None and not attributed.small_remainder:
        return say("interactions")
    return say("whole_undecided")


def claim_text(study: Study, one: ArmVerdict) -> str:
    """helps: its MSE ratio is 8.3% lower than traditional's (95% interval ..., 6 seeds)."""
    seeds = with_look(counted(one.n, "seed"), study)
    if not math.isfinite(one.effect):
        verdict = say.of("verdict", one.verdict)
        return say("claim_diverged", verdict=verdict, seeds=seeds, diverged=one.diverged)
    effect = study.shown(one.effect)
    return say(
        "claim",
        predicate=_predicate(study, one),
        metric=metric_name(study),
        difference=say(
            "lower_than" if effect < 0 else "higher_than",
            size=f"{abs(effect):.2f}",
            unit=effect_unit(study),
            baseline=study.baseline,
        ),
        spread=_interval_with_seeds(study, one) if one.n > 1 else say("anecdote"),
        seeds=seeds,
    )


def _interval_with_seeds(study: Study, one: ArmVerdict) -> str:
    """95% interval -9.1 to -7.4% over seeds only."""
    return say(
        "interval",
        level=confidence(one.level),
        low=signed_effect(study, one.low),
        high=signed_effect(study, one.high),
        unit=effect_unit(study),
        over=over_text(study, one),
    )


def with_look(seeds: str, study: Study) -> str:
    """6 seeds, look 1 of 4: where the study may be extended; or that looks before had no plan."""
    if study.undeclared:
        return say("look_undeclared", seeds=seeds, look=len(study.undeclared) + 1)
    if study.looks:
        return say("look", seeds=seeds, look=study.look, looks=len(study.looks))
    return seeds


def over_text(study: Study, one: ArmVerdict) -> str:
    """What the interval is about."""
    if one.over == "seeds":
        return say("over_seeds")
    return say(f"over_{get_facts(study.task).test_items}")


def list_by_verdict(verdicts: Sequence[ArmVerdict]) -> str:
    """clip and init help, optimizer hurts, 4 are undecided: names where there are few."""
    phrases = []
    for verdict in VERDICTS:
        names = [one.arm for one in verdicts if one.verdict == verdict]
        if names:
            who = joined(names, "and") if len(names) < 4 else say("many", n=len(names))
            phrases.append(say(f"{'they' if len(names) > 1 else 'it'}_{verdict}", who=who))
    return joined(phrases, "clauses")


def judge_others(others: Sequence[ArmVerdict]) -> str:
    """The verdicts of the recipes that are not asked about first; empty before they are judged."""
    judged = list_by_verdict(others)
    several = judged and len(others) > 1
    return say("of_others", n=len(others), judged=judged) if several else judged


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
    title = say(
        "table_title",
        metric=metric_name(study),
        better=say.of("better", study.better),
        baseline=study.baseline,
        unit=unit_of_table(study),
    )
    effect = say("effect", level=confidence(study.level))
    table = new_table(title, "", say("score"), effect, "p", say("verdict"))
    if result.aa is not None:
        table.add_row(result.aa.arm, *verdict_cells(study, result.aa), end_section=True)
    table.add_row(study.baseline, format_score(result.baseline_score), "", "", say("baseline"))
    for one in result.verdicts:
        table.add_row(one.arm, *verdict_cells(study, one))
    last = len(result.references) - 1
    for i, (name, value) in enumerate(sorted(result.references.items())):
        cells = reference_cells(result, name, value)
        table.add_row(name, *cells, end_section=i == last)
    for one in result.parts:
        table.add_row(say("share_of", part=one.arm), *verdict_cells(study, one))
    if result.attribution is not None and result.attribution.method == "main":
        rest = result.attribution.remainder
        small = say("small" if result.attribution.small_remainder else "not_small")
        table.add_row(say("remainder"), "", effect_cell(study, rest), "", small)
    return table


def unit_of_table(study: Study) -> str:
    """Percent of traditional's; points."""
    if study.unit == "%":
        return say("unit_percent", baseline=study.baseline)
    return say("unit_points")


def reliability_table(result: StudyResult) -> Table:
    """The second verdict: a row per arm."""
    study = result.study
    title = say("reliability_title", baseline=study.baseline)
    heads = (say("failed"), say("spread"), say("variance_p"), say("worst"), say("p_better"))
    table = new_table(title, "", *heads)
    for name, one in result.reliability.items():
        failed = say("failed_of", failed=one.collapsed, n=one.n, high=f"{one.rate.high:.0%}")
        row: list[str] = [failed, spread_text(study, one.spread)]
        if name == study.baseline:
            row += ["", format_score(study.unscaled(one.worst)), ""]
        else:
            better = f"{one.better.effect:.0%} [{one.better.low:.0%}, {one.better.high:.0%}]"
            known = not math.isnan(one.variance_p)
            variance = f"/{one.variance_ratio:.3g}, {p_text(one.variance_p)}" if known else ""
            row += [variance, format_score(study.unscaled(one.worst)), better]
        table.add_row(name, *row)
    return table


def spread_text(study: Study, spread: float) -> str:
    """The standard deviation of a recipe's scores over seeds."""
    if math.isnan(spread):
        return ""
    return say("size", size=f"{study.shown(spread):.2f}", unit=effect_unit(study))


def reference_cells(result: StudyResult, name: str, value: float) -> tuple[str, ...]:
    """A reference's score, and what the primary arm is beside it."""
    one = result.against_references.get(name)
    if one is None:
        return format_score(value), "", "", say("reference")
    study = result.study
    outcome = say(OUTCOMES.get(one.verdict, "verdict_undecided"))
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
        return say("control_not_run", name=control.name)
    if control.holds:
        return say("control_holds", name=control.name)
    return say("control_fails", name=control.name, difference=f"{control.difference:g}")


def undecided_notes(judged: Sequence[ArmVerdict]) -> list[str]:
    """What stands behind `undecided` in the table."""
    lines: list[str] = []
    if any(one.more_seeds and one.more_data is None for one in judged):
        lines.append(say("note_more_seeds"))
    if any(one.more_data is not None for one in judged):
        lines.append(say("note_more_data"))
    return lines


def study_notes(result: StudyResult) -> list[str]:
    """What a reader of the table must know."""
    judged = (*result.verdicts, *result.parts)
    lines = undecided_notes(judged)
    if any(not one.verdict for one in judged):
        lines.append(say("note_not_judged"))
    if result.against_references:
        names = joined(sorted(result.against_references))
        lines.append(say("note_references", names=names, arm=result.study.primary_arm))
    lines += [*look_notes(result.study), *rate_notes(result.study), *share_notes(result)]
    if len(judged) > 1:
        lines.append(say("note_family"))
    if result.aa is not None and result.aa.verdict in ("helps", "hurts"):
        lines.append(say("note_aa", chance=f"{100 * result.study.alpha:g}"))
    diverged = [
        say("diverged_of", count=count, name=name)
        for name, count in result.diverged.items()
        if count
    ]
    if diverged:
        lines.append(say("note_diverged", counts=joined(diverged)))
    if not result.complete:
        count = sum(map(len, result.missing.values()))
        lines.append(say("note_missing", count=count))
    main = main_verdict(result)
    if main is not None and result.significance.get(main.arm):
        lines.append(beyond_seeds(main.arm, result))
    return [*lines, looks_line(result.looks)]


def beyond_seeds(arm: str, result: StudyResult) -> str:
    """p-values on other dates or items; those of the trained seeds alone say so in their names."""
    task = get_facts(result.study.task)
    tests = [
        say("p_of_test", test=task.test_label(test.name), p=p_text(test.p))
        for test in result.significance[arm]
        if not math.isnan(test.p)
    ]
    return say(f"beyond_{task.test_items}", arm=arm, tests=joined(tests, "sentences"))


def look_notes(study: Study) -> list[str]:
    """The plan of looks, where the study has one; the looks outside it, and what they cost."""
    if study.undeclared:
        looked = joined(list(map(str, study.undeclared)))
        return [say("note_undeclared", seeds=looked, level=f"{study.level:.4f}")]
    if not study.looks:
        return []
    return [
        say(
            "note_looks",
            look=study.look,
            looks=len(study.looks),
            seeds=joined(list(map(str, study.looks))),
            level=f"{study.level:.4f}",
            alpha=f"{100 * study.alpha:g}",
        )
    ]


def share_notes(result: StudyResult) -> list[str]:
    """How the shares were obtained, or what sampled Shapley values would cost."""
    study, attributed = result.study, result.attribution
    if attributed is None:
        return []
    if attributed.method == "sampled":
        return [say("note_sampled", orders=len(study.orders))]
    if attributed.small_remainder:
        return []
    return [say("note_remainder", orders=OFFERED, runs=order_runs(study))]


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
    found = joined([f"{name} {one.rate:g}" for name, one in study.rates.items()])
    return [say("note_rates", rates=found)]


def confidence(level: float) -> str:
    """95%; 98.2%."""
    return f"{100 * (1 - level):.3g}%"


def _predicate(study: Study, one: ArmVerdict) -> str:
    if one.verdict == "equivalent":
        return say("is_equivalent", baseline=study.baseline)
    if one.verdict != "undecided":
        return say.of("verdict", one.verdict)
    if one.more_data is not None:
        times = f"{one.more_data:.1f}"
        if one.more_seeds is None:
            return say("more_data", times=times)
        return say("more_both", more=one.more_seeds, times=times)
    return say("never") if one.more_seeds is None else say("more_seeds", more=one.more_seeds)
