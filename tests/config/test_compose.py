"""config: what the words on the command line come to."""

import itertools
from typing import Any

import pytest
import yaml

from helpers.config import value
from upgate.config.compose import (
    PARTS,
    choices,
    compose,
    conf_dir,
    find_part_changes,
    groups,
    twin_overrides,
)

EVERY = sorted(
    (path.parent.name, path.stem)
    for path in conf_dir().glob("*/*.yaml")
    if path.parent.name != "experiment"
)


def needed(group: str, name: str) -> list[str]:
    """What a choice asks for beside its name: the values that its yaml leaves open."""
    held = yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return [f"{group}.{key}=x" for key, value in held.items() if value == "???"]


# What is there


def test_every_shipped_choice_is_found() -> None:
    assert EVERY and {group for group, _ in EVERY} == set(groups())
    assert {(group, name) for group in groups() for name in choices(group)} == set(EVERY)
    assert set(PARTS) < set(groups())


@pytest.mark.parametrize(("group", "name"), EVERY, ids=lambda part: part)
def test_every_choice_composes_and_says_its_name(group: str, name: str) -> None:
    section = compose([f"{group}={name}", *needed(group, name)])[group]
    if group == "regularization":
        assert list(section) == ([] if name == "none" else [name])
    elif group == "recipe":
        assert section == name
    else:
        assert section["source" if group == "data" else "name"] == name


def test_the_recipes_differ_in_parts_only() -> None:
    upgraded, traditional = compose(["recipe=upgraded"]), compose(["recipe=traditional"])
    assert upgraded.keys() == traditional.keys()
    different = {key for key in upgraded if upgraded[key] != traditional[key]}
    assert different == {
        "optimizer",
        "schedule",
        "clip",
        "regularization",
        "init",
        "stopping",
        "recipe",
    }
    assert traditional["regularization"] == {} and traditional["clip"] == {"name": "none"}


def test_a_part_beside_a_recipe_wins_in_either_order() -> None:
    for words in itertools.permutations(
        ["recipe=traditional", "optimizer=adam", "clip=norm", "clip.max_norm=0.5"]
    ):
        found = compose(words)
        assert (found["optimizer"]["name"], found["clip"]["name"], found["clip"]["max_norm"]) == (
            "adam",
            "norm",
            0.5,
        )
        assert found["schedule"]["name"] == "constant"


def test_what_compose_gives_is_the_callers_own() -> None:
    compose(["seed=1"])["optimizer"]["betas"].append(7)
    assert compose(["seed=1"])["optimizer"]["betas"] == [0.9, 0.999]


# Values pass through exactly

EXACT = [
    ("root=null", None),
    ("root=", ""),
    ("seed=-3", -3),
    ("optimizer.lr=1e-3", 1e-3),
    ("optimizer.lr=-2.5E-4", -2.5e-4),
    ("optimizer.lr=.5", 0.5),
    ("batch_size=1_000", 1000),
    ("twin=false", False),
    ("optimizer.betas=[0.5,0.75]", [0.5, 0.75]),
    ("optimizer.betas=[[1,2],[3,[-4,null]]]", [[1, 2], [3, [-4, None]]]),
    ("optimizer.betas=[]", []),
    ("task.features=[return,'a b',\"c,d\"]", ["return", "a b", "c,d"]),
    ("root=a b", "a b"),
    ("root='a b'", "a b"),
    ('root="a, b = c; [d] {e} (f)"', "a, b = c; [d] {e} (f)"),
    ("root='a,b=c'", "a,b=c"),
    ("root='it\\'s'", "it's"),
    ("root='null'", "null"),
    ("root=a=b", "a=b"),
    ("root=C:\\runs\\x", "C:\\runs\\x"),
    ("root=~/runs", "~/runs"),
    ("root=/数据/我的 文件/结果.csv", "/数据/我的 文件/结果.csv"),
    ("root=数据=é&ü!", "数据=é&ü!"),
    ("root=runs/${task.name}", "runs/stock"),
]


@pytest.mark.parametrize(("word", "expected"), EXACT, ids=[word for word, _ in EXACT])
def test_a_value_passes_through_exactly(word: str, expected: Any) -> None:
    found = value(word.partition("=")[0], word)
    assert found == expected and type(found) is type(expected)


def test_tickers_need_no_quotes() -> None:
    tickers = value(
        "data.tickers", "data=yahoo", "data.tickers=[^GSPC,BRK-B,0700.HK,平安,EURUSD=X]"
    )
    assert tickers == ["^GSPC", "BRK-B", "0700.HK", "平安", "EURUSD=X"]


@pytest.mark.parametrize(
    "word", ["regularization=[]", "regularization=none", "regularization=[none]"]
)
def test_no_regularization(word: str) -> None:
    assert value("regularization", word) == {}


def test_several_regularizations_in_the_order_asked() -> None:
    found = value("regularization", "regularization=[l2,l1]", "regularization.l1.lam=0.25")
    assert [(name, knobs["lam"]) for name, knobs in found.items()] == [("l2", 1e-4), ("l1", 0.25)]


def test_a_trainer_argument_need_not_stand_in_the_yaml() -> None:
    trainer = value("trainer", "trainer.limit_train_batches=3", "trainer.max_epochs=2")
    assert (trainer["limit_train_batches"], trainer["max_epochs"], trainer["devices"]) == (3, 2, 1)


# The twin


def test_twin_words_drop_the_parts_and_nothing_else() -> None:
    parts = [f"{part}={choices(part)[0]}" for part in PARTS] + [
        "clip.max_norm=0.5",
        "regularization.l1.lam=1",
        "optimizer.lr=0.1",
    ]
    others = [
        "seed=3",
        "model.hidden_size=8",
        "task.horizon=5",
        "data=prices",
        "data.path=/a b=c",
        "trainer.max_epochs=1",
        "fold=1",
    ]
    words = [word for pair in itertools.zip_longest(parts, others) for word in pair if word]
    assert twin_overrides([*words, "recipe=upgraded"]) == [*others, "recipe=traditional"]
    assert find_part_changes([*words, "recipe=upgraded"]) == parts


def test_a_twin_shares_all_but_the_parts() -> None:
    words = [
        "seed=3",
        "optimizer=adam",
        "optimizer.lr=0.5",
        "model.hidden_size=8",
        "split=walk_forward",
        "averaging=ema",
    ]
    run, twin = compose(words), compose(twin_overrides(words))
    assert {key: run[key] for key in run if key not in (*PARTS, "recipe")} == {
        key: twin[key] for key in run if key not in (*PARTS, "recipe")
    }
    assert {key: twin[key] for key in PARTS} == {
        key: compose(["recipe=traditional"])[key] for key in PARTS
    }
