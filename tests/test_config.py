"""config: what the words on the command line come to, and the sentence for words that cannot be done."""

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from upgate.config import OURS, PARTS, changes, choices, compose, conf_dir, expand, groups, trainer_arguments, twin_words
from upgate.errors import UserError

EVERY = sorted((path.parent.name, path.stem) for path in conf_dir().glob("*/*.yaml"))
NEEDED = {("data", "prices"): ["data.path=x.csv"]}  # what a choice asks for beside its name


def refusal(*words: str, multirun: bool = False, extra: str | None = None) -> str:
    """The one sentence with which the words are refused."""
    with pytest.raises(UserError) as caught:
        for job in expand(words, multirun, extra):
            compose(job, extra)
    sentence = str(caught.value)
    assert sentence and "\n" not in sentence and "Traceback" not in sentence
    return sentence


def value(key: str, *words: str) -> Any:
    found: Any = compose(words)
    for part in key.split("."):
        found = found[part]
    return found


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's own, laid out as conf/, in a path with blanks, Chinese, a comma and a quote."""
    folder = tmp_path / "我的 it's, choices (1)"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "lion.yaml").write_text("name: lion\nlr: 1e-4\nbeta: 0.9\n")
    return folder


# What is there


def test_every_shipped_choice_is_found() -> None:
    assert EVERY and {group for group, _ in EVERY} == set(groups())
    assert {(group, name) for group in groups() for name in choices(group)} == set(EVERY)
    assert set(PARTS) < set(groups())


@pytest.mark.parametrize(("group", "name"), EVERY, ids=lambda part: part)
def test_every_choice_composes_and_says_its_name(group: str, name: str) -> None:
    section = compose([f"{group}={name}", *NEEDED.get((group, name), [])])[group]
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
    assert different == {"optimizer", "schedule", "clip", "regularization", "init", "stopping", "recipe"}
    assert traditional["regularization"] == {} and traditional["clip"] == {"name": "none"}


def test_a_part_beside_a_recipe_wins_in_either_order() -> None:
    for words in itertools.permutations(["recipe=traditional", "optimizer=adam", "clip=norm", "clip.max_norm=0.5"]):
        found = compose(words)
        assert (found["optimizer"]["name"], found["clip"]) == ("adam", {"name": "norm", "max_norm": 0.5})
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
    tickers = value("data.tickers", "data=yahoo", "data.tickers=[^GSPC,BRK-B,0700.HK,平安,EURUSD=X]")
    assert tickers == ["^GSPC", "BRK-B", "0700.HK", "平安", "EURUSD=X"]


@pytest.mark.parametrize("word", ["regularization=[]", "regularization=none", "regularization=[none]"])
def test_no_regularization(word: str) -> None:
    assert value("regularization", word) == {}


def test_several_regularizations_in_the_order_asked() -> None:
    found = value("regularization", "regularization=[l2,l1]", "regularization.l1.lam=0.25")
    assert list(found.items()) == [("l2", {"lam": 1e-4}), ("l1", {"lam": 0.25})]


def test_a_trainer_argument_need_not_stand_in_the_yaml() -> None:
    trainer = value("trainer", "trainer.limit_train_batches=3", "trainer.max_epochs=2")
    assert (trainer["limit_train_batches"], trainer["max_epochs"], trainer["devices"]) == (3, 2, 1)


def test_trainer_arguments_are_lightnings_own_less_ours() -> None:
    names = trainer_arguments()
    assert {"max_epochs", "accelerator", "precision", "limit_train_batches"} <= set(names)
    assert not set(names) & {"self", *OURS} and len(set(names)) == len(names)


# What is refused: the word, and in the same sentence what to write instead

