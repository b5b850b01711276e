"""Lists of recipes: what differs is found by composing, every arm composes to what its name says,
resolutions are the published ones.
"""

from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from upgate.config.compose import PARTS, compose
from upgate.errors import UserError
from upgate.experiment.designs import (
    Arm,
    contrast,
    factorial_arms,
    generated,
    named_arms,
    pair_arms,
    parts_arms,
    two_level,
)
from upgate.run.resolve import check_recipe

TASKS = [("task=stock",), ("task=stock", "task.target=volatility"), ("task=sentiment",)]
TUNED = (
    "task=sentiment",
    "clip=value",
    "clip.max_value=0.3",
    "regularization=[l1,locked]",
    "regularization.l1.lam=0.001",
    "stopping=none",
)


def composed(arm: Arm, extra: str | None = None) -> dict[str, Any]:
    return check_recipe(compose(arm.overrides, extra))


@pytest.mark.parametrize("words", [*TASKS, TUNED])
def test_every_arm_is_the_recipe_that_its_parts_say(words: tuple[str, ...]) -> None:
    low, high = (composed(arm) for arm in pair_arms(words))
    differing = contrast(words).parts
    assert differing == [group for group in PARTS if low[group] != high[group]]
    for arm in (*parts_arms(words), *factorial_arms(words)):
        assert composed(arm) == {
            group: (high if group in arm.on else low)[group] for group in PARTS
        }, arm.name
        assert not {"seed", "fold"} & {word.partition("=")[0] for word in arm.overrides}


@pytest.mark.parametrize("words", TASKS)
def test_add_one_and_leave_one_out(words: tuple[str, ...]) -> None:
    found, every = parts_arms(words), contrast(words).parts
    k = len(every)
    assert k > 2 and len(found) == 2 * k + 2 == len({arm.name for arm in found})
    assert [len(arm.on) for arm in found] == [0] + [1] * k + [k - 1] * k + [k]
    assert (found[0].name, found[-1].name) == ("traditional", "upgraded")
    assert (found[1].name, found[1 + k].name) == (
        f"traditional + {every[0]}",
        f"upgraded - {every[0]}",
    )


@pytest.mark.parametrize("words", TASKS)
def test_a_factorial_holds_both_recipes_and_every_arms_opposite(words: tuple[str, ...]) -> None:
    found, every = factorial_arms(words), frozenset(contrast(words).parts)
    cells = [frozenset(arm.on) for arm in found]
    assert len(set(cells)) == len(found) == 16
    assert {frozenset(), every} <= set(cells) == {every - cell for cell in cells}
    assert (found[0].name, found[-1].name) == ("traditional", "upgraded")


def test_words_of_parts_belong_to_the_upgraded_recipe() -> None:
    low, high = pair_arms(["task=sentiment", "clip=value", "batch_size=32"])
    assert low.overrides == ["task=sentiment", "batch_size=32", "recipe=traditional"]
    assert (high.name, high.overrides) == (
        "upgraded clip=value",
        ["task=sentiment", "clip=value", "batch_size=32"],
    )
    assert "clip" not in contrast(["clip=none"]).parts


