"""The words of a search, search=SAMPLER and tune.KEY=VALUE, told from those of its trainings. Imports nothing heavy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from upgate.config.schema import NonNegativeInt, PositiveInt, Range, build, said
from upgate.errors import UserError, did_you_mean
from upgate.study.options import listed, one_value

Sampler = Literal["grid", "random", "sobol", "tpe"]
Several = Annotated[int, Range("2 or more", lambda x: x >= 2)]
ASIDE = {  # train's words that a search says itself, and what to give instead
    "fold": "tune.folds=3",
    "twin": "tune.arms=[traditional,upgraded]",
    "arms": "tune.arms=[traditional,upgraded]",
    "split.refit": "nothing: the last run of a search is trained on the validation part too by itself",
    "split.closed": "nothing: a search leaves the test part closed by itself",
}
SPACE = "tune.space."
EXAMPLE = {"tune": "tune.trials=30", "tune.space": "tune.space.optimizer.lr=[1e-4,1e-1,log]"}


@dataclass(frozen=True)
class Asked:
    """What a search is asked; the only place where its words and their defaults stand."""

    search: Sampler = "random"
    trials: PositiveInt | None = (
        None  # of each arm, the baseline's among them; null: 30, or as many as the grid has points
    )
    per_axis: Several = 3  # points of a grid along each axis
    arms: list[str] | None = (
        None  # recipes, each tuned by itself on the same list; null: the one that the words ask for
    )
    folds: PositiveInt | None = None  # null: 3; 1 where reviews have an official validation part
    nested: bool = False  # prices: search anew before each test block of walk-forward, and score the winner on that block
    seed: NonNegativeInt = (
        0  # of the list of points, and by it of the trainings: 100 (seed + 1) and on
    )
    generation: PositiveInt = (
        4  # tpe: points asked for together, from the results of the generations before
    )
    startup: PositiveInt = 10  # tpe: points of the shared random list before it listens to results
    top: NonNegativeInt = 5  # trials that get more seeds before the choice
    top_seeds: NonNegativeInt = 2  # how many more
    prune: Literal["none", "folds", "epochs"] = "none"
    only: list[str] | None = None  # search these keys alone; null: all that have a range
    storage: str | None = None  # of Optuna's record; null: sqlite in the root
    test: bool = True  # false leaves the test part closed: the search ends with its choice
    yes: bool = False  # go on after the plan without being asked
    space: dict = field(default_factory=dict)  # key -> its range; None: not searched

    @property
    def count(self) -> int:
        return self.trials or 30


def read(words: Sequence[str]) -> tuple[Asked, list[str]]:
    """The search's own words, checked, and the rest: train's words, which hold for every trial. Raises UserError."""
    own = [
        word
        for word in words
        if re.match(r"(tune[.=]|search=)", word) or word in ("tune", "search")
    ]
    rest = [word for word in words if word not in own]
    for word in rest:
        key = word.partition("=")[0]
        if key in ASIDE:
            raise UserError(f"{word} cannot be given to a search; give {ASIDE[key]}")
        if key == "trainer.fast_dev_run":
            raise UserError(f"{word}: a search tries every recipe out for two steps by itself")
    values: dict[str, Any] = {}
    space: dict[str, Any] = {}
    for word in own:
        key, is_pair, text = word.partition("=")
        if key in ("tune", "tune.space"):
            raise UserError(f"{word} is not understood; give {key}.KEY=..., as in {EXAMPLE[key]}")
        into, name = (
            (space, key.removeprefix(SPACE))
            if key.startswith(SPACE)
            else (values, key.removeprefix("tune."))
        )
        if name in into:
            raise UserError(f"{key} is given twice; give it once")
        if not is_pair or not text.strip():
            raise UserError(f"{key} needs a value, as in {key}=...")
        into[name] = (
            listed(text) if name in ("arms", "only") and into is values else one_value(word)
        )
    if (chosen := values.get("search", "random")) not in get_args(Sampler):
        raise UserError(
            f"search={said(chosen)} is not a choice{did_you_mean(said(chosen), get_args(Sampler))}"
        )
    asked = build(Asked, {**values, "space": space}, "tune")
    check(asked)
    return asked, rest


def check(asked: Asked) -> None:
    """What single words cannot say. Raises UserError."""
    if asked.search == "grid" and asked.trials is not None:
        raise UserError(
            "tune.trials is not for search=grid, which has as many trials as points; set tune.per_axis or tune.only"
        )
    if asked.prune == "epochs":
        raise UserError(
            "tune.prune=epochs is not offered: early epochs rank recipes wrongly; tune.prune=folds compares whole runs"
        )
    if asked.prune == "folds" and (asked.folds or 3) < 5:
        raise UserError(
            "tune.prune=folds decides nothing before the fifth fold, for four pairs are the fewest that can; take tune.folds=6"
        )
    if asked.top_seeds > 99:
        raise UserError(f"tune.top_seeds={asked.top_seeds} must be 99 or fewer")
