"""docs/python.md: every block is run, in its order, with a small budget; both languages agree."""

import re
import shlex
import warnings
from pathlib import Path

import mlflow
import pandas as pd
import pytest

import upgate
from helpers.project import REPO
from upgate.cli.entry import main
from upgate.data.prices.sources import load_sp500

PAGES = [REPO / "docs" / name for name in ("python.md", "python.zh-CN.md")]
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALLER = {
    '"max_epochs": 10': '"max_epochs": 1, "limit_train_batches": 4, "accelerator": "cpu"',
    "seeds=6,": 'seeds=1, options={"aa": False, "zero": False, "rates": "given"},',
    "trials=4,": "trials=2,",
    'options={"only"': 'options={"folds": 1, "top": 0, "only"',
    '"target": "volatility", "window": 20}': '"target": "volatility", "window": 5}, threads=1',
}
pytestmark = pytest.mark.skipif(not PAGES[0].exists(), reason="no docs: not a checkout")


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    prices = load_sp500(start="2016").table.drop(columns="ticker")
    prices.to_csv("my_prices.csv", index=False)
    names: dict[str, object] = {}
    try:
        for language, block in BLOCK.findall(PAGES[0].read_text(encoding="utf-8")):
            for usual, small in SMALLER.items():
                block = block.replace(usual, small)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Lightning's and MLflow's advice
                run_block(language, block, names)
    finally:
        mlflow.set_tracking_uri("")  # the page's last block sets it, for the whole process
    told = upgate.predict(prices.set_index("date"), run="latest")
    pd.testing.assert_frame_equal(names["forecast"], told)
    forecasts, verdicts = names["forecasts"], names["answer"].verdicts  # type: ignore[attr-defined]
    assert isinstance(forecasts, pd.DataFrame) and len(verdicts) == 2
    assert (tmp_path / "report.html").stat().st_size > 1000


def run_block(language: str, block: str, names: dict[str, object]) -> None:
    """Run Python with these names, or commands of `upgate`, a line each."""
    if language == "python":
        exec(block, names)
        return
    for line in block.splitlines():
        assert main(shlex.split(line)[1:]) == 0


def test_both_languages_have_the_same_blocks_and_links() -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    assert BLOCK.findall(pages[0]) == BLOCK.findall(pages[1])
    links = [re.findall(r"\]\(([^)#\s]+)", page) for page in pages]
    assert links[0][1:] == links[1][1:] and links[0]
    assert all((PAGES[0].parent / link).exists() for link in [*links[0], *links[1]])
