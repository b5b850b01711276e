"""The table of a sweep: its order, and what it says of it."""

import io
import math

import pytest
from rich.console import Console

from upgate.run.console_tables import show_runs
from upgate.run.result import Result


def run(name: str, validation: float | None, test: float) -> Result:
    metrics = {"test/mse_ratio": test}
    if validation is not None:
        metrics["val/mse_ratio"] = validation
    return Result(name, name, name, "stock", "upgraded", [], 0, 0, "FINISHED", metrics, "")


@pytest.mark.parametrize("test_scores", [(0.7, 0.8, 0.9, 1.0), (1.0, 0.9, 0.8, 0.7)])
def test_runs_stand_in_the_order_of_validation_whatever_their_test_scores(
    test_scores: tuple[float, ...],
) -> None:
    validation = {"second": 1.1, "unvalidated": None, "first": 0.9, "diverged": math.inf}
    runs = [
        run(name, value, test)
        for (name, value), test in zip(validation.items(), test_scores, strict=True)
    ]
    console = Console(file=io.StringIO(), width=120)
    show_runs(console, {run.name: [run] for run in runs})
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "ordered by validation MSE ratio" in said
    places = [said.index(f" {name} ") for name in ("first", "second", "unvalidated")]
    assert places == sorted(places) and said.index(" diverged ") > places[1]


def test_a_setting_of_several_seeds_is_a_row_of_means() -> None:
    def seeds(*scores: float) -> list[Result]:
        found = [run("upgraded", score, 2 * score) for score in scores]
        for one, score in zip(found, scores, strict=True):
            one.difference = {"test/mse_ratio": score - 1}
        return found

    console = Console(file=io.StringIO(), width=80)
    failed = Result("k", "k", "n", "stock", "upgraded", [], 0, 0, "FAILED", {}, "")
    groups = {"clip=norm": seeds(1.0, 1.2), "clip=none": [*seeds(0.9, 1.1, 1.3), failed]}
    show_runs(console, groups)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "6 runs of 2 settings, means" in said
    rows = [line.split() for line in said.splitlines() if " clip=" in line]
    # name, n, validation, score, sd, difference, its standard error
    assert rows == [
        ["clip=norm", "2", "1.1000", "2.2000", "0.2828", "+0.1000", "0.1000"],
        ["clip=none", "3", "of", "4", "1.1000", "2.2000", "0.4000", "+0.1000", "0.1155"],
    ]


def test_runs_of_several_tasks_are_scored_by_their_own_metric() -> None:
    """A sweep over tasks is allowed; no run of one is a failure by the other's measure."""
    review = Result("k", "k", "n", "sentiment", "upgraded", [], 0, 0, "FINISHED", {}, "")
    review.metrics = {"val/accuracy": 0.81, "test/accuracy": 0.8}
    console = Console(file=io.StringIO(), width=120)
    show_runs(console, {"task=stock": [run("upgraded", 0.9, 1.1)], "task=sentiment": [review]})
    said = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "ordered by validation MSE ratio, accuracy, best first" in said
    assert "twin" not in said  # no run has one: no empty columns
    assert "task=stock 0.9000 1.1000" in said and "task=sentiment 0.8100 0.8000" in said
