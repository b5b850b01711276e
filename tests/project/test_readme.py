"""Every command of the README is run, in its order, in one folder: what a reader copies works.

`make -n` says what a line calls; that is then run in this process with a small budget and little
data.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers.commands import NOT_RUN, called, shrunk
from helpers.project import REPO, needs_make
from upgate import cli
from upgate.config.compose import PARTS, choices

READMES = ("README.md", "README.zh-CN.md")

pytestmark = [
    pytest.mark.pictures,
    needs_make,
    pytest.mark.skipif(not (REPO / "README.md").exists(), reason="no README.md: not a checkout"),
]


def fences(readme: str) -> list[tuple[str, list[str]]]:
    """Each fenced block: its language and its lines."""
    text = (REPO / readme).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        (language, [line for line in block.splitlines() if line.strip()])
        for language, block in found
    ]


def commands(readme: str) -> list[str]:
    lines = [line for language, block in fences(readme) if language == "bash" for line in block]
    return [line for line in lines if not line.startswith("#")]


def supply(words: list[str], folder: Path) -> None:
    """Write the reader's own file that the words name: real prices, scores of runs, or
    a few texts and their labels.
    """
    for name in (word.partition("=")[2] for word in words if word.startswith("data.path=")):
        if "price" in name:
            spec = find_spec("arch")
            assert spec is not None and spec.origin is not None
            source = Path(spec.origin).parent / "data" / "sp500" / "sp500.csv.gz"
            (folder / name).write_bytes(
                source.read_bytes()
            )  # gzipped or not is seen by its content
        elif "runs" in name:
            rows = [
                f"{model},{seed},{0.8 + seed % 4 / 50 + seed % 3 / 500 + better}"
                for model, better in (("lstm", 0.0), ("gru", 0.02))
                for seed in range(6)
            ]
            (folder / name).write_text("\n".join(["model,seed,accuracy", *rows]), encoding="utf-8")
        else:
            films = [
                (f"a {word} film, part {i}", label)
                for i in range(60)
                for word, label in (("fine", "pos"), ("dull", "neg"))
            ]
            (folder / name).write_text(
                "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in films),
                encoding="utf-8",
            )


MANY_RUNS = ("study=parts", "experiment=article", "search=sobol")


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
def test_every_command_of_the_readme_works(
    whole: bool, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those of many runs make their plan alone, unless the whole is asked for."""
    lines = commands("README.md")
    assert len(lines) > 5 and any(line.startswith("make predict") for line in lines)
    assert all(any(word in line for line in lines) for word in MANY_RUNS)
    for line in lines:
        words = called(line, folder)
        supply(words, folder)
        if not whole and any(word in MANY_RUNS for word in words):
            words.remove("--yes")
        if words:
            code = cli.main(shrunk(words))
            out, err = capfd.readouterr()
            assert code == 0 and out.strip(), f"{line}: exit code {code}\n{out}\n{err}"


@pytest.mark.parametrize("readme", READMES)
def test_commands_stand_in_bash_blocks_only(readme: str) -> None:
    assert {language for language, _ in fences(readme)} <= {"bash", ""}
    assert not [
        line
        for language, block in fences(readme)
        if not language
        for line in block
        if re.match(r"\$|make |upgate ", line)
    ]


def test_the_readmes_have_the_same_blocks() -> None:
    first, second = (fences(readme) for readme in READMES)
    assert [block for language, block in first if language == "bash"] == [
        block for language, block in second if language == "bash"
    ]
    assert [language for language, _ in first] == [language for language, _ in second]


@pytest.mark.parametrize("readme", READMES)
def test_links_and_pictures_are_there(readme: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (REPO / readme).read_text(encoding="utf-8"))
    assert links and not [
        link for link in links if "://" not in link and not (REPO / link).exists()
    ]


def test_targets_that_are_not_run_are_targets() -> None:
    targets = re.findall(
        r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(NOT_RUN) <= set(targets)
    assert all(
        line.split()[1] in targets for line in commands("README.md") if line.startswith("make ")
    )


@pytest.mark.parametrize("readme", READMES)
@pytest.mark.parametrize("group", PARTS)
def test_the_table_of_choices_is_whole(readme: str, group: str) -> None:
    (row,) = re.findall(
        rf"^\| `{group}` \| (.*) \|$", (REPO / readme).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert (
        set(choices(group)) <= set(re.findall(r"`(\w+)`", row)) <= {*choices(group), "forget_bias"}
    )
