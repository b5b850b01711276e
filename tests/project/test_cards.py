"""Every choice has a card in docs/parts whose defaults and commands are true.

The screen's numbers reach it.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from helpers.commands import called, shrunk
from helpers.project import CARDS, REPO, needs_make, script
from upgate import cli
from upgate.config.compose import PARTS, REGULARIZATION, compose, conf_dir
from upgate.config.overrides import parse_overrides
from upgate.errors import UserError
from upgate.recipe.recipe import Recipe
from upgate.run import provenance
from upgate.run.resolve import check_recipe

CHOICES = sorted(
    (path.parent.name, path.stem) for group in PARTS for path in (conf_dir() / group).glob("*.yaml")
)
SECTIONS = ["Claim", "Equation", "Default", "When to use it", "What to watch", "Cost", "Measured"]
RUN = [  # of the commands, a sample over groups and tasks that is run whole
    ("clip", "agc"),
    ("layerwise", "cyclic"),
    ("layerwise", "gauss_seidel"),
    ("optimizer", "schedule_free"),
    ("regularization", "adversarial"),
    ("regularization", "weight_drop"),
]
TINY = (
    "data=reviews data.train=200 data.test=100 task.embedding=4 task.vocabulary=200 "
    "model.hidden_size=4 trainer.max_epochs=2"
)

pytestmark = [
    needs_make,
    pytest.mark.skipif(not CARDS.exists(), reason="no docs/parts: not a checkout"),
]


def card(group: str, name: str) -> str:
    return (CARDS / f"{group}-{name}.md").read_text(encoding="utf-8")


def command(group: str, name: str) -> str:
    blocks = re.findall(r"^```bash\n(.*?)\n```$", card(group, name), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1 and "\n" not in blocks[0], (
        f"{group}-{name}: one command in one bash block"
    )
    return str(blocks[0])


def test_each_choice_has_a_card_and_each_card_its_choice() -> None:
    there = {path.stem for path in CARDS.glob("*.md")} - {"README"}
    assert there == {f"{group}-{name}" for group, name in CHOICES}


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_a_card_has_its_sections_in_order_and_is_short(group: str, name: str) -> None:
    text = card(group, name)
    assert text.startswith(f"# {group}={name}\n")
    found = re.findall(r"^\*\*([\w ]+)\.\*\*(.*)$", text, re.MULTILINE)
    assert [title for title, _ in found] == SECTIONS
    assert all(body.strip() for _, body in found) and len(text.splitlines()) <= 30


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_the_defaults_of_a_card_are_those_of_its_yaml(group: str, name: str) -> None:
    """All of its knobs, as they can be typed; a rate that tasks tune has its fallback."""
    knobs: Any = OmegaConf.to_container(
        OmegaConf.load(conf_dir() / group / f"{name}.yaml"), resolve=True
    )
    prefix = f"{group}.{name}" if group == REGULARIZATION else group
    mine = knobs.get(name, {}) if group == REGULARIZATION else knobs
    wanted = {
        f"{prefix}.{key}": value for key, value in mine.items() if key not in ("name", "search")
    }
    line = re.search(r"^\*\*Default\.\*\* (.*)$", card(group, name), re.MULTILINE)
    assert line is not None
    first = re.match(rf"`({prefix}\.[^`]*)`\.", line[1])
    assert bool(first) == bool(wanted) and (wanted or "No knobs." in line[1])
    assert {o.key: o.value for o in parse_overrides(first[1].split() if first else [])} == wanted


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_the_command_of_a_card_composes_and_builds_its_choice(
    group: str, name: str, folder: Path
) -> None:
    train, *words = called(command(group, name), folder)
    recipe = check_recipe(compose(words))
    assert train == "train"
    assert (
        set(recipe[group]) == {name} - {"none"}
        if group == REGULARIZATION
        else recipe[group]["name"] == name
    )
    Recipe(recipe, seed=0)


@pytest.mark.long
def test_the_commands_of_cards_run(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for group, name in RUN:
        code = cli.main([*shrunk(called(command(group, name), folder)), "twin=false"])
        out, err = capfd.readouterr()
        assert code == 0 and out.strip(), f"{command(group, name)}: exit code {code}\n{out}\n{err}"


def test_cards_and_their_table_are_as_the_command_fills_them() -> None:
    pages = script("cards")["pages"](CARDS, REPO / "docs" / "results")
    assert [
        path.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text
    ] == [], "run python bench/cards.py"


def test_numbers_refusals_and_gaps_reach_the_card(tmp_path: Path) -> None:
    row = {
        "group": "clip",
        "name": "agc",
        "metric": "val/accuracy",
        "arm": "clip=agc",
        "against": "upgraded",
        "effect": 0.01234,
    }
    row |= {
        "se": 0.002,
        "seeds": 3,
        "engaged": "clipped_rows 0.3",
        "seconds_per_step_ratio": 1.054,
        "data": "abc",
        "code": "def",
    }
    (tmp_path / "screen-sentiment.json").write_text(json.dumps([row]), encoding="utf-8")
    refused = row | {
        "effect": None,
        "se": None,
        "seeds": 0,
        "engaged": "refused: it needs tokens",
        "seconds_per_step_ratio": None,
    }
    (tmp_path / "screen-stock.json").write_text(json.dumps([refused]), encoding="utf-8")
    cards = script("cards")
    found = cards["read"](tmp_path)
    once = cards["fill"](card("clip", "agc"), "clip", "agc", found)
    assert (
        "+0.0123 ± 0.0020 in accuracy" in once and "Data abc, code def." in once and "×1.05" in once
    )
    assert "not measured: refused: it needs tokens." in once
    assert cards["fill"](once, "clip", "agc", found) == once
    assert once.partition("**Measured.**")[0] == card("clip", "agc").partition("**Measured.**")[0]
    assert (
        cards["fill"](once, "clip", "agc", {}).count("not measured yet: `python bench/screen.py")
        == 2
    )


def test_cards_are_not_filled_from_code_that_nobody_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"group": "clip", "name": "agc", "seeds": 3, "code": ""}
    unmeasured = row | {"name": "norm", "seeds": 0}
    (tmp_path / "screen-stock.json").write_text(json.dumps([unmeasured, row]), encoding="utf-8")
    before = {path: path.read_bytes() for path in CARDS.glob("*.md")}
    with pytest.raises(SystemExit) as refused:
        script("cards")["main"]([f"cards={CARDS}", f"results={tmp_path}"])
    assert refused.value.code == 2 and before == {p: p.read_bytes() for p in CARDS.glob("*.md")}
    error = capsys.readouterr().err
    assert "screen-stock.json does not say which commit's code measured clip=agc" in error
    assert error.count("\n") == 1 and "(1 rows" in error


def test_a_screen_of_code_that_nobody_knows_trains_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "git_state", dict)
    with pytest.raises(SystemExit) as refused:
        script("screen")["main"]([f"root={tmp_path / 'runs'}", f"out={tmp_path}"])
    assert refused.value.code == 2 and list(tmp_path.iterdir()) == []
    error = capsys.readouterr().err
    assert "git cannot tell the commit of this code" in error and error.count("\n") == 1


def test_a_screen_does_not_write_runs_of_code_that_nobody_knows() -> None:
    screen = script("screen")
    c = screen["Contrast"]("clip", "agc", ("clip=agc",), ())
    known, unknown = (SimpleNamespace(parent=parent) for parent in ("a", "b"))
    commits = {"a": "1234567", "b": ""}
    assert screen["name_commits"](c, [(known, known)], commits) == "1234567"
    assert screen["name_commits"](c, [], commits) == ""
    with pytest.raises(UserError, match="does not say which commit's code trained clip=agc; "):
        screen["name_commits"](c, [(known, known), (unknown, known)], commits)


def chosen(words: tuple[str, ...], recipe: dict[str, Any]) -> dict[str, Any]:
    """Each group's choice once these words have changed the recipe; a set for regularization."""
    told = dict(word.split("=", 1) for word in words)
    names = {group: told.get(group, recipe[group].get("name")) for group in PARTS}
    several = (
        told[REGULARIZATION].strip("[]").split(",")
        if REGULARIZATION in told
        else recipe[REGULARIZATION]
    )
    return names | {REGULARIZATION: set(several) - {"none"}}


