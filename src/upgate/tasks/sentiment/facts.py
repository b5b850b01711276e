"""The sentiment task without its training.

What takes seconds to import, SciPy and statsmodels, waits for the study that needs it.
"""

from collections.abc import Mapping

from upgate.page.figure import Comparison
from upgate.page.html import Html
from upgate.page.translations import Translator
from upgate.tasks.facts import Column, Metric, TaskFacts
from upgate.tasks.sentiment.article import CLAIM
from upgate.tasks.sentiment.texts import TEST_TEXTS, TEXTS, say
from upgate.tasks.significance import BeyondSeeds, StudyRuns, UnitScores


class SentimentFacts(TaskFacts):
    name = "sentiment"
    metric = Metric(
        key="test/accuracy",
        label=say("accuracy"),
        phrase=say("accuracy_phrase"),
        higher_is_better=True,
        scale="plain",
        unseen="test/accuracy_unseen",
        unseen_label=say("accuracy_unseen"),
    )
    columns = (
        Column("accuracy", say("accuracy"), ".4f"),
        Column("accuracy_unseen", say("unseen"), ".4f"),
        Column("macro_f1", say("macro_f1"), ".4f"),
        Column("mcc", say("matthews"), ".4f"),
        Column("loss", say("loss"), ".4f"),
        Column("ece", say("calibration"), ".4f"),
    )
    references = ("majority", "linear", "nb_logistic")
    own = frozenset({"lstm"})  # the network without the linear model it is added to
    pictures = ("confusion.png", "curves.png")
    explains = True
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
        title = say("run_title", samples=f"{int(metrics.get('test/samples', 0)):,}")
        best, leaked = metrics.get("test/ceiling/accuracy"), int(metrics.get("test/leaked", 0))
        if best is not None:
            title = say("with_best", about=title, best=f"{best:.4f}")
        return say("with_unseen", title=title, leaked=f"{leaked:,}") if leaked else title

    def result_sentence(self, metrics: Mapping[str, float]) -> str:
        accuracy, linear = metrics["test/accuracy"], metrics["test/linear/accuracy"]
        correct, lead = f"{100 * accuracy:.2f}", 100 * (accuracy - linear)
        if f"{abs(lead):.2f}" == "0.00":
            return say("run_level", correct=correct)
        key = "run_above" if lead > 0 else "run_below"
        return say(key, correct=correct, lead=f"{abs(lead):.2f}")


FACTS = SentimentFacts()