REFUSED = [
    (["optimzer=adam"], ["optimzer=adam", "did you mean 'optimizer'?"]),
    (["optimizer=adm"], ["optimizer=adm", "did you mean 'adam'?"]),
    (["optimizer=Adam"], ["optimizer=Adam", "did you mean 'adam'?"]),
    (["recipe=tradtional"], ["did you mean 'traditional'?"]),
    (["sead=3"], ["sead=3", "did you mean 'seed'?"]),
    (["max_epoch=3"], ["did you mean 'trainer.max_epochs'?"]),
    (["clip.max_nrom=1"], ["clip.max_nrom=1", "did you mean 'clip.max_norm'?"]),
    (["trainer.max_epoch=3"], ["did you mean 'trainer.max_epochs'?"]),
    (["trainer.limit_trian_batches=3"], ["did you mean 'trainer.limit_train_batches'?"]),
    (["regularization.droput.p=0.1"], ["did you mean 'regularization.dropout.p'?"]),
    (["regularization=[l1,dropuot]"], ["regularization=dropuot", "did you mean 'dropout'?"]),
    (["clip=null"], ["clip=null", "none, norm, value"]),
    (["clip="], ["none, norm, value"]),
    (["clip=[norm,value]"], ["clip=[norm,value]", "one choice", "regularization"]),
    (["clip={name:norm}"], ["none, norm, value"]),
    (["clip.name=norm"], ["clip=norm"]),
    (["data.source=yahoo"], ["data=yahoo"]),
    (["regularization=[none,l1]"], ["regularization=[none,l1]", "none by itself"]),
    (["regularization=[l1,l1]"], ["once"]),
    (["regularization=null"], ["dropout, l1, l2, none"]),
    (["seed=1", "seed=2"], ["seed=1", "seed=2", "both"]),
    (["clip=norm", "clip=value"], ["clip=norm", "clip=value", "both"]),
    (["data=prices"], ["data.path", "missing", "data.path=..."]),
    (["data.tickers=[A]"], ["data=sp500", "tickers belongs to data=prices and data=yahoo"]),
    (["clip.max_value=1"], ["clip=norm has max_norm", "max_value belongs to clip=value"]),
    (["clip=none", "clip.max_norm=1"], ["clip=none has no values to set", "clip=norm"]),
    (["regularization.l1.lam=1"], ["l1 is not selected", "regularization=[dropout,l1]"]),
    (["regularization.dropout.q=1"], ["unknown key", "there is regularization.dropout.p"]),
    (["trainer={}"], ["one value at a time", "trainer.max_epochs=..."]),
    (["optimizer.betas.x=1"], ["optimizer.betas"]),
    (["root=${nope}"], ["root", "nope"]),
    (["root=???"], ["root", "missing"]),
    (["root=it's"], ["quoted", "root="]),
    (["seed=["], ["quoted"]),
    (["seed"], ["key=value"]),
    ([""], ["key=value"]),
    (["键=3"], ["键=3", "key=value"]),
    (["+seed=3"], ["+seed=3"]),
    (["clip@other=norm"], ["clip@other=norm"]),
    (["seed=0,1"], ["-m", "seed=[0,1]", 'seed="0,1"']),
    (["seed=range(0,3)"], ["-m"]),
    (["optimizer=glob(*)"], ["-m"]),
]


@pytest.mark.parametrize(("words", "parts"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_one_sentence_says_what_is_wrong_and_what_is_right(words: list[str], parts: list[str]) -> None:
    sentence = refusal(*words)
    assert not [part for part in parts if part not in sentence], sentence


@pytest.mark.parametrize("name", OURS)
def test_a_trainer_argument_that_upgate_sets_names_its_own_knob(name: str) -> None:
    assert refusal(f"trainer.{name}=1") == f"trainer.{name} is set by Upgate; use {OURS[name]}"


# Sweeps


def test_one_job_without_a_sweep() -> None:
    words = ["optimizer=adam", "regularization=[l1,l2]", "optimizer.betas=[0.9,0.99]", "root='a,b'"]
    assert expand(words, multirun=False) == expand(words, multirun=True) == [words]
    assert expand([], multirun=True) == [[]]


def test_order_is_that_of_hydras_basic_sweeper() -> None:
    jobs = expand(["seed=range(0,3)", "twin=false", "optimizer=sgd,adam", "clip=norm,none"], multirun=True)
    seeds, optimizers, clips = [f"seed={s}" for s in range(3)], ["optimizer=sgd", "optimizer=adam"], ["clip=norm", "clip=none"]
    assert jobs == [list(job) for job in itertools.product(seeds, ["twin=false"], optimizers, clips)]


def test_jobs_are_hydras_own() -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = ["seed=range(5,0,-2)", "optimizer.lr=1e-3,-0.5,null", "regularization=[l1],[l1,l2],none", "clip=choice(none,norm)"]
    hydras = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), max_batch_size=None)
    assert expand(words, multirun=True) == hydras[0] and len(hydras[0]) == 3 * 3 * 3 * 2


def test_glob_takes_the_choices_by_name() -> None:
    def names(word: str) -> list[str]:
        return [job[0].partition("=")[2] for job in expand([word], multirun=True)]

    assert names("optimizer=glob(*)") == choices("optimizer")
    assert names("optimizer=glob(ada*)") == ["adam", "adamw"]
    assert names("optimizer=glob(*,exclude=ada*)") == ["rmsprop", "sgd"]
    assert names("regularization=glob(l*)") == ["l1", "l2"]


def test_lists_sweep_as_lists() -> None:
    jobs = expand(["regularization=[l1],[l1,l2],none", "optimizer.betas=[0.9,0.99],[0.8,0.9]"], multirun=True)
    found = [compose(job) for job in jobs]
    assert [list(one["regularization"]) for one in found] == [["l1"], ["l1"], ["l1", "l2"], ["l1", "l2"], [], []]
    assert [one["optimizer"]["betas"] for one in found] == [[0.9, 0.99], [0.8, 0.9]] * 3


