"""What is asked: which metric, which groups, against which baseline, what pairs the runs."""

import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from upgate.config.schema import Positive, Range, build
from upgate.errors import UserError
from upgate.referee.texts import say

Level = Annotated[
    float, Range("between 0 and 1, both excluded", {"exclusiveMinimum": 0, "exclusiveMaximum": 1})
]
Better = Literal["lower", "higher"]

LOWER = {"loss", "error", "err", "mse", "rmse", "mae", "mape", "smape", "mase", "nll", "perplexity"}
LOWER |= {"ppl", "wer", "cer", "fid", "bpc", "brier", "logloss", "regret", "deviance"}
HIGHER = {"acc", "accuracy", "f1", "auc", "auroc", "auprc", "r2", "score", "precision", "recall"}
HIGHER |= {"bleu", "rouge", "map", "ndcg", "iou", "dice", "mcc", "psnr", "ssim", "reward", "return"}
NONE = "none"  # pair=none: judge as unpaired


@dataclass(frozen=True)
class Question:
    """The question and its defaults; the command and `upgate.judge` take the same.

    pair: columns whose equal values make a pair, the first of them the unit (the rest is averaged
    within it); None: seed and fold, where there are such columns; empty: unpaired. over: the column
    of the data sets. items: the column of the test items, where a row is the loss of one item.
    better: None reads it from the metric's name. smallest_effect: in the metric's units; None: 1%
    of the baseline's mean. test_share: the test part's share of a fold, for comparisons over folds
    alone.
    """

    metric: str
    group: str
    baseline: str
    pair: list[str] | None = None
    over: str | None = None
    items: str | None = None
    better: Better | None = None
    smallest_effect: Positive | None = None
    alpha: Level = 0.05
    test_share: Level | None = None

    @property
    def cell(self) -> list[str]:
        """The columns that tell the rows of a group (and data set) apart."""
        return [*(self.pair or []), *([self.items] if self.items else [])]

    @property
    def direction(self) -> str:
        """lower or higher. Raises UserError where neither is given nor to be read."""
        if self.better is not None:
            return self.better
        words = set(re.split(r"[^a-z0-9]+", self.metric.lower()))
        lower, higher = bool(words & LOWER), bool(words & HIGHER)
        if lower == higher:
            raise UserError(say("no_direction", metric=self.metric))
        return "lower" if lower else "higher"

    @property
    def worst(self) -> float:
        """The score of a diverged run."""
        return float("inf") if self.direction == "lower" else float("-inf")


@dataclass(frozen=True)
class Source:
    """Where the runs are: a file, or an experiment of an MLflow store."""

    path: str = ""
    uri: str = ""
    experiment: str = ""
    filter_string: str = ""
    artifact: str = ""  # of each run, a table with a row per test item
    write: bool = False  # the verdict, as a run of the store

    @property
    def name(self) -> str:
        return self.path or self.experiment


def ask(**values: object) -> Question:
    """The checked question. Raises UserError naming a wrong key or value."""
    if isinstance(values.get("pair"), str):
        values["pair"] = [values["pair"]]
    if isinstance(values.get("pair"), tuple):
        values["pair"] = list(values["pair"])  # type: ignore[call-overload]
    if "baseline" in values:
        values["baseline"] = str(values["baseline"])
    question = build(Question, values, "")
    if question.pair == [NONE]:
        question = replace(question, pair=[])
    _check_columns(question)
    return question


def _check_columns(question: Question) -> None:
    """Raise UserError where one column is given two parts to play."""
    parts = {"metric": question.metric, "group": question.group}
    if question.over:
        parts["over"] = question.over
    if question.items:
        parts["items"] = question.items
        if question.pair == []:
            raise UserError(say("items_need_pairs"))
    parts |= {f"pair {name}": name for name in question.pair or ()}
    seen: dict[str, str] = {}
    for part, column in parts.items():
        if column in seen:
            raise UserError(
                say("column_given_twice", column=column, first=seen[column], second=part.split()[0])
            )
        seen[column] = part.split()[0]
    if question.pair and len(set(question.pair)) < len(question.pair):
        raise UserError(say("pair_twice", names=", ".join(question.pair)))
