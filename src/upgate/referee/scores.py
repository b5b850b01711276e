"""From rows to scores: what a row says, which rows are left out and why, which make a pair."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from upgate.errors import UserError, did_you_mean
from upgate.referee.columns import as_text, short_name
from upgate.referee.question import Question
from upgate.referee.texts import say
from upgate.stats.estimate import Floats
from upgate.stats.paired import differences
from upgate.stats.two_way import date_lags
from upgate.stats.verdict import Units

LARGEST = 1.79e308  # MLflow's databases store inf as the largest float
RUNNING = ("RUNNING", "SCHEDULED")
FAILED = "FAILED"
WHOLE = ""  # the data set where the question names none
SHOWN = 5  # values that a sentence lists
FEWEST_ITEMS = 2
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(\D|$)")


@dataclass(frozen=True)
class Note:
    """A sentence of the translations: its key, and the values of its fields."""

    key: str
    values: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """The rows that are judged: group, over, unit, within as text, score with inf for diverged."""

    frame: pd.DataFrame
    notes: list[Note]

    def of(self, group: str) -> pd.DataFrame:
        return self.frame[self.frame["group"] == group]

    def groups(self) -> list[str]:
        return sorted(self.frame["group"].unique())


@dataclass(frozen=True)
class Pairs:
    """Scores of an arm and the baseline on the same units of one data set, (units,) each.

    items: what the test items say beside, where a row is an item's loss. dates: the items are
    dates. left_out: items that not every run of both groups has.
    """

    units: list[str]
    arm: Floats
    base: Floats
    items: Units | None = None
    dates: bool = False
    left_out: int = 0


def read_scores(table: pd.DataFrame, question: Question) -> Scores:
    """The rows of a table whose columns are resolved. Raises UserError for what is not clear."""
    notes: list[Note] = []
    frame = pd.DataFrame({"group": as_text(table[question.group])}, index=table.index)
    frame["over"] = as_text(table[question.over]) if question.over else WHOLE
    pair = question.cell
    columns = [as_text(table[name]) for name in pair]
    frame["unit"] = columns[0] if columns else WHOLE
    rest = [column.map(lambda v: v, na_action="ignore") for column in columns[1:]]
    frame["within"] = list(zip(*rest, strict=True)) if rest else [()] * len(frame)
    lacking = pd.concat([column.isna() for column in columns], axis=1).any(axis=1) if pair else None
    frame["score"], keep = _scores(table, question, notes)
    of = "items" if question.items else "runs"
    for name, missing in ((question.group, frame["group"].isna()), (question.over, _na(frame))):
        if name and (keep & missing).any():
            notes.append(_left_out(of, int((keep & missing).sum()), name))
            keep &= ~missing
    if lacking is not None and (keep & lacking).any():
        names = ", ".join(map(short_name, pair))
        notes.append(_left_out(of, int((keep & lacking).sum()), names))
        keep &= ~lacking
    frame = frame[keep].reset_index(drop=True)
    _check_groups(frame, question)
    if pair:
        _check_duplicates(frame, question)
    if diverged := _runs(frame[np.isinf(frame["score"])], question):
        notes.append(Note("note_diverged", {"count": diverged}))
    return Scores(frame, notes)


def _na(frame: pd.DataFrame) -> "pd.Series[bool]":
    return frame["over"].isna()


def _left_out(of: str, count: int, names: str) -> Note:
    key = "note_rows" if of == "items" else "note_lacking"
    return Note(key, {"count": count, "column": short_name(names)})


def _runs(rows: pd.DataFrame, question: Question) -> int:
    """How many runs these rows are: a row each, or a row for each of their items."""
    if not question.items:
        return len(rows)
    runs = zip(rows["group"], rows["over"], rows["unit"], rows["within"], strict=True)
    return len({(group, over, unit, within[:-1]) for group, over, unit, within in runs})


def _scores(
    table: pd.DataFrame, question: Question, notes: list[Note]
) -> tuple[pd.Series, "pd.Series[bool]"]:
    """The score of each row, the worst for a diverged run, and which rows have one."""
    column = table[question.metric]
    raw = pd.to_numeric(column, errors="coerce").astype(float)
    absent = pd.Series([value is None for value in column.tolist()], index=table.index)
    wrong = raw.isna() & ~column.isna()
    named_nan = column.astype(str).str.strip().str.lower().isin(["nan", "na", "none", "null"])
    if (wrong & ~named_nan).any():
        value = column[wrong & ~named_nan].iloc[0]
        raise UserError(say("no_number", metric=question.metric, value=f"{value!r}"))
    status = _status(table)
    diverged = raw.abs().ge(LARGEST) | (raw.isna() & status.eq(FAILED))
    raw = raw.where(~diverged, question.worst)
    unfinished = status.isin(RUNNING)
    if unfinished.any():
        notes.append(Note("note_unfinished", {"count": int(unfinished.sum())}))
    without = absent & raw.isna() & ~unfinished
    if without.any():
        of = "items" if question.items else "runs"
        notes.append(_left_out(of, int(without.sum()), question.metric))
    keep = ~(unfinished | without)
    bad = raw.isna() & keep
    if bad.any():
        where = ", ".join(str(i) for i in table.index[bad][:SHOWN])
        raise UserError(say("nan_rows", metric=question.metric, count=int(bad.sum()), where=where))
    return raw, keep


def _status(table: pd.DataFrame) -> pd.Series:
    """MLflow's status of each row; empty where the table has none."""
    if "status" not in table.columns:
        return pd.Series("", index=table.index)
    return table["status"].astype(str).str.upper()


