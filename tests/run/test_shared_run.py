"""One run shared out to several processes by Lightning's own strategy: the same batches, the same
weights but for rounding.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from upgate.config import compose as config
from upgate.data.loader import DeterministicLoader, share
from upgate.errors import UserError
from upgate.store.record import Row
from upgate.store.store import Store

SMALL = (
    "task=stock",
    "data.start=2015",
    "model.hidden_size=8",
    "task.window=10",
    "trainer.max_epochs=2",
    "threads=1",
    "twin=false",
)
TWO = ("trainer.strategy=ddp_fork", "trainer.devices=2", "trainer.accelerator=cpu")


def trained(root: Path, *words: str) -> Row:
    """In a process of its own: a process with threads, such as this one, is not to be forked."""
    command = [sys.executable, "-m", "upgate.cli", "train", *SMALL, *words, f"root={root}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = (row for row in Store(root).rows() if not row.is_parent)
    return row


def weights(root: Path, row: Row) -> dict[str, torch.Tensor]:
    state = torch.load(root / row.key[:16] / "best.ckpt", weights_only=True)["state_dict"]
    return {name: w for name, w in state.items() if name.startswith("net.")}


@pytest.mark.long
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    roots = tmp_path / "one", tmp_path / "two"
    one, two = (
        trained(roots[0], "regularization=[none]"),
        trained(roots[1], "regularization=[none]", *TWO),
    )
    assert one.key != two.key  # the sums of two processes have other last digits
    ours, theirs = weights(roots[0], one), weights(roots[1], two)
    for name, w in ours.items():
        torch.testing.assert_close(theirs[name], w, atol=1e-4, rtol=1e-4, msg=name)
    assert two.status == "FINISHED"
    for name in ("steps", "epochs", "engagement/steps_saved", "engagement/clipped_share"):
        assert two.metrics[name] == one.metrics[name], name
    for name in ("train/loss", "val/loss", "val/mse_ratio", "test/mse_ratio"):
        assert two.metrics[name] == pytest.approx(one.metrics[name], rel=1e-3), name
    assert not (roots[1] / two.key[:16] / "last.ckpt").exists()


def test_alone_a_process_takes_whole_batches() -> None:
    rows = torch.arange(10)
    assert torch.equal(share(rows), rows)
    assert [len(batch) for batch in DeterministicLoader(lambda rows: rows, rows, 4, seed=0)] == [
        4,
        4,
        2,
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trainer.devices=2"], "trainer.strategy=ddp_fork"),
        (["trainer.strategy=ddp_fork"], "trainer.devices=2"),
        (["trainer.strategy=ddp", "trainer.devices=2"], "ddp_fork"),
        (["trainer.devices=0"], "trainer.devices=0"),
    ],
)
def test_devices_and_strategy_come_together(words: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        config.compose(["task=stock", *words])


def test_updates_that_cannot_be_shared_are_refused() -> None:
    from upgate.run.resolve import check_recipe

    with pytest.raises(UserError, match="layerwise=cyclic cannot be combined"):
        check_recipe(config.compose(["task=stock", "layerwise=cyclic", *TWO]))
