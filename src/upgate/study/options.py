"""The words of a study, study=DESIGN and study.KEY=VALUE, told from those of its trainings. Imports nothing heavy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from upgate.config.overrides import parse_override, single_value_hint
from upgate.config.schema import NonNegativeInt, Positive, PositiveInt, Range, build, said
from upgate.errors import UserError, did_you_mean

Level = Annotated[float, Range("between 0 and 1, both excluded", lambda x: 0 < x < 1)]
Design = Literal["pair", "parts", "factorial", "arms"]
Budget = Literal["steps", "wall"]
Experiment = Literal["article"]
ASIDE = {  # train's words that a study says itself, and what to give instead
    "seed": "study.seeds=6, or a list of them",
    "fold": "study.folds=2, or a list of them",
    "twin": "study=arms, which names every recipe",
}


@dataclass(frozen=True)
class Asked:
    """What a study is asked; the only place where its words and their defaults stand."""

    design: Design = "pair"
    seeds: list[NonNegativeInt] | PositiveInt = (
        6  # how many, 0, 1, ...; or which. Learning rates were searched with seeds from 100 on
    )
    folds: list[NonNegativeInt] | PositiveInt | None = (
        None  # how many, or which; null: every fold of the split
    )
    arms: list[str] | None = (
        None  # recipes for study=arms, the baseline first: "traditional, upgraded, upgraded clip=value"
    )
    budget: Budget = "steps"  # alike in every arm: steps, or wall time, in epochs that the baseline's time pays for
    tune: PositiveInt | None = (
        None  # tune every arm's parts first, with so many trials each on validation data; null: arms as they are
    )
    smallest_effect: Positive | None = (
        None  # of interest; null: 1% of MSE; .3 points of accuracy on 10,000 test items, else 1 point
    )
    alpha: Level = 0.05
    aa: bool = True  # train the baseline on as many other seeds: the noise floor
    zero: bool = True  # train one run with independent updates, which must change nothing
    experiment: Experiment | None = (
        None  # a bundle of studies; this word alone is given without study.
    )
    yes: bool = False  # go on after the plan without being asked


def read(words: Sequence[str]) -> tuple[Asked, list[str]]:
    """The study's own words, checked, and the rest: train's words, which hold for every arm. Raises UserError."""
    own = [
        word
        for word in words
        if re.match(r"study[.=]|experiment=", word) or word in ("study", "experiment")
    ]
    rest = [word for word in words if word not in own]
    for word in rest:
        key = word.partition("=")[0]
        if key in ASIDE:
            raise UserError(f"{word} cannot be given to a study; give {ASIDE[key]}")
        if key == "trainer.fast_dev_run":
            raise UserError(f"{word}: a study tries every recipe out for two steps by itself")
    values: dict[str, Any] = {}
    for word in own:
        key, is_pair, text = word.partition("=")
        name = "design" if key == "study" else key.removeprefix("study.")
        if name in values:
            raise UserError(f"{key} is given twice; give it once")
        if not is_pair or not text.strip():
            raise UserError(f"{key} needs a value, as in {key}=...")
        values[name] = listed(text) if name == "arms" else one_value(word)
    if (chosen := values.get("design", "pair")) not in get_args(Design):
        raise UserError(
            f"study={said(chosen)} is not a choice{did_you_mean(said(chosen), get_args(Design))}"
        )
    asked = build(Asked, values, "study")
    if (asked.arms is not None) != (asked.design == "arms"):
        raise UserError(
            'study=arms and study.arms go together, as in study=arms study.arms="traditional, upgraded, upgraded clip=none"'
        )
    return asked, rest


def one_value(word: str) -> Any:
    """A word's value in Hydra's grammar; a comma list is no list there."""
    override = parse_override(word)
    if override.is_sweep:
        raise UserError(
            f"{word} holds several values, where one is expected{single_value_hint(word)}"
        )
    return override.value


def listed(text: str) -> list[str]:
    """Recipes separated by commas; those inside brackets separate nothing."""
    inner = text.strip()
    inner = inner[1:-1] if inner.startswith("[") and inner.endswith("]") else inner
    found = [one.strip().strip("\"'").strip() for one in re.split(r",(?![^\[]*\])", inner)]
    return [one for one in found if one]
