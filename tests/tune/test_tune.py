"""A whole small search with real runs: the table, the store, Optuna's record, the page, the one
look, and the second time.
"""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from rich.console import Console

from helpers.tune import numbers, results, tiny, tune
from upgate import cli
from upgate.experiment.designs import Arm
from upgate.experiment.jobs import make_pair
from upgate.experiment.session import Session
from upgate.report.tune import figure_files, search_files, tune_page
from upgate.report.tune_command import load_search
from upgate.run.datasets import Datasets
from upgate.store.store import Store
from upgate.tune.options import read_tune_options
from upgate.tune.plan import plan_arms
from upgate.tune.result import TUNED, UNTUNED, SearchResult
from upgate.tune.tune_arms import ArmSearch, tune_arms

WORDS = [
    "search=sobol",
    "tune.trials=2",
    "tune.folds=2",
    "tune.top=1",
    "tune.top_seeds=1",
    "tune.arms=[traditional,upgraded]",
]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("tune") / "runs"
    code, said = tune(root, *WORDS)
    assert code == 0, said
    return root, said


def loaded(root: Path) -> SearchResult:
    return load_search(Store(root), "latest")


def test_what_a_search_says_fits_a_hundred_columns_and_ends_with_the_next_command(
    searched: tuple[Path, str],
) -> None:
    root, said = searched
    result = loaded(root)
    lines = said.splitlines()
    assert all(
        len(line) <= 100 for line in lines if "│" in line or "─" in line or line.startswith(" ")
    )
    assert (
        lines[-1].startswith("next: upgate train ")
        and "task=stock" in lines[-1]
        and "split.refit=true" in lines[-1]
        and "trainer.max_steps=" in lines[-1]
    )
    assert (
        "2 trials of each of 2 arms from a scrambled Sobol list" in said and "optimizer.lr" in said
    )
    words = shlex.split(lines[-1].removeprefix("next: upgate train "))
    keys = [key for arm in result.blocks[0].arms for key in arm.keys["tuned"]]
    assert (
        make_pair(words, Datasets(), None)[0].spec.key in keys
    )  # typed again, it is the run that the store holds
    (parent,) = (row for row in Store(root).rows() if row.tags.get("upgate.level") == "tune")
    score = result.search.score
    change = score.change(*(result.test("traditional", one) for one in (TUNED, UNTUNED)))
    assert parent.name.startswith(f"{change:+.2f}{score.unit} traditional, ")
    assert parent.name.endswith(f" upgraded by tuning: tune {result.search.id}")
    assert result.complete and f"in {root}/tunes/{result.search.id}" in said


def test_the_test_part_is_opened_after_the_choice_and_once_each(searched: tuple[Path, str]) -> None:
    root, _ = searched
    rows = [row for row in Store(root).rows() if not row.is_parent]
    last = [row for row in rows if row.params["split.name"] == "holdout"]
    trials = [row for row in rows if row.params["split.name"] == "development"]
    result = loaded(root)
    keys = {key for arm in result.blocks[0].arms for found in arm.keys.values() for key in found}
    assert {row.key for row in last} == keys and len(last) == len(keys) == result.looks
    assert all(row.params["split.refit"] == "True" and row.params["seed"] == "0" for row in last)
    assert min(row.start for row in last) > max(row.start for row in trials)
    assert {row.params["seed"] for row in trials} == {"100", "101"}


def test_steps_and_tests_are_those_of_the_runs(searched: tuple[Path, str]) -> None:
    root, _ = searched
    rows = {row.key: row for row in Store(root).rows() if not row.is_parent}
    for arm in loaded(root).blocks[0].arms:
        for which in (UNTUNED, TUNED):
            (key,) = arm.keys[which]
            assert rows[key].metrics["steps"] == arm.steps[which] == 4
            assert arm.tests[which] == {"0": pytest.approx(rows[key].metrics["test/mse_ratio"])}
        for trial in arm.trials:
            stored = [
                rows[key].metrics["val/mse_ratio"]
                for cell, key in trial.keys.items()
                if cell in trial.losses
            ]
            assert len(stored) == 2 and trial.state == "complete"


