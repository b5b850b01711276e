"""`upgate train -m hydra/launcher=... hydra/sweeper=...` with plugins that Hydra finds.

Those of tests/helpers/plugins are always there; one that is installed is tested where it is.
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins

from helpers.config import refusal
from helpers.project import REPO
from helpers.run import numbers, results, train
from upgate.cli.entry import main
from upgate.cli.next_step import suggest
from upgate.config.compose import compose
from upgate.config.words import read_sweep, use_launcher
from upgate.errors import UserError
from upgate.store.store import Store

TINY = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "data.start=2016"]
LAUNCHER = "hydra/launcher=tiny"
SWEEPER = "hydra/sweeper=tiny"


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[Any]:
    """The module of the plugins, once Hydra has found it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPO / "tests" / "helpers" / "plugins")
        Plugins.instance()._initialize()
        yield import_module("hydra_plugins.tiny")
    Plugins.instance()._initialize()


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a sweep gives without a plugin."""
    root = tmp_path_factory.mktemp("inline") / "runs"
    assert train(root, *TINY, "seed=0,1", sweep=True)[0] == 0
    return {name: (numbers(one), one["difference"]) for name, one in results(root).items()}


@pytest.mark.parametrize("loses", [-1, 1])
def test_a_launcher_gets_all_twins_then_all_runs(
    loses: int, inline: dict[str, Any], tiny: Any, tmp_path: Path
) -> None:
    root, launched = tmp_path / "runs", tiny.TinyLauncher.launched
    launched.clear()
    words = [LAUNCHER, f"hydra.launcher.loses={loses}", *TINY]
    code, said = train(root, *words, "seed=0,1", sweep=True)
    assert code == 0 and len(results(root)) == 4
    assert {n: (numbers(one), one["difference"]) for n, one in results(root).items()} == inline
    names = [[job[0] for job in batch] for batch in launched]
    twins, runs = (sorted(batch) for batch in names)
    assert twins == ["run=traditional seed=0", "run=traditional seed=1"]
    assert runs == ["run=upgraded seed=0", "run=upgraded seed=1"]
    assert not any(root.joinpath("hydra").iterdir())  # no request is left
    assert "executor" not in said
    parents = {row.parent for row in Store(root).rows() if not row.is_parent}
    assert len(parents) == 1
    assert train(root, *words, "seed=0,1", sweep=True)[0] == 0 and len(launched) == 2


def test_a_sweeper_is_answered_with_validation_scores(tiny: Any, tmp_path: Path) -> None:
    root, answers = tmp_path / "runs", tiny.TinySweeper.answers
    answers.clear()
    lr = "optimizer.lr=tag(log, interval(1e-4, 1))"
    code, said = train(root, SWEEPER, LAUNCHER, *TINY, "+experiment=rmsprop", lr, sweep=True)
    assert code == 0 and "4 runs of 2 settings" in said
    stored = {(row.params["optimizer.lr"], row.params["seed"]): row for row in Store(root).rows()
              if row.tags.get("upgate.recipe") == "upgraded"}  # fmt: skip
    assert len(answers) == len(stored) == 4
    for words, value in answers:
        row = stored[tuple(word.partition("=")[2] for word in words)]
        assert value == pytest.approx(row.metrics["val/mse_ratio"]) and "rmsprop" in str(row.params)
    assert len({row.parent for row in Store(root).rows() if not row.is_parent}) == 1
    assert len(tiny.TinyLauncher.launched) > 0


def test_a_run_that_fails_is_an_answer_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such luck")

    monkeypatch.setattr("upgate.execution.run_job.train", fail)
    root = tmp_path / "runs"
    words = [SWEEPER, *TINY, "twin=false", "optimizer.lr=interval(0.1, 0.9)"]
    code, said = train(root, *words, sweep=True)
    assert code == 1 and said.count("asks for") == 1
    assert f"ended {SWEEPER}: RuntimeError: upgraded optimizer.lr=0.1 seed=0: " in said
    assert "no such luck" in said and "optimizer.lr=0.1" in capfd.readouterr().err


def test_hydras_own_sweeper_makes_batches(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    words = ["hydra/sweeper=basic", "hydra.sweeper.max_batch_size=1", *TINY, "twin=false"]
    code, said = train(root, *words, "seed=0,1", sweep=True)
    assert code == 0 and said.count("hydra/sweeper=basic asks for") == 2
    assert len(results(root)) == 2


def test_info_names_the_launcher_as_a_word_that_was_typed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", LAUNCHER, "--info", "defaults"]) == 0
    line = next(one for one in capsys.readouterr().out.splitlines() if "  executor" in one)
    assert line.split(maxsplit=2) == ["executor", "launcher", "your words"]


def test_the_next_command_holds_the_words_to_a_launcher_as_they_were_typed() -> None:
    words = [LAUNCHER, "hydra.launcher.n_jobs=3", "root=x"]
    made = use_launcher(words)
    assert made[:2] == ["root=x", "executor=launcher"] and len(made) == 3
    assert suggest("train", made).split()[2:] == ["root=x", LAUNCHER, "hydra.launcher.n_jobs=3"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hydra/launcher=joblb"], "hydra/launcher=joblb is not a choice, did you mean 'joblib'?"),
        ([LAUNCHER, "hydra.launcher.n_job=2"], "n_job=2, did you mean 'n_jobs'?"),
        ([LAUNCHER, "hydra.launcher.n_jobs=two"], "'two' of type 'str' could not be converted"),
        ([LAUNCHER, "hydra.launcher.n_jobs=1,2"], "Sweeping over Hydra's configuration"),
        ([LAUNCHER, "+hydra.launcher.more=1"], "unknown key +hydra.launcher.more=1; there is"),
        (["hydra.launcher.n_jobs=2"], "choose one, as in hydra/launcher=NAME"),
        ([LAUNCHER, "hydra/launcher=basic"], "give one of them"),
        ([LAUNCHER, "executor=local"], "executor=local and executor=launcher both set executor"),
        ([LAUNCHER, "hydra.run.dir=x"], "root=DIR"),
        (["hydra.sweep.dir=x"], "root=DIR"),
        (["hydra/sweeper=ax"], "take hydra/sweeper=optuna or upgate tune"),
        ([SWEEPER], "goes with upgate train -m alone; upgate tune"),
    ],
)
def test_a_wrong_word_is_one_sentence(words: list[str], told: str) -> None:
    assert told in refusal(*words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([SWEEPER, "hydra.sweeper.batchs=2"], "did you mean 'batches'?"),
        ([SWEEPER, "optimizer.lrr=interval(0, 1)", "seed=1,2"], "unknown key optimizer.lrr"),
        ([SWEEPER, "seed=choice(1"], "cannot be read"),
        (["hydra/sweeper=tny"], "did you mean 'tiny'?"),
    ],
)
def test_a_wrong_word_of_a_sweep_is_one_sentence(words: list[str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        sweep = read_sweep(words, True, None)
        compose(sweep.example if sweep else [])
    assert told in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError, match="add -m"):
        read_sweep([SWEEPER, "seed=1"], False, None)


INSTALLED = {
    "hydra/launcher=joblib": ("hydra_joblib_launcher", ["hydra.launcher.n_jobs=1"]),
    "hydra/sweeper=optuna": ("hydra_optuna_sweeper", ["hydra.sweeper.n_trials=2"]),
}


@pytest.mark.parametrize("plugin", INSTALLED)
def test_a_plugin_of_others_works_where_it_is_installed(plugin: str, tmp_path: Path) -> None:
    module, words = INSTALLED[plugin]
    if not find_spec(f"hydra_plugins.{module}"):
        package = module.replace("_", "-")
        command = [plugin, "optimizer.lr=interval(0.01,0.1)"] if "sweeper" in plugin else [plugin]
        with pytest.raises(UserError, match=f"needs a plugin: pip install .*{package}"):
            read_sweep(command, True, None)
        pytest.skip(f"{package} is not installed")
    root = tmp_path / "runs"
    lr = "optimizer.lr=interval(0.01, 0.1)" if "sweeper" in plugin else "optimizer.lr=0.01,0.1"
    code, said = train(root, plugin, *words, *TINY, "recipe=traditional", lr, sweep=True)
    assert code == 0 and "2 runs" in said and len(results(root)) == 3
    assert {one["status"] for one in results(root).values()} == {"FINISHED"}
