"""Parts from outside the package: a Python file beside the yaml in the folder of --config-dir."""

import io
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import torch
from rich.console import Console

from helpers.config import refusal
from upgate.cli.check_part import check_part_command
from upgate.cli.entry import main
from upgate.config import extensions
from upgate.config.compose import choices, compose
from upgate.errors import UserError
from upgate.execution.worker import serve_request
from upgate.part_checks.loop import Loop, make_recipe
from upgate.recipe.recipe import Recipe
from upgate.run.resolve import check_recipe
from upgate.run.spec import NUMERICS

CODE = '''"""A clip of a user's own."""

from upgate.config.schema import Positive
from upgate.recipe.clip.base import Clip, shorten
from upgate.recipe.registry import register


@register("clip", "halved")
class Halved(Clip):
    needs_full_gradient = True

    def __init__(self, max_norm: Positive) -> None:
        self.max_norm = max_norm

    def __call__(self, params, norm):
        return shorten(params, norm, self.max_norm / 2)
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own, in a path with a blank; no other test sees it."""
    monkeypatch.setattr(extensions, "_folders", [])
    folder = tmp_path / "my parts"
    (folder / "clip").mkdir(parents=True)
    (folder / "clip" / "halved.yaml").write_text("name: halved\nmax_norm: 0.01\n")
    (folder / "clip" / "halved.py").write_text(CODE)
    return folder


def recipe_of(folder: Path, *overrides: str) -> dict:
    return check_recipe(compose(["recipe=traditional", "clip=halved", *overrides], str(folder)))


def test_a_part_from_outside_trains_as_one_of_the_package(mine: Path) -> None:
    outside = Loop(make_recipe("clip=halved", config_dir=str(mine)))
    inside = Loop(make_recipe("clip=norm", "clip.max_norm=0.005"))
    assert outside.steps(5) == inside.steps(5)
    assert outside.recipe.engagement() == inside.recipe.engagement()
    with pytest.raises(UserError, match=r"^clip\.max_norm=-1 must be above 0"):
        recipe_of(mine, "clip.max_norm=-1")
    with pytest.raises(UserError, match="before clip=halved could know the whole gradient's norm"):
        recipe_of(mine, "layerwise=independent")


def test_its_code_is_in_the_recipes_spec_and_no_others_is(mine: Path) -> None:
    recipe = recipe_of(mine)
    source = recipe["clip"]["source"]
    assert source == extensions.hash_code(mine / "clip" / "halved.py") and len(source) == 64
    assert [part for group, part in recipe.items() if "source" in part] == [recipe["clip"]]
    (mine / "clip" / "halved.py").write_text(CODE.replace("/ 2", "/ 4"))
    changed = recipe_of(mine)
    assert changed["clip"]["source"] != source
    quarter, half = Loop(changed), Loop(recipe)  # the older code is still at hand in this process
    assert quarter.steps(3) != half.steps(3)


def test_other_code_than_a_runs_is_refused(mine: Path) -> None:
    recipe = recipe_of(mine)
    wrong = recipe | {"clip": recipe["clip"] | {"source": "0" * 64}}
    with pytest.raises(UserError, match=r"halved\.py is other code .* than the run's \(0000"):
        Recipe(wrong, 0)
    extensions._folders.clear()
    with pytest.raises(UserError, match=r"give --config-dir DIR, the folder that holds clip/halv"):
        Recipe(wrong, 0)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0\n", "line 1 raises ZeroDivisionError when it is imported: division by zero"),
        ("\n\nimport nowhere_at_all\n", "line 3 raises ModuleNotFoundError"),
        ("def f(:\n", "line 1 raises SyntaxError"),
        ("", "registers nothing, not clip=halved"),
        (CODE.replace('"halved"', '"haved"'), "registers clip=haved, not clip=halved"),
        (CODE.replace('"halved"', '"norm"'), "clip=norm is registered twice"),
        (CODE.replace('"clip"', '"clop"'), "clop is not a group of parts"),
        (CODE + '\nregister("clip", "second")(Clip)\n', "registers clip=halved and clip=second"),
        (None, "has no part beside it; there is no"),
    ],
)
def test_a_file_that_gives_no_such_part_is_one_sentence(
    mine: Path, capsys: pytest.CaptureFixture[str], code: str | None, message: str
) -> None:
    path = mine / "clip" / "halved.py"
    path.unlink() if code is None else path.write_text(code)
    assert main(["check-part", "clip=halved", "--config-dir", str(mine)]) == 2
    output = capsys.readouterr()
    assert message in output.err and output.err.count("\n") == 1 and "Traceback" not in output.err
    assert Loop(make_recipe("clip=norm")).steps(1)  # nothing of it is left behind


def test_no_file_is_imported_that_no_choice_names(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("halved", "other", "helper"):
        (mine / "clip" / f"{name}.py").write_text("raise SystemExit('imported')\n")
    (mine / "clip" / "other.yaml").write_text("name: other\n")
    (mine / "sitecustomize.py").write_text("raise SystemExit('imported')\n")
    assert main(["train", "--choices", "--config-dir", str(mine)]) == 0
    assert "halved" in capsys.readouterr().out
    assert "other" in choices("clip", str(mine))
    check_recipe(compose(["clip=norm"], str(mine)))
    assert str(mine) not in sys.path


def test_the_configuration_carries_the_folder_to_a_worker(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(["clip=halved"], str(mine))
    assert config["config_dir"] == str(mine.resolve())
    assert "config_dir" not in compose(["clip=norm"])
    monkeypatch.setattr(extensions, "_folders", [])
    payload = {"job": {"spec": {"numerics": NUMERICS}, "config": config}}  # and nothing to train
    assert "traceback" in str(serve_request(payload))
    assert extensions._folders == [mine.resolve()]
    gone = {"job": {"spec": {"numerics": NUMERICS}, "config": {"config_dir": "nowhere"}}}
    assert "--config-dir nowhere is not a folder" in str(serve_request(gone))


def test_an_installed_package_is_a_folder_by_the_name_of_its_entry_point(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = mine.parent / "acme_parts"
    mine.rename(package)
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    installed = EntryPoints([EntryPoint("acme", "acme_parts", extensions.FOLDERS)])
    monkeypatch.setattr(extensions, "entry_points", lambda group: installed.select(group=group))
    monkeypatch.syspath_prepend(str(package.parent))
    recipe = check_recipe(compose(["recipe=traditional", "clip=halved"], "acme"))
    assert Loop(recipe).steps(1)
    assert "did you mean 'acme'?" in refusal("clip=halved", extra="acne")


def checked(folder: Path | None, choice: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=100)
    code = check_part_command([choice], None if folder is None else str(folder), console)
    return code, console.file.getvalue()  # type: ignore[attr-defined]


def test_check_part_finds_a_part_that_breaks_a_property(mine: Path) -> None:
    assert checked(mine, "clip=halved")[0] == 0
    draws = CODE.replace("return shorten", "norm = norm + torch.rand(())\n        return shorten")
    (mine / "clip" / "halved.py").write_text("import torch\n" + draws)
    code, text = checked(mine, "clip=halved")
    assert code == 1 and "it draws from the global generator" in text
    (mine / "clip" / "halved.py").write_text(CODE.replace("norm, self", "norm + self"))
    code, text = checked(mine, "clip=halved")
    assert code == 1 and "TypeError" in text
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "takes one choice"),
        (["clip"], "takes one choice"),
        (["clop=norm"], "clop is not a group of parts, did you mean 'clip'?"),
        (["clip=nrm"], "clip=nrm is not a choice, did you mean 'norm'?"),
    ],
)
def test_check_part_of_no_choice_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["check-part", *words]) == 2
    assert message in capsys.readouterr().err


def test_check_part_takes_a_choice_of_the_package_too() -> None:
    assert checked(None, "regularization=[l2]") == (0, checked(None, "regularization=l2")[1])
