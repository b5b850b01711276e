"""The report's sections of a study on reviews: confusion matrices and disagreements."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from upgate.page.figure import Comparison, Figure, RunTables, gallery, note, section
from upgate.page.html import Html, el, join
from upgate.page.translations import Translator
from upgate.tasks.sentiment.texts import TEXTS

REVIEWS = 8  # of each direction
LONGEST_REVIEW = 400  # characters
LONGEST_CLASS = 20
MAX_CLASSES = 10  # of a matrix that a phone can show


def review_sections(comparison: Comparison, w: Translator) -> list[Html]:
    w = w.extended(TEXTS)
    baseline, arm, tables = comparison.baseline, comparison.arm, comparison.tables
    base_runs, arm_runs = (tables.runs(name, "predictions") for name in (baseline, arm))
    matrices = [confusion(baseline, base_runs, w), confusion(arm, arm_runs, w)]
    return [
        gallery(w("confusion"), w("confusion_note"), matrices, w),
        section(w("disagree"), disagreements(baseline, base_runs, arm, arm_runs, w)),
    ]


def confusion(name: str, runs: RunTables, w: Translator) -> Figure | None:
    """One recipe's matrix, summed over seeds and folds."""
    if not runs:
        return None
    answers = pd.concat(list(runs.values()))
    columns = map(str, next(iter(runs.values())))
    classes = [c.removeprefix("p_") for c in columns if c.startswith("p_")][:MAX_CLASSES]
    counts = pd.crosstab(answers["truth"], answers["predicted"])
    total = counts.reindex(index=classes, columns=classes, fill_value=0).to_numpy()
    shares = total / total.sum(axis=1, keepdims=True).clip(min=1)
    mean = total / len({seed for seed, _ in runs})
    right = float((answers["truth"] == answers["predicted"]).mean())
    body = []
    for i, truth in enumerate(classes):
        cells = zip(mean[i], shares[i], strict=True)
        body.append([truth, *(f"{count:,.1f} ({share:.1%})" for count, share in cells)])
    return Figure(
        f"{name}: {right:.2%}",
        _matrix(classes, shares, mean),
        w("confusion_label", arm=name, right=f"{right:.2%}"),
        [f"{w('truth')} \\ {w('answer')}", *classes],
        body,
    )


def _matrix(classes: Sequence[str], shares: np.ndarray, mean: np.ndarray) -> Html:
    """A table of (truth, answer). shares, mean: (classes, classes)."""
    names = [f"{c[: LONGEST_CLASS - 1]}…" if len(c) > LONGEST_CLASS else c for c in classes]
    head = el("tr", el("th"), [el("th", name, scope="col") for name in names])
    body = []
    for i, name in enumerate(names):
        cells = [_cell(share, count) for share, count in zip(shares[i], mean[i], strict=True)]
        body.append(el("tr", el("th", name, scope="row"), cells))
    return el("table", el("thead", head), el("tbody", body), class_="confusion")


def _cell(share: float, count: float) -> Html:
    """Shaded by share, never so dark that the text would be hard to read."""
    style = f"--share:{50 * share:.0f}%"
    return el("td", el("b", f"{share:.1%}"), el("span", f"{count:,.0f}"), style=style)


def disagreements(
    baseline: str, base_runs: RunTables, arm: str, arm_runs: RunTables, w: Translator
) -> Html | None:
    """Two lists: the reviews that the arm gets right on more seeds, and those of the baseline."""
    base, candidate = _right(base_runs), _right(arm_runs)
    if base is None or candidate is None:
        return None
    both = candidate.join(base["right"].rename("right_base"), how="inner")
    difference = both["right"] - both["right_base"]
    if not difference.any():
        return el("p", w("agree"))
    shown = sum(min(REVIEWS, int(side.sum())) for side in (difference > 0, difference < 0))
    total = int((difference != 0).sum())
    lists = [
        _reviews(both, difference, w("only_arm", arm=arm), w),
        _reviews(both, -difference, w("only_base", baseline=baseline), w),
    ]
    text = w("disagree_note", baseline=baseline, arm=arm, shown=shown, all=total)
    return join([note(text), el("div", lists, class_="columns")])


def _right(runs: RunTables) -> pd.DataFrame | None:
    """Per review of a fold: text, truth, and the share of seeds that are right."""
    if not runs:
        return None
    frames = [
        frame.assign(fold=fold, right=(frame["truth"] == frame["predicted"]).astype(float))
        for (_, fold), frame in runs.items()
    ]
    groups = pd.concat(frames).groupby(["fold", "row"], sort=True)
    return groups.agg(text=("text", "first"), truth=("truth", "first"), right=("right", "mean"))


def _reviews(both: pd.DataFrame, difference: pd.Series, heading: str, w: Translator) -> Html:
    """The reviews with the largest positive differences; nothing where there are none."""
    positive = difference[difference > 0].sort_values(ascending=False, kind="stable")
    if not len(positive):
        return Html("")
    items = []
    for index in positive.index[:REVIEWS]:
        row = both.loc[index]
        text = row["text"]
        if len(text) > LONGEST_REVIEW:
            text = f"{text[:LONGEST_REVIEW]}…"
        change = f"{row['right_base']:.0%} → {row['right']:.0%}"
        shares = f"{w('truth')}: {row['truth']} · {w('right')}: {change}"
        items.append(el("li", el("p", text), note(shares)))
    return el("div", el("h3", heading), el("ul", items, class_="reviews"))