def test_a_recipe_of_the_users_own_with_knobs_and_several_regularizers(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    body = (
        "# @package _global_\ndefaults:\n  - override /clip: norm\n  - override /regularization:"
        " [l2, dropout]\n"
    )
    (tmp_path / "recipe" / "mine.yaml").write_text(
        body + "clip: {max_norm: 0.25}\nrecipe: mine\n", encoding="utf-8"
    )
    found = parts_arms(["recipe=mine"], str(tmp_path))
    assert [arm.name for arm in found] == [
        "traditional",
        "traditional + clip",
        "traditional + regularization",
        "mine",
    ]  # 2 parts: 4 cells
    assert "clip.max_norm=0.25" in found[1].overrides
    assert [composed(arm, str(tmp_path))["clip"].get("max_norm") for arm in found] == [
        None,
        0.25,
        None,
        0.25,
    ]
    (tmp_path / "recipe" / "more.yaml").write_text(
        body + "batch_size: 8\nrecipe: more\n", encoding="utf-8"
    )
    with pytest.raises(UserError, match="recipe=more changes batch_size too, which is no part"):
        pair_arms(["recipe=more"], str(tmp_path))


def test_a_recipe_that_differs_in_nothing_is_told() -> None:
    with pytest.raises(UserError, match="traditional is the traditional recipe itself"):
        pair_arms(["recipe=traditional"])


def test_arms_as_the_user_names_them() -> None:
    found = named_arms(
        ["traditional", "upgraded clip=value", "regularization=[l1,l2]"], ["task=sentiment"]
    )
    assert [arm.name for arm in found] == [
        "traditional",
        "upgraded clip=value",
        "regularization=[l1,l2]",
    ]
    assert found[1].overrides == ["task=sentiment", "recipe=upgraded", "clip=value"]
    with pytest.raises(UserError, match="name at least two"):
        named_arms(["traditional"])
    with pytest.raises(UserError, match="'upgraded' and 'upgraded clip=norm' are the same recipe"):
        named_arms(["traditional", "upgraded", "upgraded clip=norm"])
    with pytest.raises(UserError, match="did you mean 'upgraded'"):
        named_arms(["traditional", "upgradet"])


def resolution(levels: np.ndarray) -> int:
    """Fewest columns whose product is not balanced; k + 1 for a full design, in which all are.

    IV: no part's effect is confounded with another's or with an interaction of two; these are
    confounded with each other.
    """
    k = levels.shape[1]
    for size in range(1, k + 1):
        for some in combinations(range(k), size):
            if levels[:, some].prod(axis=1).sum() != 0:
                return size
    return k + 1


@pytest.mark.parametrize(
    ("base", "generators", "published"),  # Box, Hunter & Hunter, table 6.22; Montgomery, table 8.14
    [
        (2, ["ab"], 3),
        (3, ["ab", "ac", "bc", "abc"], 3),
        (3, ["abc"], 4),
        (4, ["abcd"], 5),
        (4, ["abc", "bcd"], 4),
        (4, ["abc", "bcd", "acd"], 4),
        (4, ["abc", "bcd", "acd", "abd"], 4),
        (4, ["abc", "bcd", "acd", "abd", "abcd"], 3),
        (5, ["abcd", "abde"], 4),
        (5, ["abc", "abd", "bcde"], 4),
        (6, ["abcdef"], 7),
        (6, ["abcd", "abef"], 5),
    ],
)
def test_resolutions_are_the_published_ones(
    base: int, generators: list[str], published: int
) -> None:
    levels = generated(base, generators)
    assert levels.shape == (2**base, base + len(generators)) and resolution(levels) == published


def test_the_two_level_designs() -> None:
    for k in range(1, 9):
        levels = two_level(k)
        assert levels.shape == (2 ** min(k, 4), k)
        assert resolution(levels) == (k + 1 if k <= 4 else 4)
        assert (levels[0] == -1).all() and (levels[-1] == 1).all()
        assert (levels.T @ levels == len(levels) * np.eye(k)).all()
        assert len({tuple(row) for row in levels}) == len(levels)
        assert {tuple(row) for row in levels} == {tuple(-row) for row in levels}
    with pytest.raises(UserError, match="takes 1 to 8 ingredients, not 9"):
        two_level(9)


def test_resolution_of_a_design_without_generators() -> None:
    """Plackett & Burman's 12 runs for 11 factors: III. Fewer columns are no better, though no
    product of three is constant.
    """
    first = [1, 1, -1, 1, 1, 1, -1, -1, -1, 1, -1]
    levels = np.vstack([np.roll(first, i) for i in range(11)] + [-np.ones((1, 11))]).astype(int)
    assert resolution(levels) == 3
    assert all(
        resolution(levels[:, :k]) <= resolution(levels[:, :j]) for j, k in pairwise(range(3, 8))
    )
