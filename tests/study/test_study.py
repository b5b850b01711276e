"""A pair and a parts study end to end, on a real store."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.run import results as runs_below
from helpers.study import numbers, results, study, tiny
from upgate import cli
from upgate.run.datasets import Datasets
from upgate.serialization import from_json
from upgate.store.store import Store
from upgate.study.analyze import analyze
from upgate.study.load import analyze_stored, load_study, table_reader
from upgate.study.plan import plan_study
from upgate.study.result import Study, StudyResult
from upgate.tasks.stock.texts import BOTH_WAYS, OVER_PERSISTENCE, SEEDS_FIXED

PAIR = ["study=pair", "study.seeds=6"]
PARTS = [
    "study=parts",
    "study.seeds=1",
    "split=walk_forward",
    "split.folds=2",
    "recipe=traditional",
    "optimizer=adam",
    "clip=norm",
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, StudyResult]:
    root = tmp_path_factory.mktemp("pair") / "runs"
    code, said = study(root, *PAIR)
    assert code == 0
    return root, said, analyze_stored(Store(root), load_study(Store(root), "latest"))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, StudyResult]:
    root = tmp_path_factory.mktemp("parts") / "runs"
    code, said = study(root, *PARTS, "study.aa=false", "study.zero=false")
    assert code == 0
    return root, said, analyze_stored(Store(root), load_study(Store(root), "latest"))


def test_a_pair_is_judged_by_the_paired_log_ratios_of_its_runs(
    pair: tuple[Path, str, StudyResult],
) -> None:
    root, _, found = pair
    runs = {name: run["metrics"]["test/mse_ratio"] for name, run in runs_below(root).items()}
    gaps = [math.log(runs[f"upgraded seed={s}"] / runs[f"traditional seed={s}"]) for s in range(6)]
    (one,) = found.verdicts
    assert (one.arm, one.n, one.diverged) == ("upgraded", 6, 0)
    assert list(found.differences["upgraded"].values()) == pytest.approx(gaps, rel=1e-9, abs=1e-14)
    assert one.effect == pytest.approx(np.mean(gaps), rel=1e-6)
    assert one.over == "seeds and units" and one.level == found.study.level < 0.05
    test = stats.ttest_1samp(gaps, 0)
    interval = test.confidence_interval(1 - one.level)
    assert one.low < interval.low and interval.high < one.high and one.p > test.pvalue


def test_aa_is_the_baseline_on_other_seeds(pair: tuple[Path, str, StudyResult]) -> None:
    root, said, found = pair
    assert found.aa is not None and found.study.aa_seeds == [6, 7, 8, 9, 10, 11]
    runs = {name: run["metrics"]["test/mse_ratio"] for name, run in runs_below(root).items()}
    gaps = [
        math.log(runs[f"traditional seed={s + 6}"] / runs[f"traditional seed={s}"])
        for s in range(6)
    ]
    assert found.aa.effect == pytest.approx(np.mean(gaps), rel=1e-9)
    table = said[said.index("MSE ratio, lower is better") :]
    assert (
        table.index("A/A: traditional again")
        < table.index("\n traditional ")
        < table.index("\n upgraded ")
    )
    assert max(map(len, table[: table.index("zero:")].splitlines())) <= 80


def test_independent_updates_change_nothing(pair: tuple[Path, str, StudyResult]) -> None:
    (control,) = pair[2].controls
    assert (
        control.holds and control.difference == 0 and "layerwise=independent" in control.overrides
    )
    assert "holds: not a bit differs" in pair[1]


def test_the_plan_comes_first_and_says_what_will_run(pair: tuple[Path, str, StudyResult]) -> None:
    said, found = pair[1], pair[2]
    order = [
        "runs: 19, of which 0 are done and 19 to do; about",
        "run 1 of 19: traditional seed=0",
        "run 19 of 19",
        found.sentence,
    ]
    places = [said.index(one) for one in order]
    assert places == sorted(places)
    assert "detectable with 80% power: 1.85 standard deviations" in said
    assert "primary question: upgraded against traditional" in said
    assert "look 1 of 4 at 6, 9, 12, 18 seeds, each at p 0.0178: together 5%" in said


def test_the_commands_name_the_store(pair: tuple[Path, str, StudyResult], tmp_path: Path) -> None:
    root, said, found = pair
    assert found.study.commands[-1] == f"upgate report study={found.study.id} root={root}"
    assert found.study.commands[-1] in said and f"root={root}" in found.study.commands[0]
    assert cli.main([*found.study.commands[-1].split()[1:], f"out={tmp_path / 'r.html'}"]) == 0


def test_the_result_is_the_stores_alone_and_survives_json(
    pair: tuple[Path, str, StudyResult],
) -> None:
    root, _, found = pair
    store = Store(root)
    described = from_json(Study, found.study.json())
    assert described == found.study
    rows = store.rows(task="stock")
    assert (
        analyze(described, rows, table_reader(store)).json()
        == found.json()
        == analyze(described, rows[:], table_reader(store)).json()
    )
    assert from_json(StudyResult, found.json()) == found
    assert results(root)[found.study.id] == json.loads(found.json())


def test_another_machine_makes_the_same_from_mlflow_alone(
    pair: tuple[Path, str, StudyResult], tmp_path: Path
) -> None:
    root, _, found = pair
    there = Store(tmp_path / "elsewhere", f"sqlite:///{root / 'mlflow.db'}")
    assert analyze_stored(there, load_study(there, found.study.id)).json() == found.json()


def test_losses_and_tickers_are_those_of_the_forecasts(pair: tuple[Path, str, StudyResult]) -> None:
    root, _, found = pair
    folders = {name: Path(run["folder"]) for name, run in runs_below(root).items()}
    tables = [
        pd.read_parquet(folders[f"upgraded seed={seed}"] / "forecasts.parquet") for seed in range(6)
    ]
    unit = ((tables[0]["persistence"] - tables[0]["truth"]) ** 2).mean()
    mean = np.mean([((table["forecast"] - table["truth"]) ** 2) / unit for table in tables], axis=0)
    assert found.losses["upgraded"] == pytest.approx(mean.tolist(), rel=1e-9)
    assert np.mean(found.losses["persistence"]) == pytest.approx(1)
    assert len(found.dates) == len(mean) and found.dates == sorted(found.dates)
    (ratio,) = found.tickers["upgraded"].values()
    assert math.log(ratio) == pytest.approx(
        found.verdicts[0].effect, rel=1e-9
    )  # one ticker: its ratio is the study's
    assert len(found.dates) < 500 and found.ticker_interval == {}  # too few for one
    both, dates, _ = found.significance["upgraded"]
    assert [test.name for test in found.significance["upgraded"]] == [
        BOTH_WAYS,
        SEEDS_FIXED,
        OVER_PERSISTENCE,
    ]
    assert (
        both.effect
        == dates.effect
        == pytest.approx(np.mean(found.losses["upgraded"]) - np.mean(found.losses["traditional"]))
    )
    assert (
        both.low < dates.low < dates.effect < dates.high < both.high and both.p > dates.p
    )  # it answers for other seeds too


def test_mlflow_sorts_arms_by_effect_and_lower_bound(pair: tuple[Path, str, StudyResult]) -> None:
    store, found = Store(pair[0]), pair[2]
    rows = store.rows(task="stock")
    (parent,) = (row for row in rows if row.tags.get("upgate.level") == "study")
    arms = {row.tags["upgate.arm"]: row for row in rows if row.tags.get("upgate.level") == "arm"}
    assert set(arms) == set(found.study.keys) and {row.parent for row in arms.values()} == {
        parent.run_id
    }
    assert {row.status for row in rows} == {"FINISHED"}
    (one,) = found.verdicts
    assert parent.name.startswith(f"{one.verdict} ") and parent.name.endswith(found.study.id)
    assert f" {100 * math.expm1(one.effect):+.2f}%: study " in parent.name
    metrics = arms["upgraded"].metrics
    assert metrics["effect"] == pytest.approx(100 * math.expm1(one.effect)) == -metrics["gain"]
    assert (
        metrics["gain_low"] == pytest.approx(-100 * math.expm1(one.high))
        and metrics["gain_low"] < metrics["gain"]
    )
    for row in rows:
        if not row.is_parent:
            assert row.parent in {arm.run_id for arm in arms.values()}
    assert parent.metrics["test_looks"] == found.looks == 19
    assert {"study.json", "result.json", "versions.json"} <= {
        entry.path for entry in store.client.list_artifacts(parent.run_id)
    }


def test_nothing_is_trained_twice_by_the_next_study(pair: tuple[Path, str, StudyResult]) -> None:
    root, _, found = pair
    before = {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")}
    code, said = study(root, *PAIR)
    assert code == 0 and "of which 19 are done and 0 to do" in said and "run 1 of" not in said
    assert numbers(results(root)[found.study.id]) == numbers(json.loads(found.json()))
    code, said = study(
        root, "study=pair", "study.seeds=[2,3]", "study.aa=false", "study.zero=false"
    )
    assert code == 0 and "of which 4 are done and 0 to do" in said and "fewer than 6 seeds" in said
    assert {path: path.stat().st_mtime_ns for path in root.glob("*/best.ckpt")} == before


def test_parts_are_added_left_out_and_their_shares_sum_to_the_whole(
    parts: tuple[Path, str, StudyResult],
) -> None:
    _, said, found = parts
    assert [arm.name for arm in found.study.arms] == [
        "traditional",
        "traditional + optimizer",
        "traditional + clip",
        "traditional optimizer=adam clip=norm",
    ]
    assert found.study.folds == [0, 1] and found.attribution is not None
    whole = next(one for one in found.verdicts if one.arm == "traditional optimizer=adam clip=norm")
    shares = [share.share.effect for share in found.attribution.shares.values()]
    assert (
        sum(shares)
        == pytest.approx(found.attribution.full.effect, rel=1e-9)
        == pytest.approx(whole.effect, rel=1e-9)
    )
    assert [one.effect for one in found.parts] == pytest.approx(shares, rel=1e-9)
    words = {one.arm: one.verdict for one in found.verdicts}
    assert words.pop(whole.arm) == "undecided"  # one seed decides nothing
    assert set(words.values()) == {""}
    assert "share of optimizer" in said


def test_folds_are_pooled_by_the_geometric_mean(parts: tuple[Path, str, StudyResult]) -> None:
    root, _, found = parts
    runs = {name: run["metrics"]["test/mse_ratio"] for name, run in runs_below(root).items()}
    both = [runs["traditional seed=0"], runs["traditional seed=0 fold=1"]]
    assert found.scores["traditional"]["0"] == pytest.approx(math.sqrt(both[0] * both[1]), rel=1e-9)
    assert found.references["persistence"] == pytest.approx(1)
    assert np.mean(list(found.folds["traditional + clip"].values())) == pytest.approx(
        found.verdicts[1].effect, abs=1e-12
    )


def test_a_plan_alone_trains_nothing_and_makes_no_store(tmp_path: Path) -> None:
    code, said = study(tmp_path / "runs", "study=pair", "study.seeds=2", yes=False)
    assert code == 0 and "nothing was trained" in said and "of which 0 are done and 7 to do" in said
    assert not (tmp_path / "runs").exists()


def test_a_study_extended_outside_its_plan_pays_for_the_look(
    pair: tuple[Path, str, StudyResult],
) -> None:
    root, _, found = pair
    _, at_nine = study(root, "study=pair", "study.seeds=9", yes=False)
    _, at_seven = study(root, "study=pair", "study.seeds=7", yes=False)
    assert "look 2 of 4" in at_nine and "looked at before" not in at_nine
    assert "looked at before with 6 seeds, which no plan declared" in " ".join(at_seven.split())
    assert found.study.undeclared == []


def test_a_failed_run_is_told_and_leaves_its_seed_out(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    words = ["study=pair", "study.seeds=2", "study.aa=false", "study.zero=false"]
    keys = plan_study(tiny(root, *words), None, Datasets()).study.keys["upgraded"]
    (root / keys["1/0"][:16] / "best.ckpt").mkdir(parents=True)  # its weights cannot be written
    code, said = study(root, *words)
    (found,) = results(root).values()
    assert code == 1 and "failed upgraded seed=1" in said and "missing runs: 1;" in said
    assert found["missing"]["upgraded"] == ["1/0"] and list(found["differences"]["upgraded"]) == [
        "0"
    ]
    statuses = {
        row.tags.get("upgate.arm") or row.tags["upgate.level"]: row.status
        for row in Store(root).rows()
        if row.is_parent
    }
    assert statuses == {"study": "FAILED", "upgraded": "FAILED", "traditional": "FINISHED"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["study=pear"], "study=pear is not a choice, did you mean 'pair'?"),
        (["study.sedes=3"], "unknown key study.sedes, did you mean 'seeds'?"),
        (["study.seeds=0"], "study.seeds=0 must be 1 or more"),
        (["study.seeds=1,2"], "one list is study.seeds=[1,2]"),
        (["study.seeds=[1,1]"], "study.seeds names each one once"),
        (["seed=3"], "give study.seeds=6"),
        (["study.alpha=1.5"], "study.alpha=1.5 must be between 0 and 1"),
        (["study=arms"], "study=arms and study.arms go together"),
        (["study=arms", "study.arms=traditional"], "name at least two"),
        (["study=arms", "study.arms=traditional, recipe=traditional"], "are the same recipe"),
        (["recipe=traditional"], "name another one with recipe="),
        (["study.folds=[5]"], "fold=5 is not there"),
        (["--yess"], "did you mean '--yes'?"),
        (["trainer.fast_dev_run=true"], "tries every recipe out"),
    ],
)
def test_wrong_words_are_one_sentence(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(["study", "task=stock", "data.start=2016", *words, f"root={tmp_path / 'runs'}"])
        == 2
    )
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()