def test_the_screen_compares_recipes_that_differ_in_one_choice() -> None:
    contrast = script("screen")["contrast"]
    upgraded, traditional = (
        compose(["task=sentiment", f"recipe={name}"]) for name in ("upgraded", "traditional")
    )
    for group, name in CHOICES:
        c = contrast(group, name, upgraded, traditional)
        arm, base = chosen(c.arm, upgraded), chosen(c.base, upgraded)
        changed = [key for key in PARTS if arm[key] != base[key]]
        assert changed == [group] or (
            c.arm == c.base and (group, name) in {("layerwise", "joint"), ("averaging", "none")}
        )
        if group == REGULARIZATION:
            assert arm[group] - base[group] == {name} - {"none"} and (
                base[group] <= arm[group] or not arm[group]
            )
        else:
            assert arm[group] == name


def test_what_the_screen_puts_beside_a_choice_is_needed() -> None:
    for choice in script("screen")["NEEDS"]:
        assert refused("stock", choice) or refused("sentiment", choice), choice


def refused(task: str, choice: str) -> bool:
    """Whether a choice cannot stand in a task's upgraded recipe, with the task's model."""
    try:
        check_recipe(compose([f"task={task}", choice]))
    except UserError:
        return True
    return False


@pytest.mark.long
def test_the_screen_measures_resumes_and_keeps_other_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "git_state", lambda: {"sha": "c0ffee" * 6 + "beef"})
    screen = script("screen")
    screen["TASKS"]["sentiment"] = f"{TINY} trainer.accelerator=cpu cache={tmp_path / 'prepared'}"
    places = [f"root={tmp_path / 'runs'}", f"out={tmp_path}"]
    screen["main"](["task=sentiment", "groups=averaging", "seeds=0,1", *places])
    first = json.loads((tmp_path / "screen-sentiment.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in first] == ["ema", "none", "swa"]
    assert [row["code"] for row in first] == ["c0ffeec", "", "c0ffeec"]
    ema, none, _ = first
    assert (
        ema["seeds"] == 2
        and ema["against"] == "upgraded"
        and abs(ema["effect"]) <= 1
        and ema["se"] >= 0
    )
    assert (
        ema["seconds_per_step_ratio"] > 0
        and ema["data"]
        and none["effect"] is None
        and "null" in none["engaged"]
    )
    screen["main"](["task=sentiment", "groups=stopping", "seeds=0,1", *places])
    both = json.loads((tmp_path / "screen-sentiment.json").read_text(encoding="utf-8"))
    assert both[:3] == first and [row["name"] for row in both[3:]] == ["early", "none"]
    assert (
        both[3]["effect"] == -both[4]["effect"]
    )  # early against none is none against early, turned round
    table = (tmp_path / "screen-sentiment.md").read_text(encoding="utf-8")
    assert table.count("\n| ") == 1 + len(both) and "FAILED" not in capsys.readouterr().out
