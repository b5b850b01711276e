"""The next command is one that works, in the words that were typed."""

import shlex
from pathlib import Path

import pytest

from upgate.cli.next_step import study_of_run, study_of_sweep, suggest
from upgate.config.compose import compose
from upgate.experiment.designs import named_arms
from upgate.study.options import read_study_options


def test_a_runs_study_keeps_its_words_but_for_what_a_study_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["task=stock", "optimizer.lr=0.01", "data.path=my prices.csv", "seed=3", "twin=false"]
    program, command, *rest = shlex.split(study_of_run(words))
    assert (program, command, rest) == ("upgate", "study", words[:3])


def test_a_sweeps_study_has_its_settings_as_arms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ["optimizer=sgd regularization=[l1,l2]", "recipe=traditional", "clip=none"]
    said = study_of_sweep(["task=stock", "seed=1"], settings)
    assert said is not None
    options, rest = read_study_options(shlex.split(said)[2:])
    assert rest == ["task=stock"] and options.arms is not None
    arms = named_arms(options.arms, rest)
    composed = [compose(arm.overrides) for arm in arms]
    assert arms[0].name == "traditional" and len(arms) == 3
    assert composed[1]["optimizer"]["name"] == "sgd" and composed[2]["clip"]["name"] == "none"
    assert set(composed[1]["regularization"]) == {"l1", "l2"}


def test_no_study_of_settings_that_differ_in_more_than_recipes() -> None:
    assert study_of_sweep([], ["task.window=10", "task.window=20"]) is None
    assert study_of_sweep([], [f"optimizer.lr={i}" for i in range(9)]) is None


def test_make_is_proposed_where_its_makefile_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert suggest("ui", []) == "upgate ui"
    assert suggest("ui", [], "my conf") == "upgate ui --config-dir 'my conf'"
    Path("Makefile").write_text("all:\n\techo something else\n")
    assert suggest("ui", []) == "upgate ui"
    Path("Makefile").write_text("train:\n\tupgate train\n")
    assert suggest("ui", []) == "make ui"
    assert suggest("study", ["a=b c"]) == "make study 'a=b c'"
