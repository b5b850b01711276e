"""The studies of docs/results/studies.md under today's rules, from the scores on their pages.

python bench/judge_again.py [pages=docs/results/studies] [out=docs/results/judged-again.md]

A page holds the score of every seed, baseline and full recipe, with four digits, but not the
forecasts of every date: these verdicts are over seeds only. `python bench/study_results.py` trains
and judges over seeds and test data together.
"""

import html
import re
import sys
from pathlib import Path

import numpy as np

from upgate.cli.arguments import read_options
from upgate.stats.looks import LOOKS, look_level
from upgate.stats.paired import differences
from upgate.stats.reliability import Reliability, either_collapsed, reliability
from upgate.stats.verdict import Verdict, verdict

STUDIES = {  # page -> the scale of its effects, the smallest of interest, the better direction
    "volatility": ("log", 0.01, "lower"),
    "volatility-parts-fold": ("log", 0.01, "lower"),
    "return": ("log", 0.01, "lower"),
    "level": ("log", 0.01, "lower"),
    "sst2": ("plain", 0.01, "higher"),
    "chnsenticorp": ("plain", 0.01, "higher"),
    "imdb": ("plain", 0.003, "higher"),
}
OLD = r"upgraded (helps|hurts|is equivalent|is undecided)"
BOTH = r"upgraded: seeds and dates\|[^|]*\|[^|]*\|([^|]*)\|"
HEAD = """# The studies judged again

Made by `python bench/judge_again.py` from the seeds' scores that the pages of
[studies.md](studies.md) show; the runs themselves were not kept. Old: the verdict of that time, at
5%, on seeds alone. New: today's, at p {level:.4f}, the first of the looks at 6, 9, 12 and 18 seeds,
over seeds only, for the pages do not hold what every test date or item says. Beside it the p over
seeds and dates together, where the page has it. A part is judged only where the primary question
is decided and the remainder is small: where this table says *undecided*, no part of that study
keeps its verdict.

- *volatility*: p .023 over seeds, .041 over seeds and dates, are not enough for a first look of
  four. A study that declares one look (`study.looks=[6]`) would have it, at 5%.
- *return*: equivalent needs 12 seeds.
- *chnsenticorp*, *imdb*, *volatility-parts-fold*: the baseline fails on one seed of six. That is
  the finding; the effect is that of the other seeds.

| study | old | new | effect [{confidence:.1f}%] | p | dates too | fails | variance, p | better |
|---|---|---|--:|--:|--:|--:|--:|--:|"""
NOTE = """
fails: seeds of the baseline, and of the upgraded recipe, that collapsed. variance: the baseline's
over seeds divided by the upgraded recipe's, with Pitman and Morgan's p. better: P(better on one new
seed), the share of seeds.
"""


def text_of(page: Path) -> str:
    """A page's text, its elements separated by |."""
    source = re.sub(r"(?s)<(style|script|svg).*?</\1>", "", page.read_text(encoding="utf-8"))
    text = html.unescape(re.sub(r"<[^>]+>", "|", source))
    return re.sub(r"[|\s]*\|[|\s]*", "|", text)


def scores(text: str) -> np.ndarray:
    """Baseline and upgraded by seed, (2, seeds)."""
    table = text[text.index("|seed|traditional|upgraded|difference|") :]
    rows = re.findall(r"\|\d+\|([\d.]+)\|([\d.]+)\|[+\u2212][\d.]+%?(?=\|)", table)
    return np.array(rows, float).T


def row(name: str, text: str, level: float) -> str:
    scale, smallest, better = STUDIES[name]
    base, arm = np.log(scores(text)) if scale == "log" else scores(text)
    margin = np.log1p(smallest) if scale == "log" else smallest
    failed = either_collapsed(arm, base, better, margin)
    one = verdict(differences(arm, base), margin, level, better, collapsed=failed)
    second = [reliability(x, base, better, margin=margin) for x in (base, arm)]
    old = re.search(OLD, text)
    both = re.search(BOTH, text)
    return (
        f"| {name} | {old[1].removeprefix('is ') if old else ''} | {one.label} |"
        f" {effect(one, scale)} | {one.p:.3f} | {both[1] if both else ''} | {fails(second)} |"
        f" {variance(second[1])} | {second[1].better.effect:.0%} |"
    )


def effect(one: Verdict, scale: str) -> str:
    values = np.array([one.effect, one.low, one.high])
    shown = 100 * (np.expm1(values) if scale == "log" else values)
    unit = "%" if scale == "log" else " points"
    if not np.isfinite(values).all():  # six ranks allow no interval at this level
        return f"{shown[0]:+.2f}{unit} (of the other seeds)"
    return f"{shown[0]:+.2f}{unit} [{shown[1]:+.2f}, {shown[2]:+.2f}]"


def fails(second: list[Reliability]) -> str:
    return ", ".join(f"{one.collapsed} of {one.n}" for one in second)


def variance(one: Reliability) -> str:
    return f"{one.variance_ratio:.3g}, {one.variance_p:.3f}"


def main(words: list[str]) -> None:
    options = read_options(
        {"pages": "docs/results/studies", "out": "docs/results/judged-again.md"}, words
    )
    level = look_level(LOOKS)
    head = HEAD.format(level=level, confidence=100 * (1 - level))
    pages = {name: text_of(Path(options["pages"]) / f"{name}.html") for name in STUDIES}
    rows = [row(name, text, level) for name, text in pages.items()]
    Path(options["out"]).write_text("\n".join([head, *rows, NOTE]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
