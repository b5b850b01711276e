"""trainer.*: a value that cannot be is told in one sentence before anything runs; two spellings of
one run are one run.
"""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric.connector import _PRECISION_INPUT

from helpers.config import refusal, value
from helpers.parts import needs_bf16
from upgate import cli
from upgate.config.compose import compose
from upgate.config.texts import say
from upgate.config.trainer import (
    PARAMETERS,
    PRECISIONS,
    REFUSED,
    Precision,
    check_shares,
    check_trainer,
)
from upgate.errors import UserError
from upgate.run.resolve import has_bf16, resolve_accelerator, resolve_budget, resolve_precision
from upgate.run.spec import Budget

ASIDE = {
    "enable_progress_bar",
    "detect_anomaly",
    "inference_mode",
    "fast_dev_run",
    "precision",
}
THEIRS = inspect.signature(pl.Trainer).parameters


# Against Lightning itself: fails when a new version has other arguments, each of which is then to
# be judged


def test_every_argument_of_lightnings_is_offered_or_refused() -> None:
    assert set(PARAMETERS) | set(REFUSED) == set(THEIRS) and not set(PARAMETERS) & set(REFUSED)
    budget = {field.name: field.default for field in fields(Budget)}
    assert set(PARAMETERS) - set(budget) == ASIDE  # they decide no number
    assert set(budget) < set(PARAMETERS)
    for name in set(budget) - {"accelerator", "max_epochs", "devices"}:
        assert budget[name] == PARAMETERS[name].default, name


def test_defaults_are_lightnings() -> None:
    ours = {name: p.default for name, p in PARAMETERS.items() if p.default is not p.empty}
    same_as_none = {
        "limit_train_batches": 1.0,
        "limit_val_batches": 1.0,
        "deterministic": False,
        "benchmark": False,
    }
    for name, default in ours.items():
        theirs = THEIRS[name].default
        assert default == (same_as_none.get(name) if theirs is None else theirs) or (
            name,
            theirs,
        ) == ("enable_progress_bar", None)
    made = pl.Trainer(
        **ours,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        accelerator="cpu",
        devices=1,
    )
    plain = pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        accelerator="cpu",
        devices=1,
    )
    assert (made.limit_train_batches, made.limit_val_batches) == (
        plain.limit_train_batches,
        plain.limit_val_batches,
    )


def test_precisions_are_lightnings_less_those_that_need_another_package() -> None:
    theirs = {str(one) for literal in get_args(_PRECISION_INPUT) for one in get_args(literal)}
    assert {*PRECISIONS, *get_args(Precision)} == {
        name for name in theirs if not name.startswith("transformer-engine")
    }


# The sentences, and that nothing was written

