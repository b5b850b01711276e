"""A study's result and its runs' tables, made up: what a page is drawn from, without training."""

import math
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from upgate.experiment.designs import Arm
from upgate.page.figure import RunTables
from upgate.stats.attribution import Share
from upgate.stats.estimate import Estimate, Interval
from upgate.stats.reliability import reliability
from upgate.study.result import (
    ArmVerdict,
    Attributed,
    Control,
    Cost,
    Interaction,
    Study,
    StudyResult,
)
from upgate.tasks.significance import Significance

EVIL = "<script>alert(1)</script>"
SEEDS, FOLDS, PARTS = list(range(6)), [0, 1], ["optimizer", "clip", "regularization", "init"]
WORDS = ["helps", "equivalent", "undecided", "hurts"]


def arms(task: str, design: str) -> list[Arm]:
    words = [f"task={task}", "data=sp500"]
    found = [
        Arm("traditional", [*words, "recipe=traditional"]),
        Arm("upgraded", [*words, "recipe=upgraded"], PARTS),
    ]
    if design == "parts":
        found[1:1] = [Arm(f"traditional + {part}", [*words, f"{part}=x"], [part]) for part in PARTS]
        found[5:5] = [
            Arm(f"upgraded - {part}", words, [p for p in PARTS if p != part]) for part in PARTS
        ]
    return found


def study(task: str, design: str = "parts", source: str = "S&P 500 (arch)") -> Study:
    stock = task == "stock"
    names = arms(task, design)
    frozen = {
        "task": {"name": task, "window": 20} | ({"target": "volatility"} if stock else {}),
        "split": {"name": "walk_forward", "folds": 2},
    }
    frozen |= {
        "model": {"name": "lstm", "hidden_size": 32},
        "budget": {"max_epochs": 12},
        "batch_size": 64,
        "precision": "32-true",
        "threads": 1,
    }
    return Study(
        id=f"{task}-{design}-1a2b3c4d",
        task=task,
        design=design,
        overrides=[f"study={design}", f"task={task}"],
        arms=names,
        parts=PARTS if design == "parts" else [],
        seeds=SEEDS,
        folds=FOLDS,
        keys={},
        aa=Arm("A/A: traditional again", []),
        aa_seeds=[6, 7, 8, 9, 10, 11],
        zero=Arm("zero: traditional layerwise=independent", ["layerwise=independent"]),
        metric="test/mse_ratio" if stock else "test/accuracy",
        higher_is_better=not stock,
        scale="log" if stock else "plain",
        smallest_effect=0.01,
        alpha=0.05,
        data="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        source=source,
        frozen=frozen,
        commands=[
            f"upgate study --yes study={design} task={task}",
            f"upgate report study={task}-{design}-1a2b3c4d",
        ],
    )


def result(
    task: str = "stock",
    design: str = "parts",
    source: str = "S&P 500 (arch)",
    diverged: bool = False,
) -> StudyResult:
    """Numbers of the sizes that real studies have."""
    asked, rng = study(task, design, source), np.random.default_rng(0)
    sign, size, start = (1, 0.02, 0.82) if asked.higher_is_better else (-1, 0.06, math.log(0.93))
    effects = {
        arm.name: sign * size * (len(arm.on) / 4 if len(arm.on) != 1 else 0.3)
        for arm in asked.arms[1:]
    }
    gaps = {name: mean + rng.normal(0, size / 5, len(SEEDS)) for name, mean in effects.items()}
    base = start + rng.normal(0, size / 4, len(SEEDS))
    if diverged:
        gaps["upgraded"][2] = -sign * math.inf
    back = math.exp if asked.scale == "log" else float
    scores = {"traditional": {str(s): back(v) for s, v in zip(SEEDS, base, strict=True)}}
    scores |= {
        name: {str(s): back(b + g) for s, b, g in zip(SEEDS, base, gap, strict=True)}
        for name, gap in gaps.items()
    }
    judged = [
        verdict(name, gap, "helps" if name == "upgraded" else WORDS[i % 4], back(start))
        for i, (name, gap) in enumerate(gaps.items())
    ]
    aa = verdict("A/A: traditional again", rng.normal(0, size / 5, 6), "undecided", back(start))
    own = (
        {
            "persistence": 1.0,
            "har": 0.87,
        }
        if task == "stock"
        else {"majority": 0.5, "linear": 0.83}
    )
    dates = [f"{d:%Y-%m-%d}" for d in pd.bdate_range("2015-01-05", periods=600)]
    named = [arm.name for arm in asked.arms]
    losses = {
        n: (rng.chisquare(1, 600) * (1 + 0.05 * i)).tolist()
        for i, n in enumerate([*reversed(named), "har", "persistence"])
    }
    stock = task == "stock"
    return StudyResult(
        study=asked,
        sentence=f"upgraded helps: its metric is better than traditional's on {len(SEEDS)} seeds.",
        verdicts=judged,
        parts=[
            verdict(part, rng.normal(sign * size / 4, size / 9, 6), WORDS[i], math.nan)
            for i, part in enumerate(asked.parts)
        ],
        aa=aa,
        controls=[
            Control(
                "zero: layerwise=independent",
                ["layerwise=independent"],
                "not a bit differs",
                0.0,
                True,
            )
        ],
        attribution=attributed(sign * size) if asked.parts else None,
        baseline_score=back(start),
        references=own,
        against_references={
            name: verdict("upgraded", gaps["upgraded"], "helps", 0.9) for name in own
        },
        reliability={
            name: reliability(list(scores[name].values()), list(scores["traditional"].values()))
            for name in scores
        },
        scores=scores,
        differences={
            name: {str(s): float(g) for s, g in zip(SEEDS, gap, strict=True)}
            for name, gap in gaps.items()
        },
        folds={
            name: {str(f): float(np.mean(gap[np.isfinite(gap)])) * (0.8 + 0.4 * f) for f in FOLDS}
            for name, gap in gaps.items()
        },
        significance={
            "upgraded": [
                Significance(
                    "Diebold-Mariano" if stock else "McNemar",
                    sign * 0.03,
                    sign * 0.03 - 0.02,
                    sign * 0.03 + 0.02,
                    0.012,
                )
            ]
        },
        confidence_set={"traditional": 0.04, "upgraded": 1.0} if stock else {},
        tickers={"upgraded": {f"T{i}": 0.97 for i in range(8)}} if stock else {},
        ticker_interval={"upgraded": Interval(0.95, 0.92, 0.98)} if stock else {},
        dates=dates if stock else [],
        losses=losses if stock else {},
        engagement={n: engagement(i) for i, n in enumerate(named)},
        cost={
            n: Cost(12.0 + i, 1 + i / 12, 0.004 + i / 3000, 3000.0, 12.0)
            for i, n in enumerate(named)
        },
        diverged={"upgraded": int(diverged)},
        missing={},
        looks=133,
        seconds=8000.0,
    )


