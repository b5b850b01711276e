"""Length buckets: every text once an epoch, little padding, another mix each epoch, and the resume
protocol of `DeterministicLoader`.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.loader import Recorder, Validating, trainer
from helpers.project import SHARED_DATA
from upgate.data.bucketed_loader import BucketedLoader
from upgate.data.loader import DeterministicLoader
from upgate.data.reviews.tokenizer import fit_tokenizer, token_batches, tokenize

SIZE, N = 4, 450  # 113 batches, the last of 2; three pools
INDEX = 1000 - 2 * torch.arange(N)  # rows of a table of 1001


def same(rows: Tensor) -> Tensor:
    return rows


def lengths_of(seed: int = 0) -> Tensor:
    """Lengths as in reviews: median 173, some a tenth and some ten times of it."""
    return (
        (173 * torch.randn(1001, generator=torch.Generator().manual_seed(seed)).mul(0.7).exp())
        .long()
        .clamp(1, 512)
    )


LENGTHS = lengths_of()


def buckets(
    seed: int | None = 0, index: Tensor = INDEX, size: int = SIZE, **more
) -> BucketedLoader:
    return BucketedLoader(same, index, LENGTHS, size, seed, **more)


def passes(loader: DeterministicLoader, n: int) -> list[list[list[int]]]:
    return [[batch.tolist() for batch in loader] for _ in range(n)]


def padding(loader: DeterministicLoader, lengths: Tensor = LENGTHS) -> float:
    """Return the share of padding in one pass."""
    each = [lengths[rows] for rows in loader.order(0).split(loader.batch_size)]
    return 1 - sum(int(one.sum()) for one in each) / sum(int(one.max()) * len(one) for one in each)


@pytest.mark.parametrize("n", [1, 3, 4, 5, 199, 200, 201, 450])
@pytest.mark.parametrize("seed", [0, None])
def test_a_pass_holds_every_row_once(n: int, seed: int | None) -> None:
    loader = buckets(seed, INDEX[:n])
    for epoch in passes(loader, 2):
        assert [len(batch) for batch in epoch] == [SIZE] * (n // SIZE) + [n % SIZE] * (
            n % SIZE > 0
        ) and len(epoch) == len(loader)
        assert sorted(row for batch in epoch for row in batch) == sorted(INDEX[:n].tolist())


def test_batches_hold_like_lengths_in_random_order() -> None:
    means = torch.tensor([LENGTHS[batch].float().mean() for batch in buckets()][:-1])
    within = sum(LENGTHS[batch].float().var(correction=0) for batch in list(buckets())[:-1]) / (
        len(means) * means.var()
    )
    assert within < 0.02  # of the variance of lengths: nearly all is between batches
    neighbours = torch.corrcoef(torch.stack([means[:-1], means[1:]]))[0, 1]
    assert abs(neighbours) < 0.3  # and from one batch to the next nothing is left of the sorting
    assert padding(buckets()) < 0.04 < 0.4 < padding(DeterministicLoader(same, INDEX, SIZE, 0))


def test_epochs_differ_in_the_company_a_row_is_in_and_in_order() -> None:
    first, second, third = passes(buckets(), 3)
    company = [{frozenset(batch) for batch in epoch} for epoch in (first, second, third)]
    assert all(
        len(one & other) <= 5 for one, other in ((company[0], company[1]), (company[1], company[2]))
    )
    one, other = (
        torch.tensor([LENGTHS[batch].float().mean() for batch in epoch[:-1]])
        for epoch in (first, second)
    )
    assert (
        abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.3
    )  # long texts do not come at the same steps again
    assert passes(buckets(seed=1), 1) != [first]


def test_a_batch_is_a_function_of_seed_epoch_and_number() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = passes(buckets(), 3)
    assert torch.equal(before, torch.get_rng_state())  # no draw from the global generator
    loader = buckets()
    for epoch in (2, 0, 1, 2):
        loader.set_epoch(epoch)
        assert passes(loader, 1) == [first[epoch]]


def test_the_short_batch_and_what_drop_last_drops_is_a_fair_sample() -> None:
    whole, dropped = buckets(), buckets(drop_last=True)
    assert len(whole) == 113 and len(dropped) == 112
    assert passes(dropped, 2) == [epoch[:-1] for epoch in passes(whole, 2)]
    left = torch.cat([LENGTHS[whole.order(epoch)[-2:]] for epoch in range(300)]).float()
    all_of_them = LENGTHS[INDEX].float()
    assert abs(left.mean() - all_of_them.mean()) < 4 * all_of_them.std() / 600**0.5


def test_evaluation_is_sorted_and_inverse_undoes_it() -> None:
    loader = buckets(None)
    given = torch.cat(list(loader))
    assert (LENGTHS[given].diff() <= 0).all()
    assert torch.equal(given[loader.inverse()], INDEX)
    assert passes(loader, 2) == passes(buckets(None), 2)
    repeated = BucketedLoader(same, INDEX[[3, 1, 3, 0]], LENGTHS, 3, None)  # a bootstrap's index
    assert torch.equal(torch.cat(list(repeated))[repeated.inverse()], INDEX[[3, 1, 3, 0]])


@pytest.mark.parametrize("position", [1, 2, 57, 112, 113])
def test_a_state_continues_its_epoch(position: int) -> None:
    loader, reference = buckets(), passes(buckets(), 3)
    list(loader)  # epoch 0
    iterator = iter(loader)
    for _ in range(position):
        next(iterator)
    other = buckets()
    other.load_state_dict(loader.state_dict())
    assert passes(other, 2) == [reference[1][position:], reference[2]]


@pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
)  # Lightning 2.6 on torch 2.13
@pytest.mark.parametrize(
    ("hook", "step"), [("batch", 1), ("batch", 9), ("batch", 10), ("validation", 5), ("epoch", 10)]
)
def test_a_resumed_training_is_the_undisturbed_one(hook: str, step: int, tmp_path: Path) -> None:
    def fit(module: Recorder, checkpoint: Path | None = None) -> Recorder:
        validation = buckets(None, INDEX[20:25])
        trainer(max_epochs=3).fit(
            module, buckets(0, INDEX[:18]), validation, ckpt_path=checkpoint, weights_only=True
        )
        return module

    cut = fit(Validating(hook, step, tmp_path / "cut.ckpt"))
    assert cut.saved_after == step and cut.rows == [
        batch for epoch in passes(buckets(0, INDEX[:18]), 3) for batch in epoch
    ]
    resumed = fit(Validating(), tmp_path / "cut.ckpt")
    assert resumed.rows == cut.rows[step:] and resumed.weight == cut.weight  # bit for bit


def test_padding_on_real_reviews() -> None:
    if not (path := SHARED_DATA / "sentiment" / "imdb_50k.parquet").exists():
        pytest.skip(f"{path.name} is not in ../shared/data/sentiment")
    reviews = pytest.importorskip("pandas").read_parquet(path, columns=["text"]).text[::8].tolist()
    corpus = tokenize(fit_tokenizer(reviews[::3], "words", 10_000), reviews, 512, None)
    index = torch.arange(len(reviews))
    load = token_batches(corpus, torch.zeros(len(reviews), dtype=torch.int64))
    assert padding(DeterministicLoader(load, index, 64, 0), corpus.lengths) > 0.45
    assert padding(BucketedLoader(load, index, corpus.lengths, 64, 0), corpus.lengths) < 0.05
    shares = [
        (batch["x"] == 0).float().mean()
        for batch in BucketedLoader(load, index, corpus.lengths, 64, None)
    ]
    assert sum(shares) / len(shares) < 0.02
