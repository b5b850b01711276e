"""study.rates: where arms differ in what wants another rate, each arm's is searched first."""

from pathlib import Path

import pytest
from rich.console import Console

from helpers.report import Tables
from helpers.run import places, small
from helpers.study import results, study, tiny
from upgate.errors import UserError
from upgate.experiment.session import Session
from upgate.report.study import study_page
from upgate.run.datasets import Datasets
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.study.load import analyze_stored, load_study
from upgate.study.options import read_study_options
from upgate.study.plan import make_study_arms, plan_study
from upgate.study.rates import ArmRates, differing_groups, gives_rate, plan_arm_rates

WORDS = ["study.rates=auto", "study.seeds=1", "study.zero=false", "data.start=2016"]


def searched(root: Path, *words: str) -> ArmRates | None:
    """What the search of a study would be; nothing is trained."""
    more = [] if "data.start=2016" in words else ["data.start=2016"]
    overrides = small(*words, "trainer.max_epochs=1", *more, *places(root))
    options, rest = read_study_options(overrides)
    session = Session(Console(quiet=True), Datasets(), None)
    return plan_arm_rates(overrides, options, rest, session)


def runs(root: Path) -> dict[str, Row]:
    return {row.key: row for row in Store(root).rows() if not row.is_parent}


@pytest.mark.long
def test_every_arm_is_searched_alike_and_trained_at_its_rate(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    code, said = study(root, *WORDS, yes=False)
    assert code == 0 and "nothing was trained" in said and not root.exists()
    assert "the recipes differ in optimizer, schedule, init, regularization" in said
    code, said = study(root, *WORDS)
    assert code == 0
    (found,) = results(root).values()
    trials = [row for row in runs(root).values() if row.tags["upgate.role"] == "rate"]
    assert len(trials) in (10, 12, 14)  # one epoch: the short runs are the full ones
    assert {row.params["split.name"] for row in trials} == {"development"}
    asked = found["study"]
    assert set(asked["rates"]) == {"traditional", "upgraded"}
    for name, cells in asked["keys"].items():
        rate = asked["rates"]["upgraded" if name == "upgraded" else "traditional"]
        for key in cells.values():
            assert runs(root)[key].params["optimizer.lr"] == str(rate["rate"])
            assert '"trials"' in runs(root)[key].tags["upgate.rate_search"]
    before = set(runs(root))
    code, said = study(root, *WORDS, yes=False)
    assert code == 0 and "0 to do" in said and "at most" not in said
    assert set(runs(root)) == before and len(results(root)) == 1
    store = Store(root)
    stored = load_study(store, "latest")
    result = analyze_stored(store, stored)
    assert stored.rates["upgraded"].seed == 100
    html = study_page(result, Tables(), "zh")
    assert "学习率" in html and f"{stored.rates['upgraded'].rate:g}" in html


def test_given_rates_are_todays_study(tmp_path: Path) -> None:
    words = ["data.start=2016", "study.seeds=1"]
    plan = plan_study(tiny(tmp_path / "runs", *words), None, Datasets())
    bare = [one for one in tiny(tmp_path / "runs", *words) if one != "study.rates=given"]
    assert plan.study.id == plan_study(bare, None, Datasets()).study.id
    assert searched(tmp_path / "runs", *words, "study.rates=given") is None
    for arm in plan.study.arms:
        assert not any("optimizer.lr" in override for override in arm.overrides)


def test_a_study_that_is_stored_at_given_rates_goes_on_with_them(tmp_path: Path) -> None:
    root, words = tmp_path / "runs", ("data.start=2016", "study.seeds=1", "study.aa=false")
    code, _ = study(root, "study.rates=given", "study.zero=false", *words)
    assert code == 0 and searched(root, "study.zero=false", *words) is None
    assert searched(root, "study.zero=false", "study.rates=auto", *words) is not None
    assert searched(root, *words[:1], "study.seeds=2") is None  # the same with more seeds
    assert searched(root, *words[:1], "study.seeds=[5]") is not None


def test_arms_that_differ_in_nothing_that_matters_are_not_searched(tmp_path: Path) -> None:
    words = ["study=arms", "study.arms=upgraded, upgraded clip=none, upgraded optimizer.lr=0.01"]
    assert searched(tmp_path / "runs", *words) is None
    other = searched(tmp_path / "runs", "study=arms", "study.arms=upgraded, upgraded init=he")
    assert other is not None and other.differing == ["init"] and len(other.searched) == 2


@pytest.mark.parametrize(
    ("words", "names", "given"),
    [
        (["optimizer.lr=0.01"], ["traditional"], ["upgraded optimizer.lr=0.01"]),
        (
            ["study=arms", "study.arms=traditional optimizer.lr=0.2, upgraded"],
            ["upgraded"],
            ["traditional optimizer.lr=0.2"],
        ),
        (["study.rates=given", "optimizer.lr=auto"], ["upgraded optimizer.lr=auto"], []),
    ],
)
def test_who_writes_a_rate_has_chosen(
    words: list[str], names: list[str], given: list[str], tmp_path: Path
) -> None:
    found = searched(tmp_path / "runs", *words)
    assert found is not None
    assert [arm.name for arm in found.searched] == names and found.given == given
    assert {question.base.spec.seed for question in found.plan.questions} == {100}


def test_a_parts_study_searches_all_its_arms_and_knows_whose_rate_is_the_users() -> None:
    overrides = ["study=parts", "recipe=traditional", "optimizer=adam", "clip=norm"]
    overrides += ["optimizer.lr=0.005"]
    options, rest = read_study_options(overrides)
    arms = make_study_arms(options, rest, None)
    assert differing_groups(arms, None) == ["optimizer"]
    own = [arm.name for arm in arms if gives_rate(arm, options, rest)]
    assert own == [arm.name for arm in arms if "optimizer" in arm.on]


def test_a_plan_without_its_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"optimizer.lr=auto goes with a study of its own"):
        plan_study(tiny(tmp_path / "runs", "optimizer.lr=auto"), None, Datasets())
