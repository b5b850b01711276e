"""The options of a study: study=DESIGN and study.KEY=VALUE. Imports nothing heavy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from upgate.config.schema import NonNegativeInt, Positive, PositiveInt, Range, build
from upgate.errors import UserError
from upgate.experiment.options import check_choice, parse_options, separate

Level = Annotated[float, Range("between 0 and 1, both excluded", lambda x: 0 < x < 1)]
Design = Literal["pair", "parts", "factorial", "arms"]
Equal = Literal["steps", "wall"]
Bundle = Literal["article"]
Orders = Annotated[int, Range("an even number, 4 or more", lambda x: x >= 4 and x % 2 == 0)]
Rates = Literal["auto", "given"]

OWN = re.compile(r"study[.=]|experiment=|(study|experiment)$")
ALIASES = {"study": "study.design", "experiment": "study.experiment"}
REFUSED = {  # options of training that a study sets itself, and what to give instead
    "seed": "study.seeds=6, or a list of them",
    "fold": "study.folds=2, or a list of them",
    "twin": "study=arms, which names every recipe",
}


@dataclass(frozen=True)
class StudyOptions:
    """The options of a study and their defaults; nowhere else are they declared."""

    design: Design = "pair"
    # How many, 0, 1, ...; or which. Learning rates were searched with seeds from 100 on.
    seeds: list[NonNegativeInt] | PositiveInt = 6
    # How many, or which; null: every fold of the split.
    folds: list[NonNegativeInt] | PositiveInt | None = None
    # Recipes for study=arms, the baseline first: "traditional, upgraded, upgraded clip=value".
    arms: list[str] | None = None
    # Equal in every arm: steps, or wall time, in epochs that the baseline's time pays for.
    budget: Equal = "steps"
    # Tune every arm's parts first, with so many trials each on validation data; null: do not.
    tune: PositiveInt | None = None
    # auto: where arms differ in optimizer, schedule, init or regularization, each arm's learning
    # rate is searched first, with equal effort; given: as the recipes and overrides have it; null:
    # auto, but a study that the store has at the rates as given goes on with these.
    rates: Rates | None = None
    # study=parts: Shapley values from so many orders of the parts, each one and its reverse,
    # in place of main effects, which assume that no three parts interact.
    shapley: Orders | None = None
    # Of interest; null: 1% of MSE; .3 points of accuracy on 10,000 test items, else 1 point.
    smallest_effect: Positive | None = None
    alpha: Level = 0.05
    # Numbers of seeds at which the study may answer, and so may be extended; null: 6, 9, 12, 18
    # where `seeds` is one of them, else one look.
    looks: list[PositiveInt] | None = None
    # The arm of the primary question; null: the upgraded recipe, or the second of named arms.
    primary: str | None = None
    aa: bool = True  # train the baseline on as many other seeds: the noise floor
    zero: bool = True  # train one run with independent updates, which must change nothing
    # Data sets, each with a study of its own: "data.path=a.csv, data.path=b.csv", and one answer.
    over: list[str] | None = None
    experiment: Bundle | None = None  # a bundle of studies; also given as experiment=
    yes: bool = False  # go on after the plan without asking


def read_study_options(overrides: Sequence[str]) -> tuple[StudyOptions, list[str]]:
    """The study's options, checked, and the overrides of training. Raises UserError."""
    own, rest = separate(overrides, OWN, "a study", REFUSED)
    given = parse_options(own, ALIASES, lists=("study.arms", "study.over"))
    values = {key.removeprefix("study."): value for key, value in given.items()}
    check_choice("study", values.get("design", "pair"), get_args(Design))
    options = build(StudyOptions, values, "study")
    if (options.arms is not None) != (options.design == "arms"):
        raise UserError(
            "study=arms and study.arms go together, as in"
            ' study=arms study.arms="traditional, upgraded, upgraded clip=none"'
        )
    if options.shapley and options.design != "parts":
        raise UserError(f"study.shapley={options.shapley} goes with study=parts")
    if options.over is not None and (options.experiment or options.tune):
        other = "experiment=article" if options.experiment else f"study.tune={options.tune}"
        raise UserError(f"study.over and {other} do not go together; give one of them")
    return options, rest
