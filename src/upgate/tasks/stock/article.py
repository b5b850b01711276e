"""The article's claim for prices.

Its setting is `task.target=level` on one chronological holdout; the honest ones forecast what can
be forecast against what costs nothing, walk-forward.
"""

from collections.abc import Sequence

from upgate.tasks.article import ARTICLE, BEYOND, EXCESS, HONEST, LESS, ArticleClaim, Setting

HOLDOUT, WALK_FORWARD = "split=holdout", "split=walk_forward"
SETTINGS = (  # under the target's name
    Setting("level", ARTICLE, "persistence"),
    Setting("return", HONEST, "persistence"),
    Setting("volatility", HONEST, "har"),
)


def price_studies(user: Sequence[str]) -> dict[str, list[str]]:
    """The user's overrides apply to all; those of split and study.folds to the honest settings.

    The article's network starts from no reference, whatever the default is.
    """
    split = [word for word in user if is_split(word)]
    shared = [word for word in user if word not in split]
    if not any(word.startswith("model.skip=") for word in user):
        shared.append("model.skip=none")
    if not any(word.startswith("split=") for word in split):
        split.insert(0, WALK_FORWARD)
    studies = {}
    for setting in SETTINGS:
        cut = [HOLDOUT] if setting.role == ARTICLE else split
        studies[setting.name] = ["study=pair", *shared, f"task.target={setting.name}", *cut]
    return studies


def is_split(word: str) -> bool:
    return word.startswith(("split=", "split.", "study.folds="))


CLAIM = ArticleClaim(
    size=0.20,
    settings=SETTINGS,
    texts={
        "scores": "MSE over persistence's",
        LESS: "MSE at least 20% lower than the traditional recipe's",
        EXCESS: "the same, as the removed share of the excess error over persistence "
        "(volatility: over HAR)",
        BEYOND: "implied: a lower MSE than persistence's (volatility: than HAR's)",
    },
    overrides=price_studies,
)
