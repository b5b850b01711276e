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
from upgate.tasks.stock.texts import TEST_TEXTS, TEXTS

SKILL = 0.99  # an MSE ratio below it is more than the noise of a test part of some hundred days
FREE = ("har", "drift")  # the forecast to be compared with; the first that a target has
EQUAL = 0.001  # a change of the MSE that no test part of some hundred days tells from none
SMALLEST = 0.01  # a change of the MSE that matters, as in a study


class StockFacts(TaskFacts):
    name = "stock"
    metric = Metric(
        key="test/mse_ratio",
        label="MSE ratio",
        phrase="MSE over persistence's on the test part, lower is better",
        higher_is_better=False,
        scale="log",
        labels={"zh": "MSE 比"},
    )
    columns = (
        Column("mse_ratio", "MSE ratio", ".4f"),
        Column("mse", "MSE", ".3g"),
        Column("mae", "MAE", ".3g"),
        Column("r2_oos", "R²", ".4f"),
        Column("direction", "direction", ".3f"),
        Column("price_mae", "price MAE", ".4g"),
        Column("coverage_90", "in 90%", ".3f"),  # the share of truths in the interval at 90%
    )
    references = REFERENCES
    pictures = ("forecast.png", "curves.png")
    test_items = "dates"
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
        samples = int(metrics.get("test/samples", 0))
        return f"test part, {samples:,} samples; MSE ratio: to persistence's, below 1 beats it"

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        ratio = metrics["test/mse_ratio"]
        verb = "beats" if ratio < 1 else "does not beat"
        if abs(ratio - 1) < EQUAL:
            verb = "equals"
        sentence = f"The run {verb} persistence ({ratio:.4f} of its MSE)"
        name = next((one for one in FREE if f"test/{one}/mse_ratio" in metrics), None)
        if name is None:  # a run of an old store
            return sentence
        beside = metrics[f"test/{name}/mse_ratio"]
        if not (math.isfinite(ratio) and beside > 0):  # no price moved
            return sentence
        change = ratio / beside - 1
        gap = f"{100 * change:+.2f}%" if abs(change) >= EQUAL / 10 else "less than 0.01%"
        free = f"that of {name}, which costs nothing"
        return f"{sentence}; its MSE is {gap} from {free}: {meaning(change)}"

    def worth_trying(self, metrics: Mapping[str, float], settings: Section) -> tuple[str, str]:
        if settings["target"] != "return" or metrics["test/mse_ratio"] < SKILL:
            return "", ""
        reason = (
            "hardly anything forecasts daily returns; how much prices will move is another matter"
        )
        return reason, "task.target=volatility"


def meaning(change: float) -> str:
    """What an MSE so much above a free forecast's says to whoever trained the run."""
    if abs(change) < SMALLEST:
        return "it learned no more than that forecast knows"
    if change < 0:
        return "it learned something that forecast does not know"
    return "the free forecast is the better one"


FACTS = StockFacts()
