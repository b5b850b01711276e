"""The judge on rows that are made up: what diverged, what is missing, what is on other folds and
seeds; nothing is trained.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from upgate.experiment.designs import Arm
from upgate.serialization import from_json
from upgate.stats.looks import look_level
from upgate.stats.shapley import draw_orders, prefixes
from upgate.store.record import Row
from upgate.study.analyze import analyze
from upgate.study.result import Study, StudyResult
from upgate.study.text import study_notes

SPLIT = {"name": "walk_forward", "folds": 2, "test": 0.15, "gap": None}


def study_of(task: str, arms: list[Arm], parts: list[str], seeds: int = 6, folds: int = 1) -> Study:
    text = task == "sentiment"
    names = {arm.name: range(seeds) for arm in arms} | {
        "again": range(seeds, 2 * seeds),
        "zero": range(1),
    }
    return Study(
        id=f"{task}-x",
        task=task,
        design="factorial" if parts else "arms",
        overrides=[],
        arms=arms,
        parts=parts,
        seeds=list(range(seeds)),
        folds=list(range(folds)),
        keys={
            n: {f"{s}/{f}": f"{n} {s} {f}" for s in own for f in range(1 if n == "zero" else folds)}
            for n, own in names.items()
        },
        aa=Arm("again", []),
        aa_seeds=list(range(seeds, 2 * seeds)),
        zero=Arm("zero", ["layerwise=independent"]),
        metric="test/accuracy" if text else "test/mse_ratio",
        higher_is_better=text,
        scale="plain" if text else "log",
        smallest_effect=0.01,
        alpha=0.05,
        data="d" * 64,
        source="made up",
        frozen={"split": SPLIT, "task": {"horizon": 1}},
        commands=[],
    )


def row(key: str, metrics: Mapping[str, float], diverged: bool = False, **more: str) -> Row:
    tags = {"upgate.data": more.get("data", "d" * 64), "upgate.diverged": str(diverged).lower()}
    params = {f"split.{name}": str(value) for name, value in SPLIT.items()}
    numbers = {"seconds": 2.0, "seconds_per_step": 0.1, "steps": 20.0, "epochs": 1.0} | dict(
        metrics
    )
    return Row(
        key,
        key,
        key,
        "stock",
        more.get("status", "FINISHED"),
        datetime.now(UTC),
        3.0,
        params,
        numbers,
        tags,
        None,
        False,
    )


def rows_of(study: Study, scores: Mapping[str, float], noise: float = 0.01) -> list[Row]:
    """A FINISHED run per key; the score of an arm, its seed's noise added (in logs for ratios)."""
    found = []
    for name, cells in study.keys.items():
        for cell, key in cells.items():
            seed = int(cell.split("/")[0])
            shift = (
                0.0 if name == "zero" or seed == 0 else noise * math.sin(7 * seed + 3 * len(name))
            )
            base = scores.get(name, scores[study.baseline])
            value = base * math.exp(shift) if study.scale == "log" else base + shift
            found.append(
                row(
                    key,
                    {
                        study.metric: value,
                        "test/persistence/mse_ratio": 1.0,
                        "engagement/clipped_share": 0.5,
                    },
                )
            )
    return found


def no_tables(row: Row, name: str) -> pd.DataFrame:
    """Forecasts without errors to compare; the tables of `losses` have tests of their own on real
    runs.
    """
    if name == "predictions":
        right = np.arange(100) < 100 * row.metrics["test/accuracy"]
        answers = {"truth": "a", "predicted": np.where(right, "a", "b"), "leaked": False}
        return pd.DataFrame(answers)
    if name == "tickers":
        return pd.DataFrame({"ticker": ["X", "Y"], "forecast": [row.metrics["test/mse_ratio"]] * 2})
    days = pd.bdate_range("2020-01-01", periods=30)
    error = np.sqrt(row.metrics["test/mse_ratio"]) * np.where(np.arange(30) % 2, 1.0, -1.1)
    frame = {
        "ticker": "X",
        "label_date": days,
        "truth": error,
        "forecast": 0.0,
        "persistence": error - 1.0,
    }
    return pd.DataFrame(frame)