def test_optuna_holds_every_trial_once_and_a_second_time_trains_nothing(
    searched: tuple[Path, str],
) -> None:
    root, _ = searched
    before, stamps = (
        results(root),
        {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")},
    )
    code, _ = tune(root, *WORDS)
    assert (
        code == 0 and {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")} == stamps
    )
    assert [numbers(one) for one in results(root).values()] == [
        numbers(one) for one in before.values()
    ]
    storage = f"sqlite:///{root / 'optuna.db'}"
    names = optuna.get_all_study_names(storage)
    assert sorted(name.rpartition("/")[2] for name in names) == ["traditional", "upgraded"]
    for name in names:
        trials = optuna.load_study(study_name=name, storage=storage).trials
        assert [one.user_attrs["upgate.number"] for one in trials] == [0, 1]
        assert all(
            one.state.name == "COMPLETE" and json.loads(one.user_attrs["upgate.keys"])
            for one in trials
        )


def test_mlflow_has_a_parent_an_arm_each_and_the_figures(searched: tuple[Path, str]) -> None:
    root, _ = searched
    store = Store(root)
    rows = store.rows()
    (parent,) = [row for row in rows if row.tags.get("upgate.level") == "tune"]
    arms = [row for row in rows if row.parent == parent.run_id]
    assert {row.name for row in arms} == {"traditional", "upgraded"} and {
        row.status for row in rows
    } == {"FINISHED"}
    assert all(
        {"untuned/test/mse_ratio", "tuned/test/mse_ratio", "tuned/val/mse_ratio", "trials"}
        <= row.metrics.keys()
        for row in arms
    )
    kept = {entry.path for entry in store.client.list_artifacts(parent.run_id)}
    assert {"search.json", "result.json", "report.html", "figures"} <= kept
    drawn = {entry.path for entry in store.client.list_artifacts(parent.run_id, "figures")}
    assert {
        "figures/best_of_n.svg",
        "figures/parallel_0.svg",
        "figures/slice_1_optimizer.lr.svg",
    } <= drawn


def test_the_page_says_the_same_in_both_languages(
    searched: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = searched
    result = loaded(root)
    for language in ("en", "zh"):
        html = tune_page(result, language)
        assert result.search.id in html and "<script" not in html and "upgate train " in html
        assert html.count("<svg") > 10 and "nan" not in html.replace("nanosecond", "")
    for drawn in figure_files(result).values():
        assert drawn.startswith(
            '<svg xmlns="http://www.w3.org/2000/svg"'
        ) and drawn.rstrip().endswith("</svg>")
    assert cli.main(["report", "tune=latst", f"root={root}", f"out={root.parent / 'x.html'}"]) == 2
    assert "there is no search latst" in capsys.readouterr().err
    out = root.parent / "page.html"
    assert cli.main(["report", f"tune={result.search.id}", f"root={root}", f"out={out}"]) == 0
    assert out.read_text(encoding="utf-8") == tune_page(result)


def test_a_plan_alone_trains_nothing(tmp_path: Path) -> None:
    code, said = tune(tmp_path / "runs", *WORDS, yes=False)
    assert code == 0 and "nothing was trained" in said and not (tmp_path / "runs").exists()


def test_a_study_can_have_its_arms_tuned(searched: tuple[Path, str]) -> None:
    root, _ = searched
    asked, rest = read_tune_options(
        [word for word in tiny(root, *WORDS) if not word.startswith("tune.arms")]
    )
    arms = [
        Arm("traditional", [*rest, "split=holdout", "recipe=traditional"]),
        Arm("upgraded", [*rest, "recipe=upgraded"]),
    ]
    before = len(list(root.glob("*/result.json")))
    session = Session(Console(quiet=True), Datasets(), None)
    planned = plan_arms(replace(asked, test=False), arms, [], session)
    found = tune_arms(ArmSearch(arms, planned), session, search_files)
    assert len(list(root.glob("*/result.json"))) == before  # the same trials, and no test
    assert list(found) == ["traditional", "upgraded"] and "split=holdout" in found["traditional"]
    (result,) = [one for name, one in results(root).items() if not one["search"]["test"]]
    for arm in result["blocks"][0]["arms"]:
        chosen = next(one for one in arm["trials"] if one["number"] == arm["chosen"])
        assert set(chosen["words"]) <= set(found[arm["name"]]) and arm["tests"] == {}
