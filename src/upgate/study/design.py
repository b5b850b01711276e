"""Which recipes a study trains: each design is a list of arms, derived from what the traditional and the upgraded recipe really differ in.

`words` are the user's: task=sentiment, recipe=..., and words of parts (clip=value), which belong to the upgraded recipe alone. Nothing here
trains or names a part: the groups are found by composing both recipes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upgate.config.compose import PARTS, REGULARIZATION, compose, find_part_changes, twin_overrides
from upgate.config.schema import said
from upgate.errors import UserError

Levels = NDArray[np.int64]  # (runs, ingredients), -1 off and 1 on
GENERATORS = (
    "abc",
    "bcd",
    "acd",
    "abd",
)  # odd words: the runs hold all-off and all-on, and every run's opposite
FULL = 4  # ingredients up to which all 2^k arms are run


@dataclass(frozen=True)
class Arm:
    """A recipe in a study. words: all its overrides but seed and fold; on: the groups at the upgraded choice, where a design has such."""

    name: str
    words: tuple[str, ...]
    on: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Contrast:
    """Two recipes and the groups in which they differ, each with the words that move it off and on."""

    low: Arm
    high: Arm
    off_words: Mapping[str, tuple[str, ...]]
    on_words: Mapping[str, tuple[str, ...]]

    @property
    def parts(self) -> list[str]:
        """The differing groups, in the order of PARTS."""
        return list(self.on_words)

    def arm(self, on: Iterable[str]) -> Arm:
        """The traditional recipe with these groups upgraded; described from the upgraded one where only one group is off."""
        found = frozenset(on)
        off = [part for part in self.parts if part not in found]
        if not found or not off:
            return self.high if found else self.low
        if len(off) == 1 < len(found):
            return Arm(
                f"{self.high.name} - {off[0]}", _set(self.high.words, off, self.off_words), found
            )
        shown = [part for part in self.parts if part in found]
        return Arm(
            f"{self.low.name} + {' + '.join(shown)}",
            _set(self.low.words, shown, self.on_words),
            found,
        )


def contrast(words: Sequence[str], extra: str | None = None) -> Contrast:
    """Find the groups in which the recipe of `words` differs from the traditional one.

    Raises UserError where it differs in nothing, or in something that is no part: no sum of parts would explain that.
    """
    low_words, high_words = tuple(twin_overrides(words)), tuple(words)
    low, high = compose(low_words, extra), compose(high_words, extra)
    parts = [
        group
        for group in PARTS
        if dict(_knobs(low[group], group)) != dict(_knobs(high[group], group))
    ]
    name = " ".join([high["recipe"], *find_part_changes(words)])
    if not parts:
        raise UserError(f"{name} is the traditional recipe itself; name another one with recipe=")
    others = sorted(
        key
        for key in low.keys() | high.keys()
        if key not in (*PARTS, "recipe") and low.get(key) != high.get(key)
    )
    if others:
        raise UserError(
            f"recipe={high['recipe']} changes {', '.join(others)} too, which is no part; set that for both recipes alike"
        )
    on = {group: _words(group, low_words, high, extra) for group in parts}
    off = {group: _words(group, high_words, low, extra) for group in parts}
    return Contrast(Arm(low["recipe"], low_words), Arm(name, high_words, frozenset(parts)), off, on)


def pair(words: Sequence[str], extra: str | None = None) -> list[Arm]:
    """The traditional recipe and the upgraded one."""
    found = contrast(words, extra)
    return [found.low, found.high]


def parts(words: Sequence[str], extra: str | None = None) -> list[Arm]:
    """Both recipes, each part added to the traditional one, each part left out of the upgraded one: 2k + 2 arms for k > 2 parts."""
    found = contrast(words, extra)
    every = found.parts
    cells = [
        set(),
        *({part} for part in every),
        *(set(every) - {part} for part in every),
        set(every),
    ]
    return list({arm.on: arm for arm in map(found.arm, cells)}.values())


def factorial(words: Sequence[str], extra: str | None = None) -> list[Arm]:
    """All 2^k recipes of up to 4 parts; 16 of resolution IV for 5 to 8. Both whole recipes are among them."""
    found = contrast(words, extra)
    every = found.parts
    levels = two_level(len(every))
    return [
        found.arm(part for part, level in zip(every, row, strict=True) if level > 0)
        for row in levels
    ]


def arms(recipes: Sequence[str], words: Sequence[str] = (), extra: str | None = None) -> list[Arm]:
    """Recipes as the user names them, the first is the baseline: "traditional", "upgraded clip=value", "regularization=[l1,l2]".

    A first word without = is a recipe's name. `words` go before each (task=sentiment). Raises UserError for fewer than two, or two alike.
    """
    found = [Arm(recipe.strip(), (*words, *_named(recipe))) for recipe in recipes]
    composed = [{group: compose(arm.words, extra)[group] for group in PARTS} for arm in found]
    if len(found) < 2:
        raise UserError("study=arms compares recipes; name at least two")
    for (a, one), (b, other) in combinations(zip(found, composed, strict=True), 2):
        if one == other:
            raise UserError(f"'{a.name}' and '{b.name}' are the same recipe; name each once")
    return found


def two_level(k: int) -> Levels:
    """The two-level design for k ingredients: full up to 4, else 16 runs of resolution IV; (runs, k) of -1 and 1, all-off first."""
    if not 1 <= k <= FULL + len(GENERATORS):
        raise UserError(
            f"a factorial takes 1 to {FULL + len(GENERATORS)} ingredients, not {k}; study=parts takes any number"
        )
    return generated(min(k, FULL), GENERATORS[: max(0, k - FULL)])


def generated(base: int, generators: Sequence[str] = ()) -> Levels:
    """All 2^base runs of a, b, c, ...; a generator "abc" adds an ingredient with the product of these levels (Box, Hunter & Hunter)."""
    levels = np.array(list(product((-1, 1), repeat=base)))[:, ::-1]  # a moves fastest
    added = [
        levels[:, [ord(letter) - ord("a") for letter in word]].prod(axis=1, keepdims=True)
        for word in generators
    ]
    return np.hstack([levels, *added])


def resolution(levels: Levels) -> int:
    """Fewest columns whose product is not balanced; k + 1 for a full design, in which every product is.

    IV: no part's effect is mixed up with another's or with an interaction of two; these are mixed up with each other.
    """
    k = levels.shape[1]
    words = (
        size
        for size in range(1, k + 1)
        for some in combinations(range(k), size)
        if levels[:, some].prod(axis=1).sum() != 0
    )
    return next(words, k + 1)


def _named(recipe: str) -> list[str]:
    first, *rest = recipe.split() or [""]
    return [first if "=" in first else f"recipe={first}", *rest]


def _set(
    words: Sequence[str], groups: Sequence[str], moves: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The words with those of some groups replaced."""
    kept = [word for word in words if word.partition("=")[0].partition(".")[0] not in groups]
    return (*kept, *(word for group in groups for word in moves[group]))


def _words(
    group: str, start: Sequence[str], target: Mapping[str, Any], extra: str | None
) -> tuple[str, ...]:
    """The words that give `start` the target's choice in a group, with the knobs that its recipe or the user set beside it."""
    names = list(target[group]) or ["none"]
    choice = (
        f"{group}=[{','.join(names)}]"
        if group == REGULARIZATION
        else f"{group}={target[group]['name']}"
    )
    plain = dict(_knobs(compose([*_set(start, [group], {group: ()}), choice], extra)[group], group))
    return (
        choice,
        *(
            f"{key}={said(value)}"
            for key, value in _knobs(target[group], group)
            if plain[key] != value
        ),
    )


def _knobs(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a group's choice; ranges to search in are none of a recipe's."""
    for key, value in section.items():
        if isinstance(value, dict) and key != "search":
            yield from _knobs(value, f"{prefix}.{key}")
        elif key != "search":
            yield f"{prefix}.{key}", value
