"""Words and files for a stored run, and its checkpoint with one bit flipped."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.files import Damage, damage, damages
from helpers.fuzz import cases, check_command, command
from helpers.fuzz_files import damaged
from helpers.fuzz_words import overrides
from helpers.run import train
from upgate.data.prices.sources import load_prices
from upgate.execution.run_job import complete_stored
from upgate.store.store import Store


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("stored") / "runs"
    assert train(root, "twin=false", "trainer.max_epochs=1", "recipe=traditional")[0] == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root.parent)  # where a drawn word may write
        yield root


@pytest.fixture(scope="module")
def prices(root: Path) -> Path:
    given_prices = {"source": "sp500", "start": 2014, "end": "2016", "bad": "refuse"}
    path = root.parent / "prices.csv"
    load_prices(given_prices).table.tail(40).to_csv(path, index=False)
    return path


PREDICT = st.sampled_from(
    [
        *("run=latest", "run=", "run=0", "run=..", "out=", "out=x.csv", "out=/dev/null", "out=."),
        *("data.path=", "data.path=.", "data.path=/dev/zero", "data.path=prices.csv", "interval=0"),
        *("interval=0.9", "interval=nan", "data.bad=drop", "data.tickers=[AAA]", "text=1", "end=x"),
        *("data.start=2016", "data.end=1999", "data.end=2016-13", "data.decimal=point", "out=a/b"),
        *("data.suspicious=drop", "data.source=sp500", "data.source=nothing", "run=latest=latest"),
    ]
)
REPORT = st.sampled_from(
    [
        *("study=latest", "study=..", "study=/etc/passwd", "tune=latest", "experiment=latest"),
        *("out=x.html", "out=/dev/null", "out=.", "report.language=zh", "report.language=xx"),
    ]
)


@given(st.lists(PREDICT | overrides(), max_size=4))
@cases(8)
def test_words_of_predict(root: Path, prices: Path, words: list[str]) -> bool:
    kept = [word for word in words if not word.startswith(("root", "-", "data.source=yahoo"))]
    return check_command("predict", f"root={root}", *kept)


@given(st.lists(REPORT | overrides(), max_size=4))
@cases(8)
def test_words_of_report(root: Path, words: list[str]) -> bool:
    kept = [word for word in words if not word.startswith(("root", "-"))]
    return check_command("report", f"root={root}", *kept)


def forecast(root: Path, prices: Path) -> tuple[int, str, str]:
    return command("predict", f"root={root}", "run=latest", f"data.path={prices}")


@given(st.data())
@cases(4)
def test_damaged_prices_to_predict(root: Path, prices: Path, data: st.DataObject) -> bool:
    content = data.draw(damaged([prices.read_bytes()]))
    path = prices.with_name("damaged.csv")
    path.write_bytes(content)
    return check_command("predict", f"root={root}", f"data.path={path}")


@given(st.floats(0, 1), st.integers(0, 7), st.booleans())
@cases(4)
def test_a_flipped_bit_of_a_checkpoint_changes_no_forecast(
    root: Path, prices: Path, place: float, bit: int, in_store_too: bool
) -> bool:
    """It is fetched again from the store, or refused where the store's file has it too."""
    (row,) = (row for row in Store(root).rows() if not row.is_parent)
    here = root / row.key[:16] / "best.ckpt"
    (there,) = (path for path in (root / "artifacts").rglob("best.ckpt") if row.run_id in str(path))
    original = there.read_bytes()
    expected = forecast(root, prices)
    flipped = bytearray(original)
    flipped[int(place * (len(flipped) - 1))] ^= 1 << bit
    try:
        for path in (here, there) if in_store_too else (here,):
            path.write_bytes(flipped)
        code, out, err = forecast(root, prices)
    finally:
        there.write_bytes(original)
        shutil.copyfile(there, here)
    if in_store_too:
        assert code == 2 and "is not what was written" in err
        return False
    assert (code, out) == expected[:2] and "fetched again" in err
    return True


FILES = ["config.yaml", "result.json", "curve.parquet", "forecasts.parquet"]


@given(st.sampled_from(FILES), st.booleans(), damages)
@cases(6)
def test_a_damaged_file_of_a_run_changes_nothing(
    root: Path, prices: Path, name: str, note: bool, how: Damage
) -> bool:
    """The same forecast, or a sentence; the same result, written again."""
    store = Store(root)
    (row,) = (row for row in store.rows() if not row.is_parent)
    folder = root / row.key[:16]
    paths = [folder / one for file in FILES for one in (file, f".{file}.sha256")]
    before = {path: path.read_bytes() for path in paths}
    expected, path = forecast(root, prices), folder / (f".{name}.sha256" if note else name)
    path.write_bytes(damage(before[path], how))
    try:
        code, out, err = forecast(root, prices)
        complete_stored(row, None, store)
        result = json.loads((folder / "result.json").read_text())
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    assert result == json.loads(before[folder / "result.json"])
    assert (code, out) == expected[:2] or (code == 2 and err.count("upgate: ") == 1)
    return code == 0
