"""study.tune: every arm's parts are tuned on validation data first; model and batch size stay
alike, and the same command goes on.
"""

from pathlib import Path

import pytest

from helpers.study import results, study, tiny
from upgate.config import compose as config
from upgate.errors import UserError
from upgate.run.datasets import Datasets
from upgate.store.store import Store
from upgate.study.plan import plan_study

WORDS = ("study.seeds=2", "study.tune=2", "study.aa=false", "study.zero=false", "data.start=2016")


@pytest.mark.long
def test_arms_are_tuned_first_and_the_same_command_trains_nothing_again(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    code, said = study(root, *WORDS)
    assert code == 0 and "undecided" in said
    (found,) = results(root).values()
    runs = {row.run_id: row for row in Store(root).rows() if not row.is_parent}
    by_key = {row.key: row for row in runs.values()}
    for arm in found["study"]["arms"]:
        asked = config.compose(arm["words"])
        for key in found["study"]["keys"][arm["name"]].values():
            assert by_key[key].params["optimizer.lr"] == str(asked["optimizer"]["lr"])
    assert (
        len({row.params["batch_size"] for row in runs.values()}) == 1
    )  # what is no part is not tuned
    assert len({row.params["model.hidden_size"] for row in runs.values()}) == 1
    code, said = study(root, *WORDS)
    assert code == 0 and "0 to do" in said and len(results(root)) == 1
    assert {row.run_id for row in Store(root).rows() if not row.is_parent} == set(runs)


def test_unasked_nothing_is_tuned(tmp_path: Path) -> None:
    code, said = study(tmp_path / "runs", *WORDS, yes=False)
    assert code == 0 and "nothing was trained" in said and not (tmp_path / "runs").exists()


def test_a_plan_without_its_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study.tune=2 goes with a study of its own"):
        plan_study(tiny(tmp_path / "runs", *WORDS), None, Datasets())
