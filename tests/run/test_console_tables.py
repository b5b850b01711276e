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
    show_runs(console, runs)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "ordered by validation MSE ratio" in said
    places = [said.index(f" {name} ") for name in ("first", "second", "unvalidated")]
    assert places == sorted(places) and said.index(" diverged ") > places[1]
