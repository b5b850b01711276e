"""Which recipes are compared: a design is a list of arms.

The arms follow from what the traditional and the upgraded recipe really differ in. Overrides are
the user's: task=sentiment, recipe=..., and those of parts (clip=value), which belong to the
upgraded recipe alone. Nothing here trains or names a part: both recipes are composed and compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from upgate.config.compose import (
    PARTS,
    REGULARIZATION,
    find_part_changes,
    twin_overrides,
)
from upgate.config.run_config import RunConfig, compose_config
from upgate.config.schema import format_value
from upgate.config.values import Knobs, Value
from upgate.errors import UserError
from upgate.experiment.texts import say
from upgate.messages import joined
from upgate.serialization import stored_as

Levels = NDArray[np.int64]  # (runs, ingredients), -1 off and 1 on
# Words of odd length: the runs hold all-off and all-on, and every run's opposite.
GENERATORS = ("abc", "bcd", "acd", "abd")
FULL = 4  # ingredients up to which all 2^k arms are run


@dataclass(frozen=True)
class Arm:
    """A recipe in a study or a search.

    overrides: all but seed and fold, as one types them. on: the groups at the upgraded choice,
    sorted, where a design has such.
    """

    name: str
    overrides: list[str] = field(metadata=stored_as("words"))
    on: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Contrast:
    """Two recipes and the groups in which they differ.

    off, on: group -> the overrides that set it to the low and to the high recipe's choice.
    """

    low: Arm
    high: Arm
    off: Mapping[str, list[str]]
    on: Mapping[str, list[str]]

    @property
    def parts(self) -> list[str]:
        """The differing groups, in the order of PARTS."""
        return list(self.on)

    def arm(self, on: Iterable[str]) -> Arm:
        """The low recipe with these groups upgraded.

        Where only one group is off, it is the high recipe without that group.
        """
        upgraded = set(on)
        off = [part for part in self.parts if part not in upgraded]
        if not upgraded or not off:
            return self.high if upgraded else self.low
        if len(off) == 1 < len(upgraded):
            overrides = _set_groups(self.high.overrides, off, self.off)
            return Arm(f"{self.high.name} - {off[0]}", overrides, sorted(upgraded))
        shown = [part for part in self.parts if part in upgraded]
        overrides = _set_groups(self.low.overrides, shown, self.on)
        return Arm(f"{self.low.name} + {' + '.join(shown)}", overrides, sorted(upgraded))


def contrast(overrides: Sequence[str], config_dir: str | None = None) -> Contrast:
    """Find the groups in which the recipe of `overrides` differs from the traditional one.

    Raises UserError where it differs in nothing, or in something that is not a part: no sum of
    parts would explain that.
    """
    low_overrides, high_overrides = list(twin_overrides(overrides)), list(overrides)
    low = compose_config(low_overrides, config_dir)
    high = compose_config(high_overrides, config_dir)
    parts = [group for group in PARTS if _flatten(low, group) != _flatten(high, group)]
    name = " ".join([high.recipe, *find_part_changes(overrides)])
    if not parts:
        raise UserError(say("traditional_itself", name=name))
    if others := _other_differences(low, high):
        raise UserError(say("no_part", recipe=high.recipe, others=joined(others)))
    return Contrast(
        Arm(low.recipe, low_overrides),
        Arm(name, high_overrides, sorted(parts)),
        off={group: _choose(group, high_overrides, low, config_dir) for group in parts},
        on={group: _choose(group, low_overrides, high, config_dir) for group in parts},
    )


def pair_arms(overrides: Sequence[str], config_dir: str | None = None) -> list[Arm]:
    """The traditional recipe and the upgraded one."""
    both = contrast(overrides, config_dir)
    return [both.low, both.high]


def parts_arms(
    overrides: Sequence[str],
    config_dir: str | None = None,
    orders: Sequence[Sequence[str]] = (),
) -> list[Arm]:
    """Both recipes, each part added to the low one, each part left out of the high one.

    2k + 2 arms for k > 2 parts; and the recipes that `orders` of the parts pass through.
    """
    both = contrast(overrides, config_dir)
    added = [{part} for part in both.parts]
    left_out = [set(both.parts) - {part} for part in both.parts]
    passed = [set(order[:size]) for order in orders for size in range(1, len(order))]
    arms = map(both.arm, [set(), *added, *left_out, set(both.parts), *passed])
    return list({tuple(arm.on): arm for arm in arms}.values())


def factorial_arms(overrides: Sequence[str], config_dir: str | None = None) -> list[Arm]:
    """All 2^k recipes of up to 4 parts; 16 of resolution IV for 5 to 8, both recipes among them."""
    both = contrast(overrides, config_dir)
    parts = np.array(both.parts)
    return [both.arm(parts[row > 0].tolist()) for row in two_level(len(parts))]


def named_arms(
    recipes: Sequence[str], overrides: Sequence[str] = (), config_dir: str | None = None
) -> list[Arm]:
    """Recipes as the user names them, the baseline first.

    Such as "traditional", "upgraded clip=value", "regularization=[l1,l2]": a first word without =
    is a recipe's name. `overrides` go before each (task=sentiment). Raises UserError for fewer than
    two, or two alike.
    """
    named = [Arm(recipe.strip(), [*overrides, *_as_overrides(recipe)]) for recipe in recipes]
    composed = [compose_config(arm.overrides, config_dir) for arm in named]
    if len(named) < 2:
        raise UserError(say("two_recipes"))
    for (a, one), (b, other) in combinations(zip(named, composed, strict=True), 2):
        if one.parts == other.parts and one.regularization == other.regularization:
            raise UserError(say("same_recipe", first=a.name, second=b.name))
    return named


def two_level(k: int) -> Levels:
    """The two-level design for k ingredients: (runs, k) of -1 and 1, all-off first.

    Full up to 4, else 16 runs of resolution IV. Raises UserError above 8.
    """
    most = FULL + len(GENERATORS)
    if not 1 <= k <= most:
        raise UserError(say("factorial_limit", most=most, k=k))
    return generated(min(k, FULL), GENERATORS[: max(0, k - FULL)])


def generated(base: int, generators: Sequence[str] = ()) -> Levels:
    """All 2^base runs of the factors a, b, c, ..., and factors generated from them.

    A generator "abc" adds a factor whose level is the product of these (Box, Hunter & Hunter).
    """
    levels = np.array(list(product((-1, 1), repeat=base)))[:, ::-1]  # a moves fastest
    added = []
    for word in generators:
        columns = [ord(letter) - ord("a") for letter in word]
        added.append(levels[:, columns].prod(axis=1, keepdims=True))
    return np.hstack([levels, *added])


def _as_overrides(recipe: str) -> list[str]:
    first, *rest = recipe.split() or [""]
    return [first if "=" in first else f"recipe={first}", *rest]


def _other_differences(low: RunConfig, high: RunConfig) -> list[str]:
    """The keys in which two configurations differ beside parts and the recipe's name."""
    a, b = low.to_dict(), high.to_dict()
    keys = (a.keys() | b.keys()) - {*PARTS, "recipe"}
    return sorted(key for key in keys if a.get(key) != b.get(key))


