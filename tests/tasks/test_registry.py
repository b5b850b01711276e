"""The registry of tasks: known names give the task, unknown ones raise."""

import pytest

from upgate.errors import UserError
from upgate.tasks.base import Metric, Task
from upgate.tasks.names import find_facts, get_facts, packages
from upgate.tasks.registry import get_task, register_task


def test_each_package_is_a_task() -> None:
    assert {"stock", "sentiment"} <= set(packages())
    for name in packages():
        task = get_task(name)
        assert task.name == name and get_task(name) is task
        assert task.metric.key.startswith("test/")
        facts = get_facts(name)
        assert isinstance(task, type(facts)) and not isinstance(facts, Task)


def test_an_unknown_name_raises_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"task=stok is not a task, did you mean 'stock'\?"):
        get_task("stok")
    with pytest.raises(UserError, match=r"task=stok is not a task, did you mean 'stock'\?"):
        get_facts("stok")
    assert find_facts("stok") is None


def test_a_name_is_given_once() -> None:
    get_task("stock")
    with pytest.raises(ValueError, match="task=stock is registered twice"):
        register_task(type("Other", (Task,), {"name": "stock"}))


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("scale", ["log", "plain"])
def test_a_metric_as_a_loss_and_back(higher: bool, scale: str) -> None:
    metric = Metric("test/m", "m", "m", higher, scale)  # type: ignore[arg-type]
    good, bad = (0.9, 0.8) if higher else (0.8, 0.9)
    assert metric.loss(good) < metric.loss(bad) < metric.loss(metric.worst) == float("inf")
    assert metric.value(metric.loss(good)) == pytest.approx(good)
    assert metric.loss(None) == metric.loss(float("nan")) == float("inf")
    assert metric.rank({"val/m": good}) < metric.rank({"val/m": bad}) < metric.rank({})
    # the test score plays no part, however good
    assert metric.rank({"val/m": bad, "test/m": good}) == metric.rank({"val/m": bad, "test/m": bad})
    assert metric.validation_key == "val/m"


def test_a_change_is_in_percent_or_points() -> None:
    ratio, share = (Metric("test/m", "m", "m", False, s) for s in ("log", "plain"))  # type: ignore[arg-type]
    assert ratio.change(0.9, 1.0) == pytest.approx(-10) and ratio.unit == "%"
    assert ratio.change(0.9, 0.0) is None
    assert share.change(0.91, 0.9) == pytest.approx(1) and share.unit == " points"
