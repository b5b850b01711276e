"""docs/hydra.md: its commands run, what it says is refused is refused, both languages agree."""

import re
import shlex
from pathlib import Path

import pytest

from helpers.project import REPO
from upgate import cli

PAGES = [REPO / "docs" / name for name in ("hydra.md", "hydra.zh-CN.md")]
REFUSED = {  # a word -> how the page names it
    "~optimizer": "`~optimizer`",
    "~optimizer.lr": "`~optimizer.lr`",
    "+seed=1": "`+key=value` of anything else",
    "hydra/sweeper=optuna": "`hydra/sweeper=upgate`",  # without -m, or not installed
    "hydra.run.dir=x": "`hydra.run.dir`",
    "hydra.sweep.dir=x": "`hydra.sweep.dir`",
    "hydra.searchpath=[x]": "`hydra.searchpath`",
    "hydra.job.chdir=true": "`hydra.job.*`",
    "hydra.verbose=true": "`hydra.verbose`",
    "experiment=article": "`experiment=article`",
}
pytestmark = pytest.mark.skipif(not PAGES[0].exists(), reason="no docs: not a checkout")


def test_its_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGES[0].read_text("utf-8"), re.M | re.S)
    for line in "".join(blocks).splitlines():
        assert cli.main(shlex.split(line)[1:]) == 0 and capsys.readouterr().out


@pytest.mark.parametrize("word", REFUSED)
def test_what_it_calls_refused_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert REFUSED[word] in PAGES[0].read_text("utf-8")
    assert cli.main(["train", word]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_both_languages_have_the_same_blocks_and_rows() -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    blocks = [re.findall(r"^```.*?^```$", page, re.M | re.S) for page in pages]
    rows = [len(re.findall(r"^\|", page, re.M)) for page in pages]
    assert blocks[0] == blocks[1] and rows[0] == rows[1]
    for page, text in zip(PAGES, pages, strict=True):
        links = re.findall(r"\]\(([^)#]+)\)", text)
        assert links and all((page.parent / link).exists() for link in links)