def _check_groups(frame: pd.DataFrame, question: Question) -> None:
    groups, column = sorted(frame["group"].unique()), short_name(question.group)
    if not groups:
        raise UserError(say("no_row_has_both", column=column, metric=short_name(question.metric)))
    if question.baseline not in groups:
        raise UserError(
            say(
                "no_baseline",
                baseline=question.baseline,
                column=column,
                hint=did_you_mean(question.baseline, groups),
            )
        )
    if len(groups) == 1:
        raise UserError(say("one_value", column=column, value=str(groups[0])))


def _check_duplicates(frame: pd.DataFrame, question: Question) -> None:
    keys = ["group", "over", "unit", "within"]
    twice = frame[frame.duplicated(keys, keep=False)]
    if twice.empty:
        return
    first = twice.iloc[0]
    same = (twice[keys] == first[keys]).all(axis=1)
    cell = [f"{short_name(question.group)}={first['group']}"]
    cell += [f"{short_name(question.over)}={first['over']}"] if question.over else []
    values = (first["unit"], *first["within"])
    cell += [f"{short_name(n)}={v}" for n, v in zip(question.cell, values, strict=True)]
    raise UserError(
        say("same_cell", count=int(same.sum()), cell=", ".join(cell), shared=len(twice))
    )


def datasets(scores: Scores) -> list[str]:
    return sorted(scores.frame["over"].unique())


def make_pairs(scores: Scores, arm: str, baseline: str, dataset: str) -> tuple[Pairs, list[str]]:
    """The pairs of one data set, and the units that have no partner.

    Scores are averaged within a unit over the cells that both have.
    """
    keys = ["unit", "within"]
    own, other = (
        group[group["over"] == dataset].set_index(keys)["score"]
        for group in (scores.of(arm), scores.of(baseline))
    )
    both = own.index.intersection(other.index)
    alone = own.index.symmetric_difference(other.index)
    units = [unit for unit, _ in both]
    means = [series.loc[both].groupby(units).mean() for series in (own, other)]
    names = sort_naturally(means[0].index)
    arrays = (means[0].loc[names].to_numpy(float), means[1].loc[names].to_numpy(float))
    return Pairs(names, *arrays), sort_naturally({unit for unit, _ in alone})


def make_item_pairs(
    scores: Scores, arm: str, baseline: str, dataset: str
) -> tuple[Pairs, list[str]]:
    """The same where a row is the loss of one test item of a run.

    Items that a run of either group lacks are left out: every run is scored on the same ones.
    """
    own, other = (_score_cells(scores.of(name), dataset) for name in (arm, baseline))
    alone = sort_naturally(set(own.index.symmetric_difference(other.index)))
    names = sort_naturally(own.index.intersection(other.index))
    if not names:
        return Pairs([], np.empty(0), np.empty(0)), alone
    own, other = own.loc[names], other.loc[names]
    shared = own.columns[own.notna().all()].intersection(other.columns[other.notna().all()])
    losses = [_by_item(frame[shared]) for frame in (own, other)]
    items = sorted(losses[0].columns)
    left_out = len({column[-1] for column in own.columns.union(other.columns)}) - len(items)
    if len(items) < FEWEST_ITEMS:
        raise UserError(
            say("few_items", count=len(items), arm=arm, baseline=baseline, fewest=FEWEST_ITEMS)
        )
    arrays = [frame[items].to_numpy(float) for frame in losses]
    arm_scores, base_scores = (values.mean(axis=1) for values in arrays)
    dates = all(map(DATE.match, items))
    cells = differences(*arrays)
    with np.errstate(invalid="ignore"):  # inf - inf: a diverged run, which is ranked instead
        deviations = cells - cells.mean(axis=1)[:, None]
    units = Units(deviations, date_lags(len(items)) if dates else 0)
    return Pairs(names, arm_scores, base_scores, units, dates, left_out), alone


def _score_cells(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """A row per unit, a column per cell within it; nan where there is none."""
    rows = rows[rows["over"] == dataset]
    return rows.pivot(index="unit", columns="within", values="score")


def _by_item(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with the same item, such as its folds, averaged. Columns: items, as text."""
    items = [column[-1] for column in cells.columns]
    if len(set(items)) == len(items):
        return cells.set_axis(items, axis=1)
    return cells.T.groupby(items).mean().T


def sort_naturally(names: Sequence[str] | set[str] | pd.Index) -> list[str]:
    """2 before 10, text after numbers."""
    return sorted(names, key=lambda name: (0, int(name), "") if name.isdigit() else (1, 0, name))
