"""`upgate runs`, `upgate delete`, and which run `predict run=latest` takes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from helpers.run import train
from helpers.study import study
from upgate.cli.entry import main
from upgate.cli.predict import find_run
from upgate.cli.runs import tell_apart
from upgate.store.store import Store

TINY = ("trainer.max_epochs=1", "data.start=2016")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep over windows, then a study whose last run is its A/A control."""
    root = tmp_path_factory.mktemp("listed") / "runs"
    assert train(root, *TINY, "task.window=10,20", sweep=True)[0] == 0
    assert study(root, *TINY, "study.seeds=1", "task.window=15", "study.zero=false")[0] == 0
    return root


def said(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> str:
    assert main(["runs", f"root={root}", *words]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    return capsys.readouterr().err


def test_any_parameter_is_a_filter(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, root, "task.window=20", "--json"))
    assert {run["params"]["task.window"] for run in found} == {"20"} and len(found) == 2
    assert json.loads(said(capsys, root, "optimizer=muon", "--json")) == []  # it could be there
    assert "did you mean 'upgraded'" in refused(capsys, "runs", f"root={root}", "recipe=upgradd")
    assert "did you mean 'sgd'" in refused(capsys, "runs", f"root={root}", "optimizer=sdg")
    assert "did you mean 'task.window'" in refused(capsys, "runs", f"root={root}", "task.windw=1")
    assert "whole number" in refused(capsys, "runs", f"root={root}", "limit=many")


def test_another_language_shows_the_same_numbers_and_changes_no_json(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    english, machine = said(capsys, root), said(capsys, root, "--json")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    chinese = said(capsys, root)
    assert "孪生对照" in chinese and "最新的在前" in chinese
    assert re.findall(r"-?[0-9]+\.[0-9]+", chinese) == re.findall(r"-?[0-9]+\.[0-9]+", english)
    assert max(cell_len(line) for line in chinese.splitlines()) <= 80
    assert said(capsys, root, "--json") == machine
    assert said(capsys, root, "language=en") == english


def test_runs_of_one_name_are_told_apart(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, root, "recipe=upgraded")
    for window in (10, 15, 20):
        assert f"upgraded seed=0 task.window={window}" in told
    assert "task return" in told and "epochs 1" in told  # in common: above, not in a column
    assert "and 2 more: limit=all" in said(capsys, root, "recipe=upgraded", "limit=1")
    assert tell_apart([]) == []


def test_latest_is_what_train_made_last_not_a_studys_control(root: Path) -> None:
    store = Store(root)
    assert store.rows(status="FINISHED")[0].params["task.window"] == "15"
    latest = find_run(store, "latest", ["data.path=x.csv"])
    assert (latest.params["task.window"], latest.tags["upgate.recipe"]) == ("20", "upgraded")


def test_a_prediction_says_whose_it_is(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"root={root}"]) == 0
    told = capsys.readouterr().err
    assert "upgraded seed=0: trained on S&P 500 index" in told and "on its test part" in told


def test_a_reader_that_goes_away_is_no_traceback(root: Path) -> None:
    command = [sys.executable, "-c", "import sys; from upgate.cli import main; sys.exit(main())"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [*command, "runs", f"root={root}"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode != 2 and done.stderr == b""


def test_a_run_is_deleted_once_it_is_agreed_to(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = find_run(Store(root), "latest")
    folder = root / row.key[:16]
    words = ["delete", f"root={root}", f"run={row.key[:8]}"]
    assert "no run has" in refused(capsys, "delete", f"root={root}", "run=0000")
    assert main(words) == 0 and "nothing was deleted" in capsys.readouterr().out
    assert folder.is_dir()
    assert main([*words, "--yes"]) == 0 and not folder.exists()
    assert row.run_id not in {other.run_id for other in Store(root).rows()}
    assert "no run has" in refused(capsys, *words)
