"""config: the sentence for words that cannot be done, and sweeps counted out."""

import itertools
import time

import pytest

from helpers.config import refusal
from upgate.config.compose import choices, compose
from upgate.config.words import expand
from upgate.errors import UserError

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
    (["clip=null"], ["clip=null", "layer, none, norm, percentile, value"]),
    (["clip="], ["layer, none, norm, percentile, value"]),
    (["clip=[norm,value]"], ["clip=[norm,value]", "one choice", "regularization"]),
    (["clip={name:norm}"], ["layer, none, norm, percentile, value"]),
    (["clip.name=norm"], ["clip=norm"]),
    (["data.source=yahoo"], ["data=yahoo"]),
    (["regularization=[none,l1]"], ["regularization=[none,l1]", "none by itself"]),
    (["regularization=[l1,l1]"], ["once"]),
    (["regularization=null"], [", ".join(choices("regularization"))]),
    (["seed=1", "seed=2"], ["seed=1", "seed=2", "both"]),
    (["clip=norm", "clip=value"], ["clip=norm", "clip=value", "both"]),
    (["data=prices"], ["data.path", "missing", "data.path=..."]),
    (
        ["data.tickers=[A]"],
        ["tickers belongs to data=akshare, data=baostock, data=prices and data=yahoo"],
    ),
    (["data.folder=x", "data=prices"], ["folder belongs to data=akshare, data=baostock, data="]),
    (["clip.max_value=1"], ["clip=norm has max_norm; max_value belongs to clip=value"]),
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
def test_one_sentence_says_what_is_wrong_and_what_is_right(
    words: list[str], parts: list[str]
) -> None:
    sentence = refusal(*words)
    assert not [part for part in parts if part not in sentence], sentence


# Sweeps


def test_one_job_without_a_sweep() -> None:
    words = ["optimizer=adam", "regularization=[l1,l2]", "optimizer.betas=[0.9,0.99]", "root='a,b'"]
    assert expand(words, multirun=False) == expand(words, multirun=True) == [words]
    assert expand([], multirun=True) == [[]]


def test_order_is_that_of_hydras_basic_sweeper() -> None:
    jobs = expand(
        ["seed=range(0,3)", "twin=false", "optimizer=sgd,adam", "clip=norm,none"], multirun=True
    )
    seeds, optimizers, clips = (
        [f"seed={s}" for s in range(3)],
        ["optimizer=sgd", "optimizer=adam"],
        ["clip=norm", "clip=none"],
    )
    assert jobs == [
        list(job) for job in itertools.product(seeds, ["twin=false"], optimizers, clips)
    ]


def test_jobs_are_hydras_own() -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = [
        "seed=range(5,0,-2)",
        "optimizer.lr=1e-3,-0.5,null",
        "regularization=[l1],[l1,l2],none",
        "clip=choice(none,norm)",
    ]
    hydras = BasicSweeper.split_arguments(
        OverridesParser.create().parse_overrides(words), max_batch_size=None
    )
    assert expand(words, multirun=True) == hydras[0] and len(hydras[0]) == 3 * 3 * 3 * 2


def test_glob_takes_the_choices_by_name() -> None:
    def names(word: str) -> list[str]:
        return [job[0].partition("=")[2] for job in expand([word], multirun=True)]

    assert names("optimizer=glob(*)") == choices("optimizer")
    assert names("optimizer=glob(adam*)") == ["adam", "adamw"]
    assert names("optimizer=glob(n*,exclude=na*)") == ["nesterov", "nt_asgd"]
    assert names("regularization=glob(l?)") == ["l1", "l2"]


def test_lists_sweep_as_lists() -> None:
    jobs = expand(
        ["regularization=[l1],[l1,l2],none", "optimizer.betas=[0.9,0.99],[0.8,0.9]"], multirun=True
    )
    found = [compose(job) for job in jobs]
    assert [list(one["regularization"]) for one in found] == [
        ["l1"],
        ["l1"],
        ["l1", "l2"],
        ["l1", "l2"],
        [],
        [],
    ]
    assert [one["optimizer"]["betas"] for one in found] == [[0.9, 0.99], [0.8, 0.9]] * 3


def test_swept_values_are_as_exact_as_single_ones() -> None:
    jobs = expand(["root='a,b',c d,/数据/图,null,-1e-3,\"x=y\",runs/${seed}"], multirun=True)
    assert [compose(job)["root"] for job in jobs] == [
        "a,b",
        "c d",
        "/数据/图",
        None,
        -1e-3,
        "x=y",
        "runs/0",
    ]


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("optimizer=adam,adm", "did you mean 'adam'?"),
        ("optimizer=glob(x*)", ", ".join(choices("optimizer"))),
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
    """upgate predict composes its words as they are, and has no -m to advise."""
    with pytest.raises(
        UserError,
        match=(
            r"^root=a,b holds several values, .*; one list is root=\[a,b\], one text"
            r" 'root=\"a,b\"'$"
        ),
    ):
        compose(["root=a,b"])


def test_a_sweep_over_250_seeds_is_quick() -> None:
    def seconds(first: int) -> float:
        start = time.process_time()
        jobs = expand(
            ["clip=norm", f"seed=range({first},{first + 250})"], multirun=True
        )  # seeds not seen before
        assert [compose(job)["seed"] for job in jobs] == list(range(first, first + 250))
        return time.process_time() - start

    compose(["clip=norm"])  # imports Hydra
    assert min(seconds(first) for first in (0, 250)) < 2  # 0.5 on a quiet machine


def test_a_value_that_another_word_reads_is_read() -> None:
    assert compose(["root=runs/${seed}", "seed=7"])["root"] == "runs/7"