LIMIT, DEVICE = (
    "must be 1 or more, or -1 for no limit",
    "must be how many (1, 2, ...), or the number of one GPU in brackets, as in [0]",
)
SHARE = "must be a number of batches (1, 2, ...) or a share of them up to 1.0"
ENDLESS = (
    "has no end, and a schedule must know the end; give one of them, as in trainer.max_epochs=10"
)
WRONG = [
    (["max_epochs=abc"], "trainer.max_epochs=abc must be a whole number"),
    (["max_epochs=1.5"], "trainer.max_epochs=1.5 must be a whole number"),
    (["max_epochs=true"], "trainer.max_epochs=true must be a whole number"),
    (["max_epochs={a:1}"], "trainer.max_epochs={a:1} must be a whole number"),
    (["max_epochs=-3"], f"trainer.max_epochs=-3 {LIMIT}"),
    (["max_epochs=0"], f"trainer.max_epochs=0 {LIMIT}"),
    (["max_epochs=null"], f"trainer.max_epochs=null without trainer.max_steps {ENDLESS}"),
    (["max_epochs=-1"], f"trainer.max_epochs=-1 without trainer.max_steps {ENDLESS}"),
    (
        ["max_epochs=-1", "max_time=00:00:01:00"],
        f"trainer.max_epochs=-1 without trainer.max_steps {ENDLESS}",
    ),
    (
        ["max_epochs=null", "max_steps=-1"],
        f"trainer.max_epochs=null without trainer.max_steps {ENDLESS}",
    ),
    (["max_steps=0"], f"trainer.max_steps=0 {LIMIT}"),
    (["max_steps=many"], "trainer.max_steps=many must be a whole number"),
    (
        ["min_epochs=11"],
        "trainer.min_epochs=11 is more than trainer.max_epochs=10; give a smaller one",
    ),
    (
        ["max_steps=5", "min_steps=6"],
        "trainer.min_steps=6 is more than trainer.max_steps=5; give a smaller one",
    ),
    (
        ["max_time=1h"],
        "trainer.max_time=1h must be days:hours:minutes:seconds, as in 00:01:30:00, and not 0",
    ),
    (["max_time=00:00:00:00"], "trainer.max_time=00:00:00:00 must be days:hours:minutes:seconds"),
    (["max_time={hours:1}"], "trainer.max_time={hours:1} must be days:hours:minutes:seconds"),
    (
        ["precision=foo"],
        (
            "trainer.precision=foo is not a choice; there is 16-mixed, 16-true, 32-true, 64-true,"
            " bf16-mixed, bf16-true"
        ),
    ),
    (
        ["precision=bf16-mixd"],
        "trainer.precision=bf16-mixd is not a choice, did you mean 'bf16-mixed'?",
    ),
    (["precision=[32]"], "trainer.precision=[32] is not a choice"),
    (
        ["accelerator=foo"],
        "trainer.accelerator=foo is not a choice; there is auto, cpu, cuda, gpu, mps",
    ),
    (["accelerator=cdua"], "trainer.accelerator=cdua is not a choice, did you mean 'cuda'?"),
    (["devices=banana"], f"trainer.devices=banana {DEVICE}"),
    (["devices=0"], f"trainer.devices=0 {DEVICE}"),
    (["devices=auto"], f"trainer.devices=auto {DEVICE}"),
    (["devices=[0,1]"], f"trainer.devices=[0,1] {DEVICE}"),
    (["devices=true"], f"trainer.devices=true {DEVICE}"),
    (["limit_train_batches=0"], f"trainer.limit_train_batches=0 {SHARE}"),
    (["limit_train_batches=1.5"], f"trainer.limit_train_batches=1.5 {SHARE}"),
    (["limit_val_batches=0.0"], f"trainer.limit_val_batches=0.0 {SHARE}"),
    (["limit_val_batches=nan"], f"trainer.limit_val_batches=nan {SHARE}"),
    (["accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0 must be 1 or more"),
    (["fast_dev_run=abc"], "trainer.fast_dev_run=abc must be true, false or a number of batches"),
    (["fast_dev_run=-1"], "trainer.fast_dev_run=-1 must be true, false or a number of batches"),
    (
        ["deterministic=maybe"],
        "trainer.deterministic=maybe is not a choice; there is false, true, warn",
    ),
    (["benchmark=1"], "trainer.benchmark=1 must be true or false"),
    (
        ["gradient_clip_val=1"],
        (
            "trainer.gradient_clip_val cannot be given: gradients are clipped by the recipe, as in"
            " clip=norm"
        ),
    ),
]


@pytest.mark.parametrize(("words", "told"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_a_value_that_cannot_be_is_told_before_anything_runs(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *(f"trainer.{word}" for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"upgate: {told}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_that_cannot_be_given_says_why(name: str) -> None:
    assert (
        refusal(f"trainer.{name}=1") == f"trainer.{name} cannot be given: {say(f'refused_{name}')}"
    )


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="here is a GPU"
)
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("accelerator=gpu", "trainer.accelerator=gpu is not on this machine; there is cpu"),
        ("accelerator=cuda", "trainer.accelerator=cuda is not on this machine; there is cpu"),
        ("devices=[0]", "trainer.devices=[0] is not on this machine; there is 1, the CPU"),
        (
            "precision=16",
            (
                "trainer.precision=16-mixed needs a GPU; on this CPU take trainer.precision="
                + ("bf16-mixed or 32-true" if has_bf16() else "32-true")
            ),
        ),
        ("precision=16-true", "trainer.precision=16-true needs a GPU"),
    ],
)
def test_what_this_machine_lacks_is_told_before_anything_runs(
    word: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", f"trainer.{word}"]) == 2
    assert capsys.readouterr().err.startswith(f"upgate: {told}") and not list(tmp_path.iterdir())


@pytest.mark.skipif(has_bf16(), reason="this processor has bf16")
def test_bf16_is_refused_where_the_processor_lacks_it() -> None:
    trainer = compose(["trainer.accelerator=cpu", "trainer.precision=bf16-mixed"])["trainer"]
    with pytest.raises(
        UserError,
        match=(
            r"^trainer\.precision=bf16-mixed needs a processor with AVX-512; .*take"
            r" trainer\.precision=32-true$"
        ),
    ):
        resolve_precision(trainer)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="here is no GPU")
def test_a_gpu_is_found_by_any_of_its_names() -> None:
    trainer = compose([])["trainer"]
    assert {
        resolve_accelerator(trainer | {"accelerator": name}) for name in ("auto", "gpu", "cuda")
    } == {"cuda"}
    assert resolve_accelerator(trainer | {"devices": [0]}) == "cuda"
    assert resolve_precision(trainer | {"precision": "16-mixed"}) == "16-mixed"


# One run, one spelling


def budget(*words: str) -> dict[str, Any]:
    trainer = compose([f"trainer.{word}" for word in ("accelerator=cpu", *words)])["trainer"]
    return {**resolve_budget(trainer).to_dict(), "precision": resolve_precision(trainer)}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["max_epochs=null", "max_steps=9"], ["max_epochs=-1", "max_steps=9"]),
        (["precision=32"], ["precision=32-true"]),
        pytest.param(["precision=bf16"], ["precision=bf16-mixed"], marks=needs_bf16),
        (["precision='64'"], ["precision=64-true"]),
        (
            [],
            [
                "max_steps=-1",
                "min_epochs=null",
                "accumulate_grad_batches=1",
                "deterministic=false",
                "max_time=null",
            ],
        ),
        (
            [],
            [
                "limit_train_batches=1.0",
                "limit_val_batches=1.0",
                "benchmark=false",
                "inference_mode=true",
            ],
        ),
        (
            [],
            [
                "enable_progress_bar=false",
                "detect_anomaly=true",
                "fast_dev_run=false",
                "inference_mode=false",
            ],
        ),
    ],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_two_spellings_of_a_run_are_one(a: list[str], b: list[str]) -> None:
    assert budget(*a) == budget(*b)


