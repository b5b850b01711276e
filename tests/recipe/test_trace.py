"""A refactor keeps the losses: 20 steps of four recipes as stored in trace.json.

They hold the parts' arithmetic and draws. Where a change of the numbers is meant, say so in the
commit and renew them: `PYTHONPATH=tests python tests/recipe/test_trace.py`. Another kind of CPU
sums in another order. Under three instruction sets the losses differed by 2e-7 of their size at
most, so the stored ones hold to 1e-6; within a process they hold bit for bit.
"""

import json
from pathlib import Path

import pytest

from helpers.parts import Loop
from upgate.config.compose import compose
from upgate.run.resolve import check_recipe

STORED = Path(__file__).with_name("trace.json")
RECIPES = {
    "traditional": "recipe=traditional",
    "upgraded": "recipe=upgraded",
    "in backward": "recipe=traditional optimizer=rmsprop schedule=cosine clip=value "
    "clip.max_value=0.02 regularization=[l1,l2] init=he layerwise=independent averaging=ema",
    "by layer": "recipe=traditional optimizer=adam clip=norm init=xavier "
    "layerwise=discriminative regularization=[dropout]",
}
STEPS = 20


def trace(name: str) -> list[float]:
    """The training losses of a fixed stream of batches, on one thread, as helpers.parts sets."""
    return Loop(
        check_recipe(compose(["model.skip=none", *RECIPES[name].split()])), total=STEPS
    ).steps(STEPS)


@pytest.mark.parametrize("name", RECIPES)
def test_losses_are_those_stored(name: str) -> None:
    assert trace(name) == pytest.approx(
        json.loads(STORED.read_text(encoding="utf-8"))[name], rel=1e-6
    )


@pytest.mark.parametrize("name", RECIPES)
def test_losses_repeat_bit_for_bit(name: str) -> None:
    assert trace(name) == trace(name)


def test_the_recipes_differ() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert set(stored) == set(RECIPES) and len(
        {tuple(losses) for losses in stored.values()}
    ) == len(RECIPES)


if __name__ == "__main__":
    STORED.write_text(
        json.dumps({name: trace(name) for name in RECIPES}, indent=1) + "\n", encoding="utf-8"
    )
