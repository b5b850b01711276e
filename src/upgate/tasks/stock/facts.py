"""The stock task without its training.

What takes seconds to import, SciPy and statsmodels, waits for the study that needs it.
"""

import math
from collections.abc import Mapping

from upgate.config.values import Section
from upgate.data.prices.reference_names import REFERENCES
from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks.facts import Column, Metric, TaskFacts
from upgate.tasks.significance import BeyondSeeds, StudyRuns, UnitScores
from upgate.tasks.stock.article import CLAIM
from upgate.tasks.stock.texts import TEST_TEXTS, TEXTS, say

SKILL = 0.99  # an MSE ratio below it is more than the noise of a test part of some hundred days
FREE = ("har", "drift")  # the forecast to be compared with; the first that a target has
EQUAL = 0.001  # a change of the MSE that no test part of some hundred days tells from none
SMALLEST = 0.01  # a change of the MSE that matters, as in a study


class StockFacts(TaskFacts):
    name = "stock"
    metric = Metric(
        key="test/mse_ratio",
        label=say("mse_ratio"),
        phrase=say("mse_ratio_phrase"),
        higher_is_better=False,
        scale="log",
    )
    columns = (
        Column("mse_ratio", say("mse_ratio"), ".4f"),
        Column("mse", "MSE", ".3g"),
        Column("mae", "MAE", ".3g"),
        Column("r2_oos", "R²", ".4f"),
        Column("direction", say("direction"), ".3f"),
        Column("price_mae", say("price_mae"), ".4g"),
        Column("coverage_90", say("coverage_90"), ".3f"),  # the share of truths in it
    )
    references = REFERENCES
    pictures = ("forecast.png", "curves.png")
    test_items = "dates"
    explains = True
    article = CLAIM
    texts = TEXTS
    test_texts = TEST_TEXTS
    tests_note = "seeds_fixed"

    def unit_scores(self, runs: StudyRuns) -> UnitScores:
        from upgate.tasks.stock.units import date_scores

        return date_scores(runs)

    def significance(self, runs: StudyRuns) -> BeyondSeeds:
        from upgate.tasks.stock.significance import compare_forecasts

        return compare_forecasts(runs)

    def report_sections(self, comparison: Comparison, w: Translator) -> list[Html]:
        from upgate.tasks.stock.report import price_sections

        return price_sections(comparison, w)

    def table_columns(self, metrics: Mapping[str, float]) -> list[Column]:
        """In price where there is one, for that is the error people look for."""
        hidden = "mae" if "test/price_mae" in metrics else ""
        return [column for column in super().table_columns(metrics) if column.key != hidden]

    def table_title(self, metrics: Mapping[str, float]) -> str:
        return say("run_title", samples=f"{int(metrics.get('test/samples', 0)):,}")

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        ratio = metrics["test/mse_ratio"]
        key = "run_beats" if ratio < 1 else "run_does_not_beat"
        if abs(ratio - 1) < EQUAL:
            key = "run_equals"
        sentence = say(key, ratio=f"{ratio:.4f}")
        name = next((one for one in FREE if f"test/{one}/mse_ratio" in metrics), None)
        if name is None:  # a run of an old store
            return sentence
        beside = metrics[f"test/{name}/mse_ratio"]
        if not (math.isfinite(ratio) and beside > 0):  # no price moved
            return sentence
        change = ratio / beside - 1
        gap = f"{100 * change:+.2f}%" if abs(change) >= EQUAL / 10 else say("gap_small")
        known = {"gap": gap, "name": name, "meaning": meaning(change)}
        return say("run_beside_free", sentence=sentence, **known)

    def worth_trying(self, metrics: Mapping[str, float], settings: Section) -> tuple[str, str]:
        if settings["target"] != "return" or metrics["test/mse_ratio"] < SKILL:
            return "", ""
        return say("try_volatility"), "task.target=volatility"


def meaning(change: float) -> str:
    """What an MSE so much above a free forecast's says to whoever trained the run."""
    if abs(change) < SMALLEST:
        return say("learned_no_more")
    if change < 0:
        return say("learned_something")
    return say("free_is_better")


FACTS = StockFacts()
