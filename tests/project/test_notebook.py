"""docs/examples/article.ipynb: every cell is run, in its order, with a small budget."""

import json
import re
import warnings
from pathlib import Path

import pytest

from helpers.project import REPO

NOTEBOOK = REPO / "docs" / "examples" / "article.ipynb"
SMALLER = {
    '"max_epochs": 10': '"max_epochs": 1, "limit_train_batches": 4',
    'seeds=6, options={"rates": "given"}': (
        'seeds=1, options={"rates": "given", "aa": False, "zero": False}'
    ),
    'seeds=6,\n    options={"primary": "upgraded"}': (
        'seeds=1,\n    options={"primary": "upgraded", "aa": False, "zero": False}'
    ),
    "max_epochs=4": "max_epochs=1",
}
pytestmark = pytest.mark.skipif(not NOTEBOOK.exists(), reason="no docs: not a checkout")


def code_cells() -> list[dict]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)  # as in a notebook
    monkeypatch.setenv("FORCE_COLOR", "1")
    names: dict = {}
    done = set()
    for cell in code_cells():
        source = "".join(cell["source"])
        for usual, small in SMALLER.items():
            done |= {usual} if usual in source else set()
            source = source.replace(usual, small)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's advice; no window for the picture
            exec(source, names)
    assert done == set(SMALLER)
    assert "twin, traditional" in names["run"].printed and "\x1b" not in names["run"].printed
    (verdict,) = names["pair"].verdicts.to_dict("records")
    assert verdict["arm"] == "upgraded" and names["pair"].sentence
    assert names["runs"]["engagement/clipped_share"].between(0, 1).all()
    assert len(names["search"].cv_results_["params"]) == 4
    assert names["judged"].sentence.count("sgd, clip none") >= 1


def test_what_it_shows_was_run_from_top_to_bottom_without_an_error() -> None:
    cells = code_cells()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    shown = [output for cell in cells for output in cell["outputs"]]
    assert shown and not [one for one in shown if one["output_type"] == "error"]
    assert any("image/png" in one.get("data", {}) for one in shown)
    texts = [str(one.get("text", {**one.get("data", {}), "image/png": ""})) for one in shown]
    assert not [text for text in texts if re.search(r"(?<![\w<])/\w+/\w", text)]  # a place's paths
