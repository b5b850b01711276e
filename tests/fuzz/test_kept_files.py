"""Files that are read back, with a flipped bit or cut: the right value, or one sentence."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.files import damage, damages
from helpers.fuzz import cases
from helpers.store import fresh, key
from upgate.data.prices.sources import load_prices
from upgate.data.reviews.baselines import linear
from upgate.data.reviews.nb_logistic import log_odds
from upgate.data.reviews.tokenizer import cached_tokenizer, tokenize
from upgate.errors import UserError
from upgate.files import write_atomic
from upgate.run.callbacks import BestCheckpoint
from upgate.run.table_cache import TableCache
from upgate.run.train import is_whole
from upgate.store.store import Store

TEXTS = ["a fine film", "a dull film", "fine and kind", "dull and long"]
LABELS = np.array([1, 0, 1, 0])
PRICES = load_prices({"source": "sp500", "start": 2014, "end": "2014-03", "bad": "refuse"})


def make_table(folder: Path) -> Any:
    cache = TableCache(str(folder))
    cache.save(PRICES)
    return cache.load(PRICES.hash(), type(PRICES)).hash()


def load_table(folder: Path) -> Any:
    """What a worker reads."""
    if not list(folder.glob("tables/*.parquet")):
        make_table(folder)
    return TableCache(str(folder)).load(PRICES.hash(), type(PRICES)).hash()


def tokens(folder: Path) -> Any:
    fitted = cached_tokenizer(TEXTS, "words", 20, folder)
    corpus = tokenize(fitted, TEXTS, 5, folder)
    return fitted, corpus.tokens.tolist(), corpus.ends.tolist()


def logits(folder: Path) -> Any:
    model, new = log_odds(TEXTS, LABELS, ["a fine day"], 2, folder)
    return model.coefficients.tobytes(), model.intercept.tolist(), new.tolist()


CACHES: list[Callable[[Path], Any]] = [
    make_table,
    load_table,
    tokens,
    lambda folder: linear(TEXTS, LABELS, ["a fine day"], 2, folder).tolist(),
    logits,
]


@dataclass(frozen=True)
class Kept:
    """A cache's folder, what it gives, and its files' contents."""

    make: Callable[[Path], Any]
    folder: Path
    value: Any
    files: dict[Path, bytes]


KEPT: list[Kept] = []  # no argument of a property: what fails would be printed with megabytes


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    logging.disable(logging.WARNING)
    for make in CACHES:
        folder = tmp_path_factory.mktemp("cache")
        value = make(folder)
        paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
        KEPT.append(Kept(make, folder, value, {path: path.read_bytes() for path in sorted(paths)}))
    yield
    KEPT.clear()
    logging.disable(logging.NOTSET)


@given(st.data())
@cases(40)
def test_a_damaged_cache_is_made_again_or_refused(data: st.DataObject) -> bool:
    one = KEPT[data.draw(st.sampled_from(range(len(CACHES))))]
    path = data.draw(st.sampled_from(sorted(one.files)))
    path.write_bytes(damage(one.files[path], data.draw(damages)))
    try:
        assert one.make(one.folder) == one.value
    except UserError as error:
        assert str(error) and "\n" not in str(error)
        return False
    finally:
        for path, content in one.files.items():
            path.write_bytes(content)
    return True


@given(st.sampled_from(["best.ckpt", "last.ckpt"]), st.booleans(), damages, st.binary(min_size=9))
@cases(40)
def test_a_run_goes_on_from_whole_states_alone(
    tmp_path_factory: pytest.TempPathFactory, name: str, note: bool, how: Any, content: bytes
) -> bool:
    checkpoint = BestCheckpoint(tmp_path_factory.getbasetemp())
    for path in (checkpoint.best, checkpoint.last):
        path.unlink(missing_ok=True)
        write_atomic(path, lambda file: file.write(content), hashed=True)
    damaged = checkpoint.last.with_name(f".{name}.sha256" if note else name)
    damaged.write_bytes(damage(damaged.read_bytes(), how))
    whole = is_whole(checkpoint)
    assert not whole or checkpoint.best.read_bytes() == checkpoint.last.read_bytes() == content
    return whole


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """A store, and a run of it that kept a text, as searches and studies do."""
    store = fresh(tmp_path_factory.mktemp("kept") / "runs")
    with store.run("stock", "one", key("one"), {}, {}, None, False) as run:
        run.text('{"value": 0.125, "name": "one"}', "result.json")
    return store, run.id


@given(st.sampled_from(["here", "its hash", "in the store"]), damages, damages, st.booleans())
@cases(40)
def test_a_damaged_file_of_a_search_is_fetched_or_refused(
    stored: tuple[Store, str], where: str, how: Any, again: Any, twice: bool
) -> bool:
    store, run_id = stored
    folder = store.root / "tunes" / "one"
    folder.mkdir(parents=True, exist_ok=True)
    (there,) = store.root.glob("artifacts/**/result.json")
    content = there.read_bytes()
    here, note = folder / "result.json", folder / ".result.json.sha256"
    write_atomic(here, lambda file: file.write(content), hashed=True)
    places = {"here": here, "its hash": note, "in the store": there}
    damaged = [places[where], *([here] if twice and where != "here" else [])]
    for path, one in zip(damaged, (how, again), strict=False):
        path.write_bytes(damage(path.read_bytes(), one))
    try:
        assert store.file(run_id, "result.json", folder).read_bytes() == content
    except UserError as error:
        assert "\n" not in str(error)
        return False
    finally:
        there.write_bytes(content)
        note.unlink()
        here.unlink()  # else what is there without a hash counts as the user's own
    return True
