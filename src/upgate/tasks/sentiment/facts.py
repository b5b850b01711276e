"""The sentiment task without its training.

What takes seconds to import, SciPy and statsmodels, waits for the study that needs it.
"""

from collections.abc import Mapping

from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks.facts import Column, Metric, TaskFacts
from upgate.tasks.sentiment.article import CLAIM
from upgate.tasks.sentiment.texts import TEST_TEXTS, TEXTS
from upgate.tasks.significance import BeyondSeeds, StudyRuns, UnitScores


class SentimentFacts(TaskFacts):
    name = "sentiment"
    metric = Metric(
        key="test/accuracy",
        label="accuracy",
        phrase="accuracy on the test part, higher is better",
        higher_is_better=True,
        scale="plain",
        labels={"zh": "准确率"},
        unseen="test/accuracy_unseen",
        unseen_labels={"en": "accuracy on unseen texts", "zh": "未见文本的准确率"},
    )
    columns = (
        Column("accuracy", "accuracy", ".4f"),
        Column("accuracy_unseen", "unseen", ".4f"),
        Column("macro_f1", "macro F1", ".4f"),
        Column("mcc", "Matthews", ".4f"),
        Column("loss", "loss", ".4f"),
        Column("ece", "calibration", ".4f"),
    )
    references = ("majority", "linear", "nb_logistic")
    own = frozenset({"lstm"})  # the network without the linear model it is added to
    pictures = ("confusion.png", "curves.png")
    article = CLAIM
    texts = TEXTS
    test_texts = TEST_TEXTS

    def unit_scores(self, runs: StudyRuns) -> UnitScores:
        from upgate.tasks.sentiment.significance import item_scores

        return item_scores(runs)

    def significance(self, runs: StudyRuns) -> BeyondSeeds:
        from upgate.tasks.sentiment.significance import compare_answers

        return compare_answers(runs)

    def report_sections(self, comparison: Comparison, w: Translator) -> list[Html]:
        from upgate.tasks.sentiment.report import review_sections

        return review_sections(comparison, w)

    def table_title(self, metrics: Mapping[str, float]) -> str:
        title = f"test part, {int(metrics.get('test/samples', 0)):,} reviews"
        best, leaked = metrics.get("test/ceiling/accuracy"), int(metrics.get("test/leaked", 0))
        if best is not None:
            title += f"; best attainable accuracy {best:.4f}"
        if leaked:
            title += f"; unseen: without the {leaked:,} that are in the training part too"
        return title

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        accuracy, linear = metrics["test/accuracy"], metrics["test/linear/accuracy"]
        correct, lead = f"The run gets {100 * accuracy:.2f}% right", 100 * (accuracy - linear)
        if f"{abs(lead):.2f}" == "0.00":
            return f"{correct} and is level with the linear model"
        if lead > 0:
            return f"{correct} and beats the linear model by {lead:.2f} points"
        return f"{correct} and stays {-lead:.2f} points below the linear model"


FACTS = SentimentFacts()