ARMS = [Arm("base", []), Arm("good", []), Arm("bad", []), Arm("same", [])]
SCORES = {"base": 1.0, "good": 0.8, "bad": 1.3, "same": 1.0}


def judged(study: Study, rows: list[Row]) -> StudyResult:
    found = analyze(study, rows, no_tables)
    assert (
        from_json(StudyResult, found.json()).json() == found.json()
    )  # infinities too go there and back
    return found


@pytest.fixture
def study() -> Study:
    return study_of("stock", ARMS, [])


def words(found: StudyResult) -> dict[str, str]:
    return {one.arm: one.verdict for one in found.verdicts}


def test_each_arm_gets_its_word_and_holm_counts_them_all(study: Study) -> None:
    found = judged(study, rows_of(study, SCORES))
    assert words(found) == {"good": "helps", "bad": "hurts", "same": "equivalent"}
    assert study.shown(found.verdicts[0].effect) == pytest.approx(-20, abs=1)
    assert all(one.p_holm >= one.p for one in found.verdicts)
    assert found.sentence.startswith("good helps: its MSE ratio is 20.00% lower than base's")
    assert found.sentence.endswith("of the other 2 recipes bad hurts, same is equivalent.")
    assert (
        found.aa is not None
        and found.aa.arm == "again"
        and found.aa.verdict not in ("helps", "hurts")
    )
    assert found.complete and found.looks == len(rows_of(study, SCORES))


def test_a_run_that_diverged_ranks_last_and_is_counted(study: Study) -> None:
    rows = [
        replace(one, tags=one.tags | {"upgate.diverged": "true"})
        if one.key.startswith("good 3")
        else one
        for one in rows_of(study, SCORES)
    ]
    found = judged(study, rows)
    good = found.verdicts[0]
    assert found.differences["good"]["3"] == math.inf and good.n == 6 and good.diverged == 1
    assert good.verdict != "helps"  # five of six is not enough
    assert found.diverged["good"] == 1 and found.diverged["base"] == 0
    assert found.significance["good"] == [] and found.confidence_set.get("good", 0) == 0
    assert math.isinf(found.scores["good"]["3"])


def test_two_runs_that_diverged_on_one_seed_differ_by_nothing(study: Study) -> None:
    hit = ("good 3", "base 3")
    rows = [
        replace(one, tags=one.tags | {"upgate.diverged": "true"})
        if one.key.startswith(hit)
        else one
        for one in rows_of(study, SCORES)
    ]
    found = judged(study, rows)
    assert found.differences["good"]["3"] == 0 and found.differences["bad"]["3"] == -math.inf


def test_a_seed_counts_where_all_of_it_is_there() -> None:
    study = study_of("stock", ARMS, [], folds=2)
    rows = [one for one in rows_of(study, SCORES) if one.key != "good 2 1"]
    found = judged(study, [*rows, row("good 2 1", {}, status="FAILED")])
    assert (
        found.verdicts[0].n == 5
        and found.verdicts[1].n == 6
        and "2" not in found.differences["good"]
    )
    assert found.missing["good"] == ["2/1"] and not found.complete
    assert found.verdicts[0].verdict == "undecided" and found.verdicts[0].more_seeds == 1
    assert judged(study, []).sentence.startswith("Nothing can be said yet")


def test_a_control_that_differs_fails(study: Study) -> None:
    rows = [
        replace(one, metrics=one.metrics | {"test/mse_ratio": 1 + 1e-15})
        if one.key == "zero 0 0"
        else one
        for one in rows_of(study, SCORES)
    ]
    (control,) = judged(study, rows).controls
    assert control.holds is False and 0 < control.difference < 1e-14
    (control,) = judged(study, rows_of(study, SCORES)).controls
    assert control.holds is True and control.difference == 0


