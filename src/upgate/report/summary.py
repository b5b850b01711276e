"""The top of the page: the verdict in one sentence, and what a reader must know before the pictures."""

from upgate.page.effects import effect_with_unit, format_effect
from upgate.page.html import Html, el
from upgate.page.translations import Translator
from upgate.report.figures import chip, level, margin_of, metric_name
from upgate.study import text as say
from upgate.study.result import ArmVerdict, Study, StudyResult

LONG = 140  # characters of a sentence that is set smaller


def chosen(result: StudyResult) -> str | None:
    """The arm that is drawn in full: the whole upgraded recipe; of named recipes the one with the best effect."""
    whole = say.whole(result)
    if whole is not None or not result.verdicts:
        return whole.arm if whole else None
    sign = -1 if result.study.higher_is_better else 1
    return min(result.verdicts, key=lambda one: sign * one.effect).arm


def head(result: StudyResult, w: Translator, title: Html) -> Html:
    study, whole = result.study, say.whole(result)
    sizes = {"arms": len(study.arms), "seeds": len(study.seeds), "folds": len(study.folds)}
    under = el(
        "p",
        w("subtitle", task=task(study), design=study.design, **sizes),
        el("br"),
        study.source,
        class_="under",
    )
    said = sentence(result, w)
    size = "sentence long" if len(said) > LONG else "sentence"
    verdict = el("p", [chip(whole.word, w), " "] if whole else None, said, class_=size)
    return el(
        "header",
        title,
        under,
        verdict,
        [el("p", note, class_="warning") for note in warnings(result, w)],
    )


def task(study: Study) -> str:
    target = study.frozen.get("task", {}).get("target")
    return f"{study.task}, {target}" if target else study.task


def warnings(result: StudyResult, w: Translator) -> list[str]:
    """What makes the result less than it seems."""
    missing, diverged = sum(map(len, result.missing.values())), sum(result.diverged.values())
    noisy = result.aa is not None and result.aa.word in ("helps", "hurts")
    failed = [control.name for control in result.controls if control.holds is False]
    return [
        *([w("unfinished", count=missing)] if missing else []),
        *([w("diverged_note", count=diverged)] if diverged else []),
        *([w("aa_found")] if noisy else []),
        *([w("control_failed", names=", ".join(failed))] if failed else []),
    ]


def sentence(result: StudyResult, w: Translator) -> str:
    """The study's own sentence, which is English; else the same from the table of words."""
    if w.language == "en" and result.sentence:
        return result.sentence
    whole = say.whole(result)
    parts = [told(whole, result.study, w)] if whole else []
    rest = result.parts if whole else result.verdicts
    each = [
        w("by_word", names=w("and").join(names), word=w(word))
        for word, names in by_word(rest).items()
    ]
    parts += [(w("of_parts") if whole else "") + w("and").join(each)] if each else []
    return w("then").join(parts) + w("stop") if parts else w("nothing")


def by_word(verdicts: list[ArmVerdict]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in verdicts:
        found.setdefault(one.word, []).append(one.arm)
    return found


def told(one: ArmVerdict, study: Study, w: Translator) -> str:
    more = w("more_never") if one.more_seeds is None else w("more_seeds", more=one.more_seeds)
    return w(
        f"said_{one.word}",
        arm=one.arm,
        baseline=study.baseline,
        metric=metric_name(study, w),
        effect=effect_with_unit(study, one.effect, w),
        low=format_effect(study, one.low),
        high=format_effect(study, one.high),
        level=level(study),
        margin=margin_of(study, w),
        n=one.n,
        more=more,
    )