def _set_groups(
    overrides: Sequence[str], groups: Sequence[str], choices: Mapping[str, Sequence[str]]
) -> list[str]:
    """The overrides with those of some groups replaced."""
    kept = [one for one in overrides if one.partition("=")[0].partition(".")[0] not in groups]
    for group in groups:
        kept += choices[group]
    return kept


def _choose(
    group: str, start: Sequence[str], target: RunConfig, config_dir: str | None
) -> list[str]:
    """The overrides that give `start` the target's choice in a group.

    With the knobs that the target's recipe or the user set for it.
    """
    if group == REGULARIZATION:
        choice = f"{group}=[{','.join(list(target.regularization) or ['none'])}]"
    else:
        choice = f"{group}={target.parts[group].name}"
    plain = compose_config([*_set_groups(start, [group], {group: []}), choice], config_dir)
    defaults = _flatten(plain, group)
    knobs = _flatten(target, group).items()
    changed = [f"{key}={format_value(value)}" for key, value in knobs if defaults[key] != value]
    return [choice, *changed]


def _flatten(config: RunConfig, group: str) -> dict[str, Value]:
    """Dotted keys and values of a group's choice."""
    if group == REGULARIZATION:
        return dict(_walk_knobs(config.regularization, group))
    return dict(_walk_knobs(config.parts[group].to_dict(), group))


def _walk_knobs(section: Knobs, prefix: str) -> Iterator[tuple[str, Value]]:
    """Dotted keys and values; ranges of a search are not a recipe's."""
    for key, value in section.items():
        if isinstance(value, Mapping) and key != "search":
            yield from _walk_knobs(value, f"{prefix}.{key}")
        elif key != "search":
            yield f"{prefix}.{key}", value
