"""The second verdict as a figure: how surely each recipe works on one new seed."""

from upgate.page.figure import Figure
from upgate.page.forest_plot import ForestRow, forest_plot
from upgate.page.html import Child
from upgate.page.svg import format_number
from upgate.page.translations import Translator
from upgate.report.phrases import arm_name
from upgate.stats.reliability import Reliability
from upgate.study.result import StudyResult
from upgate.study.text import format_score, spread_text

COLUMNS = ("recipe", "failed_seeds", "spread", "variance_ratio", "worst_seed", "better_new")
NONE = "–"


def reliability_figure(result: StudyResult, w: Translator) -> Figure | None:
    """A row per recipe but the baseline; None before any has a seed."""
    study = result.study
    arms = {name: one for name, one in result.reliability.items() if name != study.baseline}
    if not arms:
        return None
    rows = [_reliability_row(arm_name(name, study, w), one) for name, one in arms.items()]
    texts = [f"{row.label} {row.text}" for row in rows]
    level = f"{100 * (1 - study.alpha):g}"
    return Figure(
        w("reliability"),
        forest_plot(rows, 50.0, None, (w("no_better"), w("better_new"))),
        w("reliability_label", said="; ".join(texts)),
        list(map(w, COLUMNS)),
        [_arm_cells(name, one, result, w) for name, one in result.reliability.items()],
        w("reliability_note", baseline=study.baseline, level=level),
    )


def _reliability_row(name: str, one: Reliability) -> ForestRow:
    middle, low, high = (100 * share for share in one.better)
    text = f"{middle:.0f}% [{low:.0f}, {high:.0f}]"
    return ForestRow(name, middle, text, interval=(low, high), hollow=low <= 50 <= high)


def _arm_cells(name: str, one: Reliability, result: StudyResult, w: Translator) -> list[Child]:
    study = result.study
    beside = name != study.baseline
    p = f" (p {format_number(one.variance_p, 2)})"
    better = f"{one.better.effect:.0%} [{one.better.low:.0%}, {one.better.high:.0%}]"
    return [
        arm_name(name, study, w),
        f"{one.collapsed}/{one.n} ({one.rate.low:.0%}–{one.rate.high:.0%})",
        w.of(spread_text(study, one.spread)) or NONE,
        format_number(one.variance_ratio, 3) + p if beside else NONE,
        format_score(study.unscaled(one.worst)),
        better if beside else NONE,
    ]
