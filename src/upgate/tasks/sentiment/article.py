"""The article's claim for reviews: one setting; honest is to compare with the linear model too."""

from collections.abc import Sequence

from upgate.tasks.article import ARTICLE, BEYOND, LESS, LINEAR, ArticleClaim, Setting

PLAIN = ("model.skip=none", "task.ngrams=0", "task.keep=head")


def review_studies(user: Sequence[str]) -> dict[str, list[str]]:
    """The article's network reads words alone, whatever the defaults are."""
    given = {word.split("=", 1)[0] for word in user}
    return {"reviews": [*user, *(word for word in PLAIN if word.split("=")[0] not in given)]}


CLAIM = ArticleClaim(
    size=0.05,
    settings=(Setting("reviews", ARTICLE, "linear"),),
    texts={
        "scores": "accuracy",
        LESS: "accuracy at least 5 points above the traditional recipe's",
        LINEAR: "the same, compared with the linear model",
        BEYOND: "implied: a higher accuracy than the linear model's",
    },
    overrides=review_studies,
)
