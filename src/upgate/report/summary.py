"""The top of a study's report: the verdict in one sentence, and warnings."""

from collections.abc import Sequence

from upgate.page.effects import effect_with_unit, format_effect
from upgate.page.html import Html, el
from upgate.page.translations import Translator
from upgate.report.phrases import margin_text, over_phrase, verdict_badge
from upgate.study import text as study_text
from upgate.study.result import ArmVerdict, Study, StudyResult

LONG = 140  # characters of a sentence that is set smaller


def chosen_arm(result: StudyResult) -> str | None:
    """The arm that is drawn in full.

    It is the full upgraded recipe, or the first of named recipes: the best one would be chosen by
    its test score. None before the first verdict.
    """
    full = study_text.main_verdict(result)
    if full is not None:
        return full.arm
    return result.verdicts[0].arm if result.verdicts else None


def summary(result: StudyResult, w: Translator, title: Html) -> Html:
    study, full = result.study, study_text.main_verdict(result)
    sizes = {"arms": len(study.arms), "seeds": len(study.seeds), "folds": len(study.folds)}
    subtitle = w("subtitle", task=task_and_target(study), design=study.design, **sizes)
    text = result_sentence(result, w)
    badge = [verdict_badge(full.verdict, w), " "] if full else None
    size = "sentence long" if len(text) > LONG else "sentence"
    return el(
        "header",
        title,
        el("p", subtitle, el("br"), study.source, class_="under"),
        el("p", badge, text, class_=size),
        [el("p", warning, class_="warning") for warning in warnings(result, w)],
    )


def task_and_target(study: Study) -> str:
    target = study.frozen.get("task", {}).get("target")
    return f"{study.task}, {target}" if target else study.task


def warnings(result: StudyResult, w: Translator) -> list[str]:
    """What limits the result: missing and diverged runs, an A/A difference, failed controls."""
    texts = []
    if missing := sum(map(len, result.missing.values())):
        texts.append(w("unfinished", count=missing))
    if diverged := sum(result.diverged.values()):
        texts.append(w("diverged_note", count=diverged))
    if result.aa is not None and result.aa.verdict in ("helps", "hurts"):
        texts.append(w("aa_found"))
    if failed := [control.name for control in result.controls if control.holds is False]:
        texts.append(w("control_failed", names=", ".join(failed)))
    return texts


def result_sentence(result: StudyResult, w: Translator) -> str:
    """The study's own sentence, which is English; in other languages one of the same content."""
    if w.language == "en" and result.sentence:
        return result.sentence
    full = study_text.main_verdict(result)
    if full is None:
        return w("nothing")
    clauses = [verdict_sentence(full, result.study, w), *reliability_clauses(result, full, w)]
    others = [one for one in result.verdicts if one is not full]
    if result.parts or others:
        clauses.append(family_clause(result, others, w))
    return w("then").join(clauses) + w("stop")


def family_clause(result: StudyResult, others: Sequence[ArmVerdict], w: Translator) -> str:
    """The verdicts of the parts, or of the other recipes."""
    judged = [one for one in (result.parts or others) if one.verdict]
    if not judged:
        return w("not_judged" if result.parts else "others_not_judged")
    groups = [
        w("by_word", names=w("and").join(names), word=w(verdict))
        for verdict, names in names_by_verdict(judged).items()
    ]
    return (w("of_parts") if result.parts else "") + w("and").join(groups)


def reliability_clauses(result: StudyResult, full: ArmVerdict, w: Translator) -> list[str]:
    """What the study's own sentence says of failures and variances, in the report's language."""
    if not study_text.finding_of_reliability(result, full):
        return []
    baseline = result.study.baseline
    own, base = result.reliability[full.arm], result.reliability[baseline]
    if own.collapsed or base.collapsed:
        counts = {"arm_count": own.collapsed, "base_count": base.collapsed, "n": own.n}
        return [w("fails", arm=full.arm, baseline=baseline, **counts)]
    wider, times = (baseline, own.variance_ratio)
    if times < 1:
        wider, times = full.arm, 1 / times
    return [w("variance_found", arm=wider, times=format(times, ".3g"))]


def names_by_verdict(verdicts: Sequence[ArmVerdict]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for verdict in verdicts:
        names.setdefault(verdict.verdict, []).append(verdict.arm)
    return names


def verdict_sentence(verdict: ArmVerdict, study: Study, w: Translator) -> str:
    """An arm against the baseline, without a full stop."""
    return w(
        f"said_{verdict.verdict}",
        arm=verdict.arm,
        baseline=study.baseline,
        metric=w.of(study_text.metric_name(study)),
        effect=effect_with_unit(study, verdict.effect, w),
        low=format_effect(study, verdict.low),
        high=format_effect(study, verdict.high),
        level=f"{100 * (1 - verdict.level):.3g}",
        margin=margin_text(study, w),
        n=verdict.n,
        over=over_phrase(study, verdict, w),
        look=look_phrase(study, w),
        more=more_text(verdict, w),
    )


def look_phrase(study: Study, w: Translator) -> str:
    """Which look at the seeds this is; empty where it is the only one."""
    if study.undeclared:
        return w("look_undeclared", look=len(study.undeclared) + 1)
    return w("look", look=study.look, looks=len(study.looks)) if study.looks else ""


def more_text(verdict: ArmVerdict, w: Translator) -> str:
    """What would decide an undecided one."""
    if verdict.more_data is not None:
        times = format(verdict.more_data, ".1f")
        if verdict.more_seeds is None:
            return w("more_data", more=times)
        return w("more_both", more=verdict.more_seeds, times=times)
    if verdict.more_seeds is not None:
        return w("more_seeds", more=verdict.more_seeds)
    return w("more_never")
