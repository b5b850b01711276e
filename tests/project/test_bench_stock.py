"""The scripts behind docs/results: a fair search, commands that compose, rates as published, tables
as said.
"""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.project import REPO, script

TARGETS = ("return", "level", "volatility")


def test_every_optimizer_has_as_many_rates_equally_far_apart() -> None:
    rates = script("learning_rates")["RATES"]
    assert {len(tried) for tried in rates.values()} == {7}
    for tried in rates.values():
        assert tried[-1] / tried[0] == pytest.approx(1000)
        assert all(2.9 < b / a < 3.4 for a, b in pairwise(tried))


def test_the_best_its_ties_and_an_edge_are_told() -> None:
    bench = script("learning_rates")
    inner = {
        0.1: np.array([0.1, 0.2]),
        0.2: np.array([0.0, 0.1]),
        0.3: np.array([-0.1, 0.3]),
        1.0: np.array([np.inf, np.inf]),
    }
    assert bench["best"](inner) == 0.2 and not bench["at_edge"](inner)
    assert bench["at_edge"]({rate: scores for rate, scores in inner.items() if rate > 0.1})
    assert bench["as_good"](inner) == ["0.3"]  # 0.1 is worse by 0.1 in every run
    assert (
        bench["row"]("sgd", inner)
        == "| sgd | 0.1: 1.1618 | 0.2: **1.0513** | 0.3: 1.1052 | 1: inf |"
    )


@pytest.mark.parametrize("target", TARGETS)
def test_the_tuned_rates_are_the_best_of_the_published_table(target: str) -> None:
    text = (REPO / "docs/results/learning-rates.md").read_text(encoding="utf-8")
    published = re.findall(rf"^### {target}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    bold = r"^\| (\w+) \|.*?([\d.e-]+): \*\*"
    found = re.findall(bold, "\n".join(published), re.MULTILINE)
    best = {name: float(rate) for name, rate in found}
    stock = yaml.safe_load((REPO / "conf/task/stock.yaml").read_text(encoding="utf-8"))
    tuned = stock["tuned_rates"]["none"]
    every = {"sgd", "rmsprop", "adam", "adamw"} if target != "volatility" else set(best)
    assert set(tuned[target]) == every <= set(best)
    share = 1 if target == "volatility" else 0.1  # of the usual rate, beside the skip: skip.md
    beside_skip = stock["tuned_rates"]["reference"][target]
    assert beside_skip == pytest.approx(
        {name: share * rate for name, rate in tuned[target].items()}
    )
    within = published[0].partition("Within two standard errors of the best: ")[2]
    paragraph = within.partition("\n\n")[0]
    near = " ".join(paragraph.split()).rstrip(".")
    alike = {words.split()[0]: set(map(float, words.split()[1:])) for words in near.split("; ")}
    for name, rate in tuned[target].items():
        assert rate == best[name] or (
            target == "return" and rate in alike[name]
        )  # nothing on `return` is told apart from noise


@pytest.mark.parametrize("target", TARGETS)
def test_every_set_composes_with_the_tuned_rates(target: str) -> None:
    bench = script("stock_results")
    for stocks in bench["SETS"].values():
        whole = bench["config"].compose(bench["command"](stocks, target, "somewhere"))
        assert (
            whole["task"]["target"] == target
            and whole["data"].get("path", "somewhere/") == f"somewhere/{stocks.file}"
        )
        assert whole["optimizer"]["lr"] == whole["tuned"]["adamw"]


def test_a_file_is_read_or_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = pd.bdate_range("2020-01-01", periods=3).strftime("%Y-%m-%d")
    rows = [f"{day},10,11,9,10.5,100" for day in days]
    head = "Date,Open,High,Low,Close,Volume"
    (tmp_path / "good.csv").write_text("\n".join([head, *rows]))
    (tmp_path / "impossible.csv").write_text("\n".join([head, *rows, "2020-02-03,10,9,8,9,100"]))
    (tmp_path / "reviews.csv").write_text("label,text\n1,good\n")
    script("raw_files")["main"]([f"data={tmp_path}"])
    good, impossible, reviews = (
        line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]
    )
    assert good[1:3] == ["3 rows", ""]
    assert (
        impossible[1].startswith("refused: impossible.csv, row 5")
        and impossible[2] == "3 rows; dropped: 1 impossible bar"
    )
    assert (
        reviews[1].startswith("refused: reviews.csv is no table of daily prices")
        and reviews[2] == ""
    )
