"""Sections are put into a composition in place of Hydra's own: they come to the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from upgate.config import choices as module
from upgate.config.choices import (
    REGULARIZATION,
    SECTIONS,
    choices,
    compose_choices,
    conf_dir,
    groups,
)

MOST = max(len(choices(group)) for group in SECTIONS)


@pytest.fixture
def forget() -> Iterator[None]:
    """Nothing is cached of another `conf/`."""
    cached = (compose_choices, module._compose_once, module._find_untouched, module._read_yaml)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def compose_by_hydra(picks: dict[str, str]) -> Any:
    words = [
        f"{group}=[{name}]" if group == REGULARIZATION else f"{group}={name}"
        for group, name in picks.items()
    ]
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(hydra.compose("config", words), resolve=False)


@pytest.mark.parametrize("i", range(MOST))
def test_a_section_is_put_in_as_hydra_would_compose_it(i: int) -> None:
    """Every choice is in one of these."""
    picks = {"task": ("stock", "sentiment")[i % 2], "recipe": "traditional"}
    picks |= {group: choices(group)[i % len(choices(group))] for group in SECTIONS}
    found, *_ = compose_choices(tuple((group, (name,)) for group, name in picks.items()), None)
    expected = compose_by_hydra(picks)
    assert found == expected and list(found) == list(expected)
    assert all(list(found[group]) == list(expected[group]) for group in SECTIONS)


def test_every_group_is_a_section_but_task_and_recipe() -> None:
    assert {*SECTIONS, "task", "recipe"} == set(groups())


@pytest.mark.parametrize("recipe", choices("recipe"))
@pytest.mark.parametrize("task", choices("task"))
def test_a_recipes_own_version_for_a_task_is_taken(task: str, recipe: str) -> None:
    """It is found by the names of the two files, which say the names of the two choices."""
    found, *_ = compose_choices((("task", (task,)), ("recipe", (recipe,))), None)
    own = (conf_dir() / "recipe" / task / f"{recipe}.yaml").exists()
    expected = compose_by_hydra({"task": task, "recipe": f"{task}/{recipe}" if own else recipe})
    assert found == expected and (found["task"]["name"], found["recipe"]) == (task, recipe)


def test_what_a_recipe_adds_to_a_part_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None
) -> None:
    own = shutil.copytree(conf_dir(), tmp_path / "conf")
    recipe = own / "recipe" / "traditional.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "\nclip: {max_norm: 7}\n", "utf-8")
    monkeypatch.setattr(module, "conf_dir", lambda: own)
    picks = (("recipe", ("traditional",)), ("clip", ("norm",)))
    assert compose_choices(picks, None)[0]["clip"] == {"name": "norm", "max_norm": 7} | {
        "search": compose_by_hydra({"clip": "norm"})["clip"]["search"]
    }
