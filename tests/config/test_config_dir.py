"""config: a folder of the user's own choices, laid out as conf/."""

import re
from pathlib import Path

import pytest

from helpers.config import refusal
from upgate.config.compose import choices, compose, groups
from upgate.config.words import expand
from upgate.errors import UserError


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's own, laid out as conf/, in a path with blanks, Chinese, a comma and a
    quote.
    """
    folder = tmp_path / "我的 it's, choices (1)"
    (folder / "optimizer").mkdir(parents=True)
    (folder / "optimizer" / "lynx.yaml").write_text("name: lynx\nlr: 1e-4\nbeta: 0.9\n")
    return folder


def test_an_own_choice_composes_beside_the_shipped_ones(mine: Path) -> None:
    extra = str(mine)
    assert choices("optimizer", extra) == sorted([*choices("optimizer"), "lynx"])
    words = ["optimizer=lynx", "optimizer.beta=0.8", "clip=value"]
    assert compose(words, extra)["optimizer"] == {"name": "lynx", "lr": 1e-4, "beta": 0.8}
    assert ["optimizer=lynx"] in expand(["optimizer=glob(*)"], True, extra)
    assert "optimizer=lynx" in refusal("optimizer=lynx")
    assert "did you mean 'lynx'?" in refusal("optimizer=lnyx", extra=extra)
    assert "beta belongs to optimizer=lynx" in refusal("optimizer.beta=0.8", extra=extra)


def test_an_explicit_rate_wins_over_the_tasks_tuned_one(mine: Path) -> None:
    (mine / "task").mkdir()
    text = "# @package _global_\ntask:\n  name: own\n  target: return\ntuned:\n  sgd: 0.25\n"
    (mine / "task" / "own.yaml").write_text(text)

    def lr(*words: str) -> float:
        return float(compose(["task=own", *words], str(mine))["optimizer"]["lr"])

    shipped = 0.001  # the choice's own, where the task has none
    assert (lr("optimizer=sgd"), lr("recipe=traditional"), lr("optimizer=adam")) == (
        0.25,
        0.25,
        shipped,
    )
    assert lr("optimizer=sgd", "optimizer.lr=0.5") == lr("optimizer.lr=0.5", "optimizer=sgd") == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "name: [",
        "name: a\n\tb: 1",
        "",
        "[1, 2]",
        "lr: 1\n",
        "name: {a: 1}\n",
        "defaults:\n  - nowhere\nname: x\n",
        "defaults: 3\nname: x\n",
        "name: x\nlr: ${x\n",
        "defaults:\n  - broken\nname: x\n",
    ],
)
def test_a_broken_yaml_is_one_sentence(mine: Path, text: str) -> None:
    (mine / "optimizer" / "broken.yaml").write_text(text)
    assert "optimizer" in refusal("optimizer=broken", extra=str(mine))
    assert compose(["optimizer=lynx"], str(mine))["optimizer"]["name"] == "lynx"


def test_a_folder_that_is_not_there_and_a_name_that_is_taken(mine: Path) -> None:
    assert "not a folder" in refusal(extra=str(mine / "none"))
    (mine / "optimizer" / "adam.yaml").write_text("name: adam\n")
    assert "adam.yaml" in refusal("optimizer=adam", extra=str(mine)) and "rename" in refusal(
        "seed=1", extra=str(mine)
    )


@pytest.mark.parametrize(
    "words", [[], ["optimizer=lynx"], ["optimzer=lynx"], ["schedule.wramup=1"]]
)
def test_a_folder_that_is_no_group_is_told_whatever_was_asked(mine: Path, words: list[str]) -> None:
    (mine / "optimzer").mkdir()
    (mine / "optimzer" / "lynx.yaml").write_text("name: lynx\n")
    assert refusal(*words, extra=str(mine)).endswith(
        "optimzer is not a group, so nothing would use its choices, did you mean 'optimizer'?"
    )
    (mine / "optimzer").rename(mine / ".hidden")
    assert "lynx" in choices("optimizer", str(mine)) and "optimzer" not in groups()


def test_trainer_values_in_a_yaml_of_ones_own_are_checked_too(mine: Path) -> None:
    (mine / "task").mkdir()
    wrong = {
        "trainer: {max_epochs: -3}": "trainer.max_epochs=-3 must be 1 or more",
        "trainer: {max_epoch: 3}": "unknown key trainer.max_epoch, did you mean 'max_epochs'?",
        "trainer: {logger: true}": "trainer.logger cannot be given",
        "trainer: 3": "trainer",
    }
    for i, (text, told) in enumerate(wrong.items()):
        (mine / "task" / f"own{i}.yaml").write_text(
            f"# @package _global_\ntask:\n  name: own\n{text}\n"
        )
        assert told in refusal(f"task=own{i}", extra=str(mine))


@pytest.mark.parametrize(
    ("word", "key"),
    [("search.batch_size=[1,2]", "batch_size"), ("optimizer.search.lr=[1,2]", "optimizer.lr")],
)
def test_a_range_that_nothing_would_read_is_refused(word: str, key: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"a range is for upgate tune alone; give it as tune\.space\.{re.escape(key)}=",
    ):
        compose(["task=stock", word])
