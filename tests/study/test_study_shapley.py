"""study.shapley: the recipes of sampled orders are trained, and the shares are Shapley values."""

from pathlib import Path

import pytest

from helpers.report import Tables
from helpers.study import results, study, tiny
from upgate.errors import UserError
from upgate.report.study import study_page
from upgate.run.datasets import Datasets
from upgate.stats.shapley import prefixes
from upgate.store.store import Store
from upgate.study.load import analyze_stored, load_study
from upgate.study.plan import plan_study

PARTS = ["study=parts", "recipe=traditional", "optimizer=adam", "clip=norm", "init=he"]
WORDS = [*PARTS, "schedule=cosine", "data.start=2016", "study.seeds=2"]


@pytest.mark.long
def test_the_recipes_of_the_orders_are_trained_and_shared_out(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    words = [*WORDS, "study.shapley=4", "study.aa=false", "study.zero=false"]
    code, said = study(root, *words, width=120)
    assert code == 0
    found = load_study(Store(root), "latest")
    result = analyze_stored(Store(root), found)
    have = {frozenset(arm.on) for arm in found.arms}
    passed = [{found.parts[i] for i in one} for one in prefixes(found.part_orders)]
    assert len(found.orders) == 4 and all(frozenset(one) in have for one in passed)
    assert 10 < len(found.arms) < 16 and "4 orders of the parts" in said
    assert result.attribution is not None and result.attribution.method == "sampled"
    total = sum(share.share.effect for share in result.attribution.shares.values())
    assert total == pytest.approx(result.attribution.full.effect, abs=1e-9)
    assert "remainder" not in said and "4 sampled orders" in said
    assert "sampled orders" in study_page(result, Tables(), "en")
    assert len(results(root)) == 1


def test_more_orders_go_on_from_fewer(tmp_path: Path) -> None:
    fewer, more = (
        plan_study(tiny(tmp_path / "runs", *WORDS, f"study.shapley={n}"), None, Datasets())
        for n in (4, 6)
    )
    plain = plan_study(tiny(tmp_path / "runs", *WORDS), None, Datasets())
    keys = [set(one.arm_of) for one in (plain, fewer, more)]
    assert keys[0] < keys[1] <= keys[2] and more.study.orders[:4] == fewer.study.orders
    assert len({plain.study.id, fewer.study.id, more.study.id}) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["study=parts", "study.shapley=3"], "study.shapley=3 must be an even number, 4 or more"),
        (["study=pair", "study.shapley=4"], "study.shapley=4 goes with study=parts"),
    ],
)
def test_wrong_words_are_one_sentence(words: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        plan_study(tiny(tmp_path / "runs", *words), None, Datasets())