def verdict(name: str, gap: np.ndarray, word: str, score: float) -> ArmVerdict:
    finite = gap[np.isfinite(gap)]
    mean, half = float(finite.mean()), float(2.571 * finite.std(ddof=1) / math.sqrt(len(finite)))
    lost = len(gap) - len(finite)
    return ArmVerdict(
        name,
        word,
        mean,
        mean - half,
        math.inf if lost else mean + half,
        0.003,
        0.031,
        0.012,
        len(gap),
        9,
        lost,
        score,
    )


def attributed(whole: float) -> Attributed:
    def near(x: float) -> Estimate:
        return Estimate(x, x - 0.006, x + 0.006, 0.01, 6)

    shares = {
        part: Share(near(whole * s), near(whole * s * 0.8), near(whole * s * 1.2), near(0.001))
        for part, s in zip(PARTS, (0.6, 0.05, 0.3, 0.05), strict=True)
    }
    pairs = [Interaction([["optimizer", "clip"], ["regularization", "init"]], near(0.002))]
    return Attributed(
        near(whole), shares, near(0.0), pairs, 0, False, True, {part: near(0.02) for part in PARTS}
    )


def engagement(i: int) -> dict[str, float]:
    return {
        "engagement/clipped_share": 0.1 * i,
        "engagement/penalty_to_loss": 0.003 * i,
        "engagement/update_ratio/lstm.0": 0.001,
        "engagement/update_ratio/head": 0.002,
    }


class Tables:
    """Tables in the shape of a run's. evil: a class, a ticker and a review are markup."""

    def __init__(self, evil: bool = False, tickers: int = 8) -> None:
        self.evil = EVIL if evil else ""
        self.count = tickers

    def runs(self, arm: str, name: str, fold: int | None = None) -> RunTables:
        shift = 0.0 if arm == "traditional" else 0.2
        return {
            (s, f): getattr(self, name)(np.random.default_rng([s, f, 7]), shift)
            for s in SEEDS
            for f in FOLDS
            if fold in (None, f)
        }

    def curve(self, rng: np.random.Generator, shift: float) -> pd.DataFrame:
        epochs = np.arange(12 - int(rng.integers(4)))
        loss = (
            0.6
            + np.exp(-epochs / 3)
            - shift * (1 - np.exp(-epochs / 4))
            + rng.normal(0, 0.02, len(epochs))
        )
        return pd.DataFrame({"train/loss": loss, "val/loss": loss})

    def forecasts(self, rng: np.random.Generator, shift: float) -> pd.DataFrame:
        days = pd.bdate_range("2017-01-02", periods=200)
        truth = np.cumsum(np.random.default_rng(5).normal(0, 0.1, 201))
        past, now = truth[:-1], truth[1:]
        guess = past + (0.3 + 2 * shift) * (now - past) + rng.normal(0, 0.05, 200)
        return pd.DataFrame(
            {
                "ticker": f"ABC{self.evil}",
                "label_date": days,
                "truth": now,
                "forecast": guess,
                "persistence": past,
            }
        )

    def tickers(self, rng: np.random.Generator, shift: float) -> pd.DataFrame:
        names = [f"T{i}{self.evil}" for i in range(self.count)]
        ratio = (
            0.97
            - shift / 4
            + 0.1 * np.random.default_rng(3).normal(0, 1, self.count)
            + rng.normal(0, 0.01, self.count)
        )
        return pd.DataFrame(
            {"ticker": names, "samples": 200, "forecast": ratio, "persistence": 1.0}
        )

    def predictions(self, rng: np.random.Generator, shift: float) -> pd.DataFrame:
        n = 400
        truth = np.random.default_rng(1).integers(0, 2, n)
        hard = np.random.default_rng(2).random(n)
        right = hard < 0.72 + shift / 2 + rng.normal(0, 0.15, n)
        names = np.array([f"negative{self.evil}", "positive"], dtype=object)
        said = names[np.where(right, truth, 1 - truth)]
        texts = [
            f"Review {i}{self.evil}: the plot drags on, yet by the end I was won over; "
            "not bad at all, in spite of the first hour."
            for i in range(n)
        ]
        return pd.DataFrame(
            {
                "row": range(n),
                "text": texts,
                "truth": names[truth],
                "predicted": said,
                "probability": 0.8,
                "p_" + names[0]: 0.2,
                "p_positive": 0.8,
            }
        )


class Outline(HTMLParser):
    """What a page is made of; raises where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def outline(html: str) -> Outline:
    found = Outline()
    found.feed(html)
    assert not found.open
    return found
