"""Every two choices of a recipe train together or are refused in one sentence that names both.

Conf/ says which choices there are.
"""

import math
from itertools import groupby
from typing import Any

import pytest

from helpers.parts import Loop, parts
from upgate.cli.entry import main
from upgate.config.compose import PARTS, REGULARIZATION, choices, compose
from upgate.errors import UserError
from upgate.messages import in_language
from upgate.recipe.combinations import BASES, Choice, configuration, pairs, refused
from upgate.recipe.compatibility import RULES, check_allowed
from upgate.run.resolve import check_recipe

EVERY = sorted(pairs(), key=lambda pair: (pair[0][0], pair[1][0]))
BY_GROUPS = {
    groups: list(found)
    for groups, found in groupby(EVERY, key=lambda pair: (pair[0][0], pair[1][0]))
}


def test_every_choice_is_in_a_pair_with_every_other() -> None:
    counts = {group: len(choices(group)) for group in PARTS}
    counts[REGULARIZATION] -= 1  # none is in every recipe without one
    total = sum(counts.values())
    across = (total**2 - sum(n**2 for n in counts.values())) // 2
    assert (
        len(EVERY) == len(set(EVERY)) == across + math.comb(counts[REGULARIZATION], 2) + total
    )  # and each with prices


@pytest.mark.parametrize("groups", BY_GROUPS, ids="+".join)
def test_a_pair_trains_or_is_refused_in_a_sentence_that_names_both(groups: tuple[str, str]) -> None:
    for a, b in BY_GROUPS[groups]:
        try:
            config = configuration(a, b)
        except UserError as error:
            told = str(error)
            assert "\n" not in told and said(a) in told and said(b) in told and "take " in told, (
                told
            )
            continue
        loop = Loop(check_recipe(config), total=4, task=config["task"]["name"])
        losses = loop.steps(2)
        assert all(map(math.isfinite, losses)), (a, b)


def said(choice: Choice) -> str:
    """What the sentence must hold; for prices, the task that would do."""
    return "task=sentiment" if choice == ("task", "stock") else "=".join(choice)


def test_a_choice_alone_is_allowed() -> None:
    """With an optimizer that it goes with: no choice is refused whatever it is combined with."""
    for group in PARTS:
        for name in choices(group):
            configuration((group, name), (group, name))
    assert set(BASES) <= set(choices("optimizer"))


def test_the_nearest_allowed_choice_is_allowed() -> None:
    """Each `group=choice` that a refusal advises does away with that refusal, in place of its
    group's choice.
    """
    for (a, b), sentence in refused().items():
        advised = [
            word.strip(",;:. ") for word in sentence.partition("take ")[2].split() if "=" in word
        ]
        assert advised or "take one of these" in sentence or "leave" in sentence, sentence
        assert all(word in in_language(sentence, "zh") for word in advised), sentence
        for word in advised:
            group, _, name = word.partition("=")
            if group not in PARTS:
                continue
            kept = [choice for choice in (a, b) if choice[0] != group] or [a]
            configuration(kept[0], (group, name))


LAYERWISE_AND_OTHERS = [
    (
        ["layerwise=gauss_seidel", "trainer.accumulate_grad_batches=2"],
        "gauss_seidel",
        "trainer.accumulate_grad_batches",
    ),
    (
        ["layerwise=gauss_seidel", "trainer.precision=16-mixed"],
        "gauss_seidel",
        "trainer.precision=16-mixed",
    ),
    *(
        ([f"layerwise={n}", "model.num_layers=1"], n, "model.num_layers=1")
        for n in ("cyclic", "random_blocks", "greedy", "local")
    ),
]


@pytest.mark.parametrize(
    ("words", "one", "other"),
    LAYERWISE_AND_OTHERS,
    ids=[" ".join(w) for w, _, _ in LAYERWISE_AND_OTHERS],
)
def test_what_no_pair_of_choices_tells(words: list[str], one: str, other: str) -> None:
    with pytest.raises(
        UserError, match=rf"^layerwise={one} .*{other}.*; take .* or layerwise=joint$"
    ):
        check_recipe(compose(["recipe=traditional", *words]))
    check_recipe(compose(["recipe=traditional", words[0]]))
    check_recipe(compose(["recipe=traditional", words[1]]))


def test_a_recipe_on_its_own_has_neither_task_nor_trainer_nor_model() -> None:
    for rule in RULES:
        assert rule(parts()) is None
    check_allowed(parts("layerwise=cyclic", "regularization=[locked]"))


def test_the_table_is_what_the_rules_say(capsys: Any) -> None:
    assert main(["train", "--combinations"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    why = refused()
    assert (
        first == f"{len(EVERY) - len(why)} of {len(EVERY)} pairs of choices work together; "
        f"these {len(why)} do not:"
    )
    assert lines == [f"{'='.join(a)} {'='.join(b)}: {sentence}" for (a, b), sentence in why.items()]
    assert (
        "clip=norm layerwise=independent: layerwise=independent steps inside the backward pass"
        in "\n".join(lines)
    )