def test_one_batch_is_not_all_of_them() -> None:
    assert value("trainer", "trainer.limit_train_batches=1")["limit_train_batches"] == 1
    one_batch = Budget("cpu", 3, limit_train_batches=1).to_dict()
    assert one_batch == {"accelerator": "cpu", "max_epochs": 3, "limit_train_batches": 1}
    assert Budget("cpu", 3, limit_train_batches=1.0) == Budget("cpu", 3)
    assert budget("limit_train_batches=1") != budget("limit_train_batches=1.0")


def test_the_accelerator_is_in_the_budget_by_the_name_of_what_is_there() -> None:
    there = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    assert resolve_budget(compose([])["trainer"]).to_dict() == {
        "max_epochs": 10,
        "accelerator": there,
    }
    assert budget("max_epochs=3") == {"max_epochs": 3, "accelerator": "cpu", "precision": "32-true"}


def test_a_share_of_less_than_one_batch_is_told() -> None:
    check_shares({"limit_train_batches": 0.12, "limit_val_batches": 1}, {"train": 9, "val": 1})
    check_shares({}, {"train": 1, "val": 1})
    told = (
        "trainer.limit_train_batches=0.1 of 9 batches is less than one; give a number of them, as"
        " in trainer.limit_train_batches=1"
    )
    with pytest.raises(UserError) as caught:
        check_shares({"limit_train_batches": 0.1}, {"train": 9, "val": 1})
    assert str(caught.value) == told


def test_a_checked_trainer_is_checked_again_unchanged() -> None:
    once = check_trainer(
        compose(["trainer.max_steps=7", "trainer.max_epochs=null", "trainer.max_time=00:00:10:00"])[
            "trainer"
        ]
    )
    assert check_trainer(once) == once and (once["max_epochs"], once["max_steps"]) == (-1, 7)