def test_swept_values_are_as_exact_as_single_ones() -> None:
    jobs = expand(["root='a,b',c d,/数据/图,null,-1e-3,\"x=y\",runs/${seed}"], multirun=True)
    assert [compose(job)["root"] for job in jobs] == ["a,b", "c d", "/数据/图", None, -1e-3, "x=y", "runs/0"]


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("optimizer=adam,adm", "did you mean 'adam'?"),
        ("optimizer=glob(x*)", "adam, adamw, rmsprop, sgd"),
        ("seed=range(3,0)", "nothing"),
        ("seed=range(0,3,0)", "step"),
        ("seed=interval(0,1)", "list the values"),
        ("seed=0,1,", "cannot be read"),
        ("clip=[norm],[value]", "one choice"),
    ],
)
def test_a_sweep_that_cannot_be_done(word: str, part: str) -> None:
    assert part in refusal(word, multirun=True)


def test_compose_takes_no_sweep() -> None:
    with pytest.raises(UserError, match=r"one list is root=\[a,b\]"):  # upgate predict composes its words as they are
        compose(["root=a,b"])


def test_a_sweep_over_500_seeds_is_quick() -> None:
    def seconds(first: int) -> float:
        start = time.perf_counter()
        jobs = expand(["clip=norm", f"seed=range({first},{first + 500})"], multirun=True)  # seeds not seen before
        assert [compose(job)["seed"] for job in jobs] == list(range(first, first + 500))
        return time.perf_counter() - start

    compose(["clip=norm"])  # imports Hydra
    assert min(seconds(first) for first in (0, 500, 1000)) < 1.5


# The twin


def test_twin_words_drop_the_parts_and_nothing_else() -> None:
    parts = [f"{part}={choices(part)[0]}" for part in PARTS] + ["clip.max_norm=0.5", "regularization.l1.lam=1", "optimizer.lr=0.1"]
    others = ["seed=3", "model.hidden_size=8", "task.horizon=5", "data=prices", "data.path=/a b=c", "trainer.max_epochs=1", "fold=1"]
    words = [word for pair in itertools.zip_longest(parts, others) for word in pair if word]
    assert twin_words([*words, "recipe=upgraded"]) == [*others, "recipe=traditional"]
    assert changes([*words, "recipe=upgraded"]) == parts


def test_a_twin_shares_all_but_the_parts() -> None:
    words = ["seed=3", "optimizer=adam", "optimizer.lr=0.5", "model.hidden_size=8", "split=walk_forward", "averaging=ema"]
    run, twin = compose(words), compose(twin_words(words))
    assert {key: run[key] for key in run if key not in (*PARTS, "recipe")} == {
        key: twin[key] for key in run if key not in (*PARTS, "recipe")
    }
    assert {key: twin[key] for key in PARTS} == {key: compose(["recipe=traditional"])[key] for key in PARTS}


# The user's own folder


def test_an_own_choice_composes_beside_the_shipped_ones(mine: Path) -> None:
    extra = str(mine)
    assert choices("optimizer", extra) == sorted([*choices("optimizer"), "lion"])
    words = ["optimizer=lion", "optimizer.beta=0.8", "clip=value"]
    assert compose(words, extra)["optimizer"] == {"name": "lion", "lr": 1e-4, "beta": 0.8}
    assert ["optimizer=lion"] in expand(["optimizer=glob(*)"], True, extra)
    assert "optimizer=lion" in refusal("optimizer=lion")
    assert "did you mean 'lion'?" in refusal("optimizer=lino", extra=extra)
    assert "beta belongs to optimizer=lion" in refusal("optimizer.beta=0.8", extra=extra)


def test_an_explicit_rate_wins_over_the_tasks_tuned_one(mine: Path) -> None:
    (mine / "task").mkdir()
    text = "# @package _global_\ntask:\n  name: own\n  target: return\ntuned:\n  sgd: 0.25\n"
    (mine / "task" / "own.yaml").write_text(text)

    def lr(*words: str) -> float:
        return float(compose(["task=own", *words], str(mine))["optimizer"]["lr"])

    shipped = 0.001  # the choice's own, where the task has none
    assert (lr("optimizer=sgd"), lr("recipe=traditional"), lr("optimizer=adam")) == (0.25, 0.25, shipped)
    assert lr("optimizer=sgd", "optimizer.lr=0.5") == lr("optimizer.lr=0.5", "optimizer=sgd") == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "name: [",
        "name: a\n\tb: 1",
        "",
        "[1, 2]",
        "lr: 1\n",
        "name: {a: 1}\n",
        "defaults:\n  - nowhere\nname: x\n",
        "defaults: 3\nname: x\n",
        "name: x\nlr: ${x\n",
        "defaults:\n  - broken\nname: x\n",
    ],
)
def test_a_broken_yaml_is_one_sentence(mine: Path, text: str) -> None:
    (mine / "optimizer" / "broken.yaml").write_text(text)
    assert "optimizer" in refusal("optimizer=broken", extra=str(mine))
    assert compose(["optimizer=lion"], str(mine))["optimizer"]["name"] == "lion"


def test_a_folder_that_is_not_there_and_a_name_that_is_taken(mine: Path) -> None:
    assert "not a folder" in refusal(extra=str(mine / "none"))
    (mine / "optimizer" / "adam.yaml").write_text("name: adam\n")
    assert "adam.yaml" in refusal("optimizer=adam", extra=str(mine)) and "rename" in refusal("seed=1", extra=str(mine))