def test_looks_count_every_run_judged_on_the_same_data_and_split(study: Study) -> None:
    rows = rows_of(study, SCORES)
    other = [
        row("elsewhere", {}, data="e" * 64),
        replace(row("split", {}), params={"split.name": "holdout"}),
        row("more", {}),
    ]
    assert judged(study, rows + other).looks == len(rows) + 1


def test_the_newest_run_of_a_key_is_taken_and_the_order_of_rows_gives_no_other_number(
    study: Study,
) -> None:
    rows = rows_of(study, SCORES)
    assert judged(study, rows[::-1]).json() == judged(study, rows).json()
    newer = row("good 0 0", {"test/mse_ratio": 0.7, "test/persistence/mse_ratio": 1.0})
    assert judged(study, [newer, *rows]).scores["good"]["0"] == pytest.approx(0.7)


def test_shares_of_a_factorial_sum_to_the_whole_and_are_judged() -> None:
    cells = [("none", []), ("a", ["a"]), ("b", ["b"]), ("both", ["a", "b"])]
    study = study_of("stock", [Arm(name, [], on) for name, on in cells], ["a", "b"], seeds=12)
    found = judged(
        study, rows_of(study, {"none": 1.0, "a": 0.8, "b": 1.0, "both": 0.8}, noise=0.002)
    )
    assert found.attribution is not None
    shares = {part: share.share.effect for part, share in found.attribution.shares.items()}
    assert sum(shares.values()) == pytest.approx(found.attribution.full.effect, abs=1e-12)
    assert shares["a"] == pytest.approx(math.log(0.8), abs=0.01) and abs(shares["b"]) < 0.01
    assert {one.arm: one.verdict for one in found.parts} == {"a": "helps", "b": "equivalent"}
    assert found.attribution.exact and {one.arm: one.verdict for one in found.verdicts} == {
        "a": "",
        "b": "",
        "both": "helps",
    }
    assert (
        found.sentence.startswith("both helps: its MSE ratio is 20")
        and "of its 2 parts a helps, b is equivalent" in found.sentence
    )


def test_text_is_judged_in_points_and_by_its_items() -> None:
    study = study_of("sentiment", [Arm("base", []), Arm("good", [])], [])
    found = judged(study, rows_of(study, {"base": 0.6, "good": 0.8}))
    (one,) = found.verdicts
    assert one.verdict == "helps" and study.shown(one.effect) == pytest.approx(20, abs=1.5)
    bootstrap, mcnemar = found.significance["good"]
    assert (
        bootstrap.effect == pytest.approx(0.2, abs=0.02)
        and bootstrap.low < bootstrap.effect < bootstrap.high
    )
    assert mcnemar.p < 1e-4
    assert "points higher than base's" in found.sentence and one.over == "seeds and units"
    assert found.dates == [] and found.losses == {}


def test_items_that_training_has_too_decide_nothing() -> None:
    """A recipe that only knows them by heart gets what a study of the other items says."""
    study = study_of("sentiment", [Arm("base", []), Arm("good", [])], [], seeds=12)
    rng, size, known = np.random.default_rng(0), 1000, 400
    right = {row.key: rng.random(size) < 0.7 for row in rows_of(study, {"base": 0.7})}
    for key, answers in right.items():
        answers[:known] |= key.startswith("good")

    def study_result(start: int, unseen: bool) -> StudyResult:
        def table(row: Row, name: str) -> pd.DataFrame:
            predicted = np.where(right[row.key], "a", "b")
            seen = np.arange(size) < known
            whole = {"truth": "a", "predicted": predicted, "predicted_linear": "a", "leaked": seen}
            return pd.DataFrame(whole)[start:]

        rows = []
        for key, answers in right.items():
            found = {study.metric: answers[start:].mean(), "test/linear/accuracy": 1.0}
            if unseen:
                apart = answers[known:].mean()
                found |= {"test/accuracy_unseen": apart, "test/linear/accuracy_unseen": 1.0}
            rows.append(row(key, found))
        return analyze(study, rows, table)

    found, others = study_result(0, True), study_result(known, False)
    alike = [replace(one, study=study, sentence="", controls=[]).json() for one in (found, others)]
    assert alike[0] == alike[1]
    assert found.references == {"linear": 1.0} and set(found.against_references) == {"linear"}
    assert abs(found.verdicts[0].effect) < 0.03 and "accuracy on unseen texts" in found.sentence
    assert study_result(0, False).verdicts[0].effect > 0.09


