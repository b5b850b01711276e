"""The top of a study's report: the verdict in one sentence, and warnings."""

from collections.abc import Sequence

from upgate.page.effects import effect_with_unit, format_effect
from upgate.page.html import Html, el
from upgate.page.translations import Translator
from upgate.report.phrases import confidence_level, margin_text, verdict_badge
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
    clauses = [verdict_sentence(full, result.study, w)] if full else []
    rest = result.parts if full else result.verdicts
    if rest:
        groups = [
            w("by_word", names=w("and").join(names), word=w(verdict))
            for verdict, names in names_by_verdict(rest).items()
        ]
        clauses.append((w("of_parts") if full else "") + w("and").join(groups))
    return w("then").join(clauses) + w("stop") if clauses else w("nothing")


def names_by_verdict(verdicts: Sequence[ArmVerdict]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for verdict in verdicts:
        names.setdefault(verdict.verdict, []).append(verdict.arm)
    return names


def verdict_sentence(verdict: ArmVerdict, study: Study, w: Translator) -> str:
    """An arm against the baseline, without a full stop."""
    more = verdict.more_seeds
    return w(
        f"said_{verdict.verdict}",
        arm=verdict.arm,
        baseline=study.baseline,
        metric=study_text.metric_name(study, w.language),
        effect=effect_with_unit(study, verdict.effect, w),
        low=format_effect(study, verdict.low),
        high=format_effect(study, verdict.high),
        level=confidence_level(study),
        margin=margin_text(study, w),
        n=verdict.n,
        more=w("more_never") if more is None else w("more_seeds", more=more),
    )
