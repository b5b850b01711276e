"""Equal wall time: epochs by what a step costs, the same ones when the command comes again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.report import Tables, result
from helpers.study import results, study, tiny
from upgate import cli
from upgate.files import write_text
from upgate.report.study import study_page as page
from upgate.serialization import from_json
from upgate.store.store import Store
from upgate.study.load import analyze_stored, load_study
from upgate.study.result import Cost, Study, Wall

WORDS = [
    "study=pair",
    "study.budget=wall",
    "study.seeds=1",
    "study.aa=false",
    "study.zero=false",
    "trainer.max_epochs=4",
]


def keep_ratio(root: Path, ratio: float) -> None:
    """As if the upgraded recipe's step had taken so many times as long as the baseline's when it
    was measured.
    """
    for path in (root / "studies" / "wall").glob("*.json"):
        kept = json.loads(path.read_text())
        if len(set(kept["recipes"])) == 2:
            write_text(path, json.dumps(kept | {"ratio": ratio}))


def test_epochs_are_measured_once_and_named_and_the_same_command_keeps_them(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    code, said = study(root, *WORDS, yes=False)
    kept = sorted((root / "studies" / "wall").glob("*.json"))
    assert code == 0 and len(kept) == 2 and not (root / "mlflow.db").exists()
    assert all(
        0.1 < json.loads(path.read_text())["ratio"] < 10
        and json.loads(path.read_text())["seconds"] > 0
        for path in kept
    )
    keep_ratio(root, 2.2)
    code, said = study(root, *WORDS)
    assert (
        code == 0
        and "equal wall time: about" in said
        and "a step takes 1.00, 2.20 of the baseline's" in said
    )
    found = analyze_stored(Store(root), load_study(Store(root), "latest"))
    assert [arm.name for arm in found.study.arms] == [
        "traditional (4 epochs)",
        "upgraded (2 epochs)",
    ]
    assert found.study.wall is not None and found.study.wall.epochs == {
        "traditional (4 epochs)": 4,
        "upgraded (2 epochs)": 2,
    }
    assert (
        found.cost["traditional (4 epochs)"].epochs == 4
        and found.cost["upgraded (2 epochs)"].epochs <= 2
    )
    assert (
        "trainer.max_epochs=2" in found.study.arms[1].overrides
        and found.study.frozen["budget"]["max_epochs"] == "by recipe"
    )
    assert from_json(Study, found.study.json()) == found.study
    code, said = study(root, *WORDS)
    assert code == 0 and "of which 2 are done and 0 to do" in said and len(results(root)) == 1


@pytest.mark.long
def test_where_all_get_the_same_it_is_the_study_of_equal_steps(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    steps = [word for word in WORDS if word != "study.budget=wall"]
    assert study(root, *steps)[0] == 0
    (name,) = results(root)
    study(root, *WORDS, yes=False)
    keep_ratio(root, 1.05)
    code, said = study(root, *WORDS)
    assert (
        code == 0
        and "every recipe gets the same 4 epochs" in said
        and "of which 2 are done and 0 to do" in said
    )
    assert list(results(root)) == [name]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["study.budget=time"], "study.budget=time is not a choice; there is steps, wall"),
        (["trainer.max_steps=9"], "study.budget=wall hands out whole epochs"),
        (
            ["trainer.max_epochs=-1", "trainer.max_steps=9"],
            "study.budget=wall hands out whole epochs",
        ),
    ],
)
def test_a_budget_without_epochs_is_refused(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = [] if "study.budget" in words[0] else ["study.budget=wall"]
    assert cli.main(["study", *tiny(tmp_path / "runs", *budget, *words)]) == 2
    assert told in capsys.readouterr().err


def test_the_report_says_what_was_equal_and_how_to_ask_for_the_other() -> None:
    made = result(design="pair")
    cost = {
        name: Cost(10.0, 1.0, step, 100.0, 4.0)
        for name, step in (("traditional", 0.01), ("upgraded", 0.0103))
    }
    assert "times differ by less than 5%" in page(replace(made, cost=cost), Tables())
    html = page(made, Tables())  # a step of upgraded takes 8% longer there
    assert "a step of upgraded takes 1.083 times" in html.replace("1.08 ", "1.083 ")
    assert "upgate study --yes study=pair task=stock study.budget=wall" in html
    wall = Wall({"traditional": 4, "upgraded": 3}, {"traditional": 1.0, "upgraded": 1.3}, 12.5)
    for language, heading in (("en", "seconds allowed"), ("zh", "允许秒数")):
        html = page(
            replace(made, cost=cost, study=replace(made.study, wall=wall)), Tables(), language
        )
        assert heading in html and ">12.5<" in html and "study.budget=wall" not in html
    same = replace(wall, epochs={"traditional": 4, "upgraded": 4})
    assert "gave all recipes the same number of epochs" in page(
        replace(made, study=replace(made.study, wall=same)), Tables()
    )