def parts_study(noise: float = 0.01, **scores: float) -> tuple[Study, list[Row]]:
    """One part at a time of four, of which d does nothing; scores by the arm's name."""
    on = [[], ["a"], ["b"], ["c"], ["d"]]
    on += [sorted(set("abcd") - set(one)) for one in on[::-1]]
    arms = [Arm("+".join(one) or "none", [], one) for one in on]
    study = study_of("stock", arms, list("abcd"))
    by_arm = {arm.name: scores.get("_".join(arm.on), 1.0) for arm in arms}
    return study, rows_of(study, by_arm, noise)


def test_the_primary_question_has_one_word_in_every_design() -> None:
    """The same runs: as a pair, among named arms, and as the full recipe of a factorial."""
    scores = {"base": 1.0, "good": 0.95, "bad": 1.3, "same": 1.0}
    labels = {}
    for name, arms, parts in (
        ("pair", ARMS[:2], []),
        ("arms", ARMS, []),
        ("factorial", [Arm("base", []), Arm("good", [], ["a"])], ["a"]),
    ):
        study = study_of("stock", arms, parts)
        (one,) = [v for v in judged(study, rows_of(study, scores)).verdicts if v.arm == "good"]
        labels[name] = (one.verdict, one.p_holm, one.low)
    assert len(set(labels.values())) == 1


def seed_of(row: Row) -> int:
    return int(row.key.split()[1])


def test_nothing_else_is_judged_before_the_primary_question_is_decided() -> None:
    study = study_of("stock", ARMS, [])
    scores = {"base": 1.0, "good": 1.003, "bad": 1.3, "same": 1.0}
    rows = rows_of(study, scores, noise=0.02)
    rows = [
        replace(
            one,
            metrics=one.metrics | {study.metric: 1 + 0.03 * math.cos(3 * int(one.key.split()[1]))},
        )
        if one.key.startswith("good")
        else one
        for one in rows
    ]
    found = judged(study, rows)
    assert words(found) == {"good": "undecided", "bad": "", "same": ""}
    assert found.sentence.endswith("the other recipes are not judged before it is decided.")


def test_parts_that_saturate_are_not_judged() -> None:
    """a or b alone brings all, c and d nothing: no part is judged, and the remainder says why."""
    bring = ["a", "b", "a_c_d", "b_c_d", "a_b_c", "a_b_d", "a_b_c_d"]
    study, rows = parts_study(**dict.fromkeys(bring, 0.8))
    found = judged(study, rows)
    assert found.attribution is not None and not found.attribution.small_remainder
    assert {one.verdict for one in found.parts} == {""}
    assert "interactions between parts are not shown to be small" in found.sentence
    shares = {one.arm: one.effect for one in found.parts}
    assert shares["c"] == pytest.approx(0, abs=0.02) and shares["d"] == pytest.approx(0, abs=0.02)


