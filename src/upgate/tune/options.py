"""The options of a search: search=SAMPLER and tune.KEY=VALUE. Imports nothing heavy."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from upgate.config.schema import NonNegativeInt, PositiveInt, Range, build
from upgate.errors import UserError
from upgate.experiment.options import check_choice, declare, parse_options, separate
from upgate.tune.texts import say

Sampler = Literal["grid", "random", "sobol", "tpe"]
Several = Annotated[int, Range("2 or more", {"minimum": 2})]
OWN = re.compile(r"tune[.=]|search=|(tune|search)$")
ALIASES = {"search": "tune.search"}
REFUSED = {  # options of training that a search sets itself, and what to give instead
    "fold": "tune.folds=3",
    "twin": "tune.arms=[traditional,upgraded]",
    "promote": "upgate promote run=latest afterwards, which takes the winner",
    "arms": "tune.arms=[traditional,upgraded]",
    "split.refit": (
        "nothing: the last run of a search is trained on the validation part too by itself"
    ),
    "split.closed": "nothing: a search leaves the test part closed by itself",
}
SPACE = "tune.space."
EXAMPLE = {"tune": "tune.trials=30", "tune.space": "tune.space.optimizer.lr=[1e-4,1e-1,log]"}


@dataclass(frozen=True)
class TuneOptions:
    """The options of a search, their defaults and their help; nowhere else are they declared."""

    search: Sampler = declare("random", "how the trials are drawn")
    trials: PositiveInt | None = declare(
        None, "of each arm, the untuned recipe among them; null: 30, or a grid's points"
    )
    per_axis: Several = declare(3, "points of a grid along each axis")
    arms: list[str] | None = declare(
        None, "recipes, each tuned on the same list of points; null: the one that is asked for"
    )
    folds: PositiveInt | None = declare(
        None, "of cross-validation; null: 3, or 1 where reviews have an official validation part"
    )
    nested: bool = declare(
        False, "prices: search anew before each block of walk-forward, and test the winner on it"
    )
    seed: NonNegativeInt = declare(
        0, "of the list of points, and by it of the trainings: 100 (seed + 1) and on"
    )
    generation: PositiveInt = declare(
        4, "tpe: points asked for together, from the results of the generations before"
    )
    startup: PositiveInt = declare(10, "tpe: points of the shared random list before that")
    top: NonNegativeInt = declare(5, "trials that get more seeds before the choice")
    top_seeds: NonNegativeInt = declare(2, "how many more")
    prune: Literal["none", "folds", "epochs"] = declare(
        "none", "folds: stop bad trials early, by full runs; epochs is refused, with the reason"
    )
    only: list[str] | None = declare(
        None, "search these keys alone, as [optimizer.lr]; null: all that have a range"
    )
    storage: str | None = declare(None, "of Optuna's record; null: sqlite in the root")
    test: bool = declare(True, "false leaves the test part closed: the search ends with its choice")
    yes: bool = declare(False, "go on after the plan without asking, as --yes")
    space: dict = field(default_factory=dict)  # key -> its range; None: not searched

    @property
    def count(self) -> int:
        return self.trials or 30

    @property
    def ranges(self) -> Mapping[str, Any]:
        """The ranges that were given by tune.space; None: not searched."""
        return self.space


def read_tune_options(overrides: Sequence[str]) -> tuple[TuneOptions, list[str]]:
    """The search's options, checked, and the overrides of training. Raises UserError."""
    own, rest = separate(overrides, OWN, "a search", REFUSED)
    if "optimizer.lr=auto" in rest:
        raise UserError(say("lr_auto_searched"))
    for option in own:
        key = option.partition("=")[0]
        if key in EXAMPLE:
            raise UserError(say("option_needs_key", option=option, key=key, example=EXAMPLE[key]))
    given = parse_options(own, ALIASES, lists=("tune.arms", "tune.only"))
    space = {key: value for key, value in given.items() if key.startswith(SPACE)}
    values = {key: value for key, value in given.items() if key not in space}
    values = {key.removeprefix("tune."): value for key, value in values.items()}
    check_choice("search", values.get("search", "random"), get_args(Sampler))
    values["space"] = {key.removeprefix(SPACE): value for key, value in space.items()}
    options = build(TuneOptions, values, "tune")
    check_options(options)
    return options, rest


def check_options(options: TuneOptions) -> None:
    """Raise UserError for options that cannot be combined."""
    if options.search == "grid" and options.trials is not None:
        raise UserError(say("trials_of_grid"))
    if options.prune == "epochs":
        raise UserError(say("prune_epochs"))
    if options.prune == "folds" and (options.folds or 3) < 5:
        raise UserError(say("prune_few_folds"))
    if options.top_seeds > 99:
        raise UserError(say("top_seeds_most", n=options.top_seeds))
