"""The pictures of a study on reviews: confusion matrices, and the reviews on which the recipes disagree."""

import pandas as pd

from upgate.report.figures import Figure, Runs
from upgate.report.html import Html, el, join
from upgate.report.translations import Words

READ = 8  # reviews of each direction
LONGEST = 400  # characters of one
WIDEST = 10  # classes of a matrix that a phone can show


def confusion(name: str, runs: Runs, w: Words) -> Figure | None:
    """One recipe's matrix, summed over seeds and folds."""
    if not runs:
        return None
    every = pd.concat(list(runs.values()))
    first = next(iter(runs.values()))
    classes = [column.removeprefix("p_") for column in map(str, first) if column.startswith("p_")][
        :WIDEST
    ]
    counts = pd.crosstab(every["truth"], every["predicted"]).reindex(
        index=classes, columns=classes, fill_value=0
    )
    shares = counts.to_numpy() / counts.to_numpy().sum(axis=1, keepdims=True).clip(min=1)
    mean = counts.to_numpy() / len({seed for seed, _ in runs})
    head = el("tr", el("th"), [el("th", _short(c), scope="col") for c in classes])
    body = [
        el(
            "tr",
            el("th", _short(c), scope="row"),
            [_cell(shares[i, j], mean[i, j]) for j in range(len(classes))],
        )
        for i, c in enumerate(classes)
    ]
    picture = el("table", el("thead", head), el("tbody", body), class_="confusion")
    right = float((every["truth"] == every["predicted"]).mean())
    rows = [
        [c, *(f"{mean[i, j]:,.1f} ({shares[i, j]:.1%})" for j in range(len(classes)))]
        for i, c in enumerate(classes)
    ]
    label = w("confusion_label", arm=name, right=f"{right:.2%}")
    return Figure(
        f"{name}: {right:.2%}", picture, label, [f"{w('truth')} \\ {w('answer')}", *classes], rows
    )


def _cell(share: float, count: float) -> Html:
    """Shaded by share, never so deep that the text would be hard to read."""
    return el(
        "td",
        el("b", f"{share:.1%}"),
        el("span", f"{count:,.0f}"),
        style=f"--share:{50 * share:.0f}%",
    )


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def disagreements(baseline: str, theirs: Runs, arm: str, ours: Runs, w: Words) -> Html | None:
    """Two tables of reviews: those that the arm answers right more often over seeds, and the other way round."""
    base, mine = _right(theirs), _right(ours)
    if base is None or mine is None:
        return None
    both = mine.join(base["right"].rename("right_base"), how="inner")
    gap = both["right"] - both["right_base"]
    said = [
        _reviews(both, gap, w("only_arm", arm=arm), baseline, arm, w),
        _reviews(both, -gap, w("only_base", baseline=baseline), baseline, arm, w),
    ]
    if not gap.any():
        return el("p", w("agree"))
    shown = min(READ, int((gap > 0).sum())) + min(READ, int((gap < 0).sum()))
    note = el(
        "p",
        w("disagree_note", baseline=baseline, arm=arm, shown=shown, all=int((gap != 0).sum())),
        class_="note",
    )
    return join([note, el("div", said, class_="columns")])


def _right(runs: Runs) -> pd.DataFrame | None:
    """Per review of a fold: text, truth, and the share of seeds that are right."""
    if not runs:
        return None
    frames = [
        frame.assign(fold=fold, right=(frame["truth"] == frame["predicted"]).astype(float))
        for (_, fold), frame in runs.items()
    ]
    groups = pd.concat(frames).groupby(["fold", "row"], sort=True)
    return groups.agg(text=("text", "first"), truth=("truth", "first"), right=("right", "mean"))


def _reviews(
    both: pd.DataFrame, gap: pd.Series, heading: str, baseline: str, arm: str, w: Words
) -> Html:
    order = gap[gap > 0].sort_values(ascending=False, kind="stable").index[:READ]
    if not len(order):
        return join(None)
    items = []
    for place in order:
        row = both.loc[place]
        text = row["text"] if len(row["text"]) <= LONGEST else f"{row['text'][:LONGEST]}…"
        shares = f"{w('truth')}: {row['truth']} · {w('right')}: {row['right_base']:.0%} → {row['right']:.0%}"
        items.append(el("li", el("p", text), el("p", shares, class_="note")))
    return el("div", el("h3", heading), el("ul", items, class_="reviews"))