@pytest.mark.long
def test_sampled_orders_share_out_what_saturates() -> None:
    """a or b alone brings all of five parts: each half of it, judged beside the orders' error."""
    orders = draw_orders(5, 12)
    have = [set(), *map(set, "abcde"), *(set("abcde") - {one} for one in "abcde"), set("abcde")]
    have += [{"abcde"[i] for i in one} for one in prefixes(orders)]
    on = list(dict.fromkeys(tuple(sorted(one)) for one in have))
    arms = [Arm("+".join(one) or "none", [], list(one)) for one in on]
    plain = study_of("stock", arms, list("abcde"))
    rows = rows_of(plain, {arm.name: 0.8 if {"a", "b"} & set(arm.on) else 1.0 for arm in arms})
    study = replace(plain, orders=[["abcde"[i] for i in order] for order in orders])
    before, found = judged(plain, rows), judged(study, rows)
    assert before.attribution is not None and before.attribution.method == "main"
    assert any("study.shapley=8 shares it out" in line for line in study_notes(before))
    assert found.attribution is not None and found.attribution.method == "sampled"
    assert not found.attribution.exact and len(arms) < 2**5
    half = math.log(0.8) / 2
    shares = {one.arm: one for one in found.parts}
    for part in "ab":
        assert shares[part].low < half < shares[part].high < 0
        assert shares[part].verdict == "helps"
    assert all(abs(shares[part].effect) < 0.02 for part in "cde")
    assert found.attribution.remainder.effect == pytest.approx(0, abs=1e-12)
    total = sum(one.share.effect for one in found.attribution.shares.values())
    assert total == pytest.approx(found.attribution.full.effect)
    assert any("12 sampled orders" in line for line in study_notes(found))


def test_parts_that_add_up_are_judged() -> None:
    with_a = ["a", "a_b_c", "a_b_d", "a_c_d", "a_b_c_d"]
    study, rows = parts_study(noise=0.001, **dict.fromkeys(with_a, 0.8))
    found = judged(study, rows)
    assert found.attribution is not None and found.attribution.small_remainder
    assert {one.arm: one.verdict for one in found.parts}["a"] == "helps"


def test_declared_looks_lower_the_level_and_stand_in_the_sentence() -> None:
    study = replace(study_of("stock", ARMS[:2], []), looks=[6, 9, 12, 18])
    found = judged(study, rows_of(study, SCORES))
    assert (study.look, study.level) == (1, pytest.approx(0.0178, abs=3e-4))
    assert found.verdicts[0].level == study.level
    assert "98.2% interval" in found.sentence and "6 seeds, look 1 of 4" in found.sentence


def test_undeclared_looks_cost_level_and_say_so() -> None:
    study = replace(study_of("stock", ARMS[:2], []), looks=[6, 9], undeclared=[7])
    found = judged(study, rows_of(study, SCORES))
    assert found.verdicts[0].level == study.level < look_level((6, 9))
    assert "look 2, not declared" in found.sentence
    assert "looked at before with 7 seeds, which no plan declared" in " ".join(study_notes(found))


def test_a_reference_is_tested_like_the_primary_question() -> None:
    study = study_of("stock", ARMS[:2], [])
    found = judged(study, rows_of(study, SCORES))
    against = found.against_references["persistence"]
    assert against.over == "seeds and units" and against.verdict == "helps"
    assert study.shown(against.effect) == pytest.approx(-20, abs=1)


def test_what_a_run_says_of_a_part_of_itself_is_no_reference() -> None:
    study = study_of("sentiment", [Arm("base", []), Arm("good", [])], [])
    rows = rows_of(study, {"base": 0.8, "good": 0.9})
    beside = {"test/lstm/accuracy": 0.7, "test/linear/accuracy": 0.75}
    rows = [replace(row, metrics={**row.metrics, **beside}) for row in rows]
    assert set(judged(study, rows).references) == {"linear"}


def test_an_arm_that_fails_on_one_seed_is_the_finding() -> None:
    study = study_of("stock", ARMS[:2], [], seeds=12)
    rows = [
        replace(one, metrics=one.metrics | {study.metric: 5.0}) if one.key == "base 7 0" else one
        for one in rows_of(study, SCORES, noise=0.01)
    ]
    found = judged(study, rows)
    assert found.reliability["base"].collapsed == 1 and found.verdicts[0].collapsed == 1
    assert "base in 1 of 12 seeds" in found.sentence and "that of the other seeds" in found.sentence
