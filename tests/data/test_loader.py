"""Batch k of epoch e depends on (seed, e, k) alone, so a run that was cut off sees exactly what it
had not seen.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.loader import EPOCHS, Recorder, Validating, trainer
from upgate.data.loader import DeterministicLoader
from upgate.generators import generator
from upgate.seeds import derive

# Lightning 2.6.6's CombinedLoader meets torch 2.13's pytree
pytestmark = pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)

ROWS, SIZE = 20, 3  # 7 batches an epoch, the last one short


def same(rows: Tensor) -> Tensor:
    return rows


def batches(seed: int | None = 0, **more) -> DeterministicLoader:
    return DeterministicLoader(same, 100 + torch.arange(ROWS), SIZE, seed, **more)


def passes(loader: DeterministicLoader, n: int) -> list[list[list[int]]]:
    return [[batch.tolist() for batch in loader] for _ in range(n)]


def test_a_pass_holds_every_row_once_and_each_epoch_has_its_own_order() -> None:
    epochs = passes(batches(), 3)
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [3] * 6 + [2]
        assert sorted(row for batch in epoch for row in batch) == list(range(100, 120))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_a_batch_is_a_function_of_seed_epoch_and_number() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = passes(batches(), 3)
    assert torch.equal(before, torch.get_rng_state())  # no draw from the global generator
    torch.rand(7)
    loader = batches()
    for epoch in (2, 0, 1, 2):
        loader.set_epoch(epoch)
        assert passes(loader, 1) == [first[epoch]]
    assert passes(batches(seed=1), 3) != first


def test_without_a_seed_the_order_is_the_index() -> None:
    loader = batches(seed=None)
    assert [row for batch in loader for row in batch] == list(range(100, 120))
    assert passes(loader, 2) == passes(loader, 2)


def test_drop_last_drops_the_short_batch_of_that_order() -> None:
    whole, dropped = batches(), batches(drop_last=True)
    assert (
        len(whole) == 7 and len(dropped) == 6 and len(batches(drop_last=True)) == len(list(dropped))
    )
    assert passes(batches(drop_last=True), 2) == [epoch[:6] for epoch in passes(batches(), 2)]


def test_asking_for_an_iterator_does_nothing_and_a_broken_pass_is_not_continued() -> None:
    loader, reference = batches(), passes(batches(), 2)
    iter(loader), iter(loader)
    next(iter(loader))
    assert passes(loader, 1) == [reference[1]]


@pytest.mark.parametrize("position", range(8))
def test_a_state_continues_its_epoch(position: int) -> None:
    loader, reference = batches(), passes(batches(), 3)
    iterator = iter(loader)
    next(iterator), list(iterator)  # epoch 0
    iterator = iter(loader)
    for _ in range(position):
        next(iterator)
    state = loader.state_dict()
    assert state == (
        {"epoch": 1, "position": position} if position else {"epoch": 0, "position": 7}
    )
    other = batches()
    other.load_state_dict(state)
    assert other.state_dict() == state
    rest = (
        [] if position == 0 else reference[1][position:]
    )  # taken at the end of epoch 0: of that, nothing is left
    assert passes(other, 2) == [rest, reference[2] if position else reference[1]]


def test_take_makes_the_batch() -> None:
    table = torch.arange(200) ** 2
    loader = DeterministicLoader(lambda rows: {"x": table[rows]}, torch.tensor([3, 1, 2]), 2, None)
    assert [batch["x"].tolist() for batch in loader] == [[9, 1], [4]]


def fit(module: Recorder, checkpoint: Path | None = None, **changed) -> Recorder:
    validation = batches(None) if isinstance(module, Validating) else None
    trainer(**changed).fit(module, batches(), validation, ckpt_path=checkpoint, weights_only=True)
    return module


STEPS = {
    "batch": (1, 5, 6, 7, 8, 14, 20),
    "epoch": (7, 14),
    "validation": (7, 14),
}  # 7 and 14 end an epoch
CUTS = [(hook, step, Validating) for hook in STEPS for step in STEPS[hook]]
CUTS += [(hook, step, Recorder) for hook in ("batch", "epoch") for step in STEPS[hook]]


@pytest.mark.parametrize(("hook", "step", "kind"), CUTS)
def test_a_resumed_run_sees_the_remaining_batches(
    hook: str, step: int, kind: type[Recorder], tmp_path: Path
) -> None:
    cut = fit(kind(hook, step, tmp_path / "cut.ckpt"))
    assert cut.saved_after == step and len(cut.rows) == 7 * EPOCHS
    assert [cut.rows[i : i + 7] for i in range(0, 28, 7)] == passes(batches(), EPOCHS)
    resumed = fit(kind(), tmp_path / "cut.ckpt")
    assert resumed.rows == cut.rows[step:]
    assert resumed.weights == cut.weights[step:] and resumed.weight == cut.weight  # bit for bit


def test_resuming_inside_shortened_epochs(tmp_path: Path) -> None:
    cut = fit(Validating("batch", 7, tmp_path / "cut.ckpt"), limit_train_batches=5)
    assert cut.rows == [batch for epoch in passes(batches(), EPOCHS) for batch in epoch[:5]]
    assert fit(Validating(), tmp_path / "cut.ckpt", limit_train_batches=5).rows == cut.rows[7:]


def test_one_loader_in_two_fits_gives_the_same_run_twice() -> None:
    loader = batches()
    runs = []
    for epochs in (
        1,
        2,
        1,
    ):  # ends within epoch 0, so that the next fit asks for that very epoch again
        module = Recorder()
        trainer(max_epochs=epochs).fit(module, loader)
        runs.append(module.rows)
    assert runs[0] == runs[1][:7] == runs[2] and runs[1][7:] == passes(batches(), 2)[1]


# seeds


def test_seeds_are_derived_by_purpose() -> None:
    assert (
        derive(0, "order", 3) == 2723741169552378311
    )  # sha256("0/order/3"): the same on every machine
    purposes = [
        (s, p, e) for s in (0, 1, 2**40) for p in ("init", "order", "dropout") for e in (0, 1)
    ]
    assert len({derive(*purpose) for purpose in purposes}) == len(purposes)
    assert all(0 <= derive(*purpose) < 2**63 for purpose in purposes)


def test_generators_are_fresh_and_independent() -> None:
    a, b, c = (
        torch.randn(10_000, generator=generator(*p))
        for p in ((0, "init"), (0, "init"), (0, "order"))
    )
    assert torch.equal(a, b) and abs(torch.corrcoef(torch.stack([a, c]))[0, 1]) < 0.05
