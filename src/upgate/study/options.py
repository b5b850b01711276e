"""The options of a study: study=DESIGN and study.KEY=VALUE. Imports nothing heavy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from upgate.config.schema import NonNegativeInt, Positive, PositiveInt, Range, build
from upgate.errors import UserError
from upgate.experiment.options import check_choice, declare, parse_options, separate
from upgate.study.texts import say

Level = Annotated[
    float, Range("between 0 and 1, both excluded", {"exclusiveMinimum": 0, "exclusiveMaximum": 1})
]
Design = Literal["pair", "parts", "factorial", "arms"]
Equal = Literal["steps", "wall"]
Bundle = Literal["article"]
Orders = Annotated[int, Range("an even number, 4 or more", {"minimum": 4, "multipleOf": 2})]
Rates = Literal["auto", "given"]

OWN = re.compile(r"study[.=]|experiment=|(study|experiment)$")
ALIASES = {"study": "study.design", "experiment": "study.experiment"}
REFUSED = {  # options of training that a study sets itself, and what to give instead
    "seed": "study.seeds=6, or a list of them",
    "fold": "study.folds=2, or a list of them",
    "twin": "study=arms, which names every recipe",
    "promote": "upgate promote run=KEY afterwards",
}


@dataclass(frozen=True)
class StudyOptions:
    """The options of a study, their defaults and their help; nowhere else are they declared."""

    design: Design = declare("pair", "which recipes are compared")
    seeds: list[NonNegativeInt] | PositiveInt = declare(
        6, "how many, from 0 on, or which: [0,3,7]; rates are searched with seeds from 100 on"
    )
    folds: list[NonNegativeInt] | PositiveInt | None = declare(
        None, "how many, or which; null: every fold of the split"
    )
    arms: list[str] | None = declare(
        None,
        'recipes of study=arms, the baseline first: "traditional, upgraded, upgraded clip=none"',
    )
    budget: Equal = declare(
        "steps", "what is equal for all: steps, or wall time, in epochs that the baseline's pays"
    )
    tune: PositiveInt | None = declare(
        None, "first tune every arm's parts with so many trials each, on validation data"
    )
    rates: Rates | None = declare(
        None,
        "auto: where arms differ in optimizer, schedule, init or regularization, each arm's"
        " learning rate is searched first, with equal effort; given: as the words have it; null:"
        " auto, but a stored study at the rates as given goes on with these",
    )
    shapley: Orders | None = declare(
        None,
        "of study=parts: Shapley values from so many orders of the parts, each one and its"
        " reverse, in place of main effects, which assume that no three parts interact",
    )
    smallest_effect: Positive | None = declare(
        None, "of interest; null: 1% of MSE; .3 points of accuracy on 10,000 items, else 1 point"
    )
    alpha: Level = declare(0.05, "the level of the primary question")
    looks: list[PositiveInt] | None = declare(
        None,
        "numbers of seeds at which the study may answer, and so be extended; null: 6, 9, 12, 18"
        " where study.seeds is one of them, else one look",
    )
    primary: str | None = declare(
        None, "the arm of the primary question; null: upgraded, or the second of named arms"
    )
    aa: bool = declare(True, "train the baseline on as many other seeds: the noise floor")
    zero: bool = declare(True, "train a run with independent updates, which must change nothing")
    over: list[str] | None = declare(
        None,
        'data sets, for one answer over all: "data.path=a.csv, data.path=b.csv", files/*.csv,'
        " or tickers",
    )
    experiment: Bundle | None = declare(
        None, "article: the article's claim, in its own setting and in a fair one"
    )
    yes: bool = declare(False, "go on after the plan without asking, as --yes")


def read_study_options(overrides: Sequence[str]) -> tuple[StudyOptions, list[str]]:
    """The study's options, checked, and the overrides of training. Raises UserError."""
    own, rest = separate(overrides, OWN, "a study", REFUSED)
    given = parse_options(own, ALIASES, lists=("study.arms", "study.over"))
    values = {key.removeprefix("study."): value for key, value in given.items()}
    check_choice("study", values.get("design", "pair"), get_args(Design))
    options = build(StudyOptions, values, "study")
    if (options.arms is not None) != (options.design == "arms"):
        raise UserError(say("arms_together"))
    if options.shapley and options.design != "parts":
        raise UserError(say("shapley_of_parts", orders=options.shapley))
    if options.over is not None and (options.experiment or options.tune):
        other = "experiment=article" if options.experiment else f"study.tune={options.tune}"
        raise UserError(say("over_and", other=other))
    return options, rest
