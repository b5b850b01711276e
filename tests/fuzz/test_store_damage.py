"""Logs with flipped bits and runs that others wrote: the rest is read, nothing leaves the store."""

import logging
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.fuzz import cases, check_command, command
from helpers.store import fresh, points
from upgate.store.record import NAMING_TAGS
from upgate.store.store import Store
from upgate.store.tracking import Point
from upgate.store.write_ahead_log import decode_line, encode_line

KEY = "a" * 64
DEAD = "999999999"  # no process has that number
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
DEEP = st.sampled_from([b"[" * 9000, b'{"op":' * 3000, b"1" * 9000])
ops = st.fixed_dictionaries({"op": st.text(max_size=10)}, optional={"m": json_values})


@given(ops, st.data())
@cases(300)
def test_a_line_with_a_flipped_bit_is_no_line(op: dict, data: st.DataObject) -> None:
    line = encode_line(op)[:-1]
    assert decode_line(line, has_sum=True) == op
    bit = data.draw(st.integers(0, 8 * len(line) - 1))
    flipped = bytearray(line)
    flipped[bit // 8] ^= 1 << bit % 8
    assert decode_line(bytes(flipped), has_sum=True) is None
    assert decode_line(bytes(flipped)) is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | DEEP)
@cases(300)
def test_bytes_are_a_line_or_none(content: bytes) -> bool:
    op = decode_line(content)
    assert op is None or isinstance(op, dict)
    return op is not None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    logging.disable(logging.WARNING)
    yield fresh(tmp_path_factory.mktemp("fuzz") / "runs")
    logging.disable(logging.NOTSET)


def leave_log(store: Store, n: int) -> tuple[str, Path, bytes]:
    """A run whose owner is dead, its log of n losses, and the log's content."""
    key = f"{n:064x}"
    with store.run("stock", "one", key, {}, {}, None, False) as run:
        pass
    store.tracking.set_status(run.id, "RUNNING", None)
    owner = {"upgate.host": socket.gethostname(), "upgate.pid": DEAD}
    store.tracking.set_tags(run.id, {"upgate.pid": DEAD})
    lines = [{"run": run.id, "name": "one", "sums": True, **owner}]
    lines += [{"op": "metrics", "t": 1, "s": s, "m": {"loss": s / 2}} for s in range(6)]
    store.open.mkdir(parents=True, exist_ok=True)
    return run.id, store.log_path(key), b"".join(map(encode_line, lines))


damages = st.tuples(st.sampled_from(["flip", "cut", "zero", "put"]), st.floats(0, 1), st.binary())
numbers = iter(range(10**9))


@given(st.lists(damages, min_size=1, max_size=4))
@cases(8)
def test_a_damaged_log_gives_its_whole_lines(store: Store, drawn: list) -> None:
    run_id, path, content = leave_log(store, next(numbers))
    damaged = bytearray(content)
    for kind, place, piece in drawn:
        at = int(place * (len(damaged) - 1))
        if kind == "flip" and damaged:
            damaged[at] ^= 1 << len(piece) % 8
        elif kind == "cut":
            del damaged[at : at + 1 + len(piece) * 5]
        elif kind == "zero":
            damaged[at : at + 40] = bytes(len(damaged[at : at + 40]))
        else:
            damaged[at:at] = piece
    path.write_bytes(damaged)
    store.reconcile()
    whole = {line for line in bytes(damaged).split(b"\n") if line in content.split(b"\n")[1:-1]}
    has_header = damaged.startswith(content.split(b"\n")[0] + b"\n")
    expected = {decode_line(line)["s"] for line in whole} if has_header else set()  # type: ignore[index]
    complete = set() if damaged.endswith(b"\n") else {bytes(damaged).rpartition(b"\n")[2]}
    torn = {decode_line(line)["s"] for line in complete & whole}  # type: ignore[index]
    found = points(store, run_id, "loss")
    assert all(value == step / 2 for step, value in found) and len(set(found)) == len(found)
    assert expected - torn <= {step for step, _ in found} <= expected
    assert not path.exists() and store.reconcile() == []
    (row,) = (row for row in store.rows() if row.run_id == run_id)
    assert row.status == "KILLED"


names = st.sampled_from(
    [
        *("upgate.key", "upgate.task", "upgate.kind", "upgate.role", "upgate.level", "upgate.seed"),
        *("upgate.fold", "upgate.changes", "upgate.recipe", "upgate.weights", "upgate.diverged"),
        *("upgate.host", "upgate.pid", "upgate.root", "upgate.source", "upgate.checkpoint"),
        *("upgate.command", "upgate.git", "upgate.status", "mlflow.parentRunId", *NAMING_TAGS),
    ]
)
ODD = [
    *("", "..", ".", "/", "/etc/passwd", "../../../tmp/evil", "~", "null", "[]", "{", "{}", "1"),
    *("-1", "1e999", "nan", "x" * 400, "a" * 64, "b" * 64, "stock", "sentiment", "evil", "run"),
    *("parent", "pair", "true", "\x00", "\n", "\u202e", "<script>", "[1]", '"a"', '["a"]', "[[]]"),
    *("RUNNING", "traditional", "upgraded", "twin", "999999999999999999999", "0", "study", "tune"),
]
odd = st.sampled_from(ODD) | st.text(max_size=12)
tags = st.dictionaries(names, odd, max_size=6)
metrics = st.dictionaries(
    st.sampled_from(["test/mse_ratio", "val/score", "test/accuracy", "difference/x", "seconds"]),
    st.floats(allow_nan=False, allow_infinity=False),
    max_size=2,
)
READING = (
    *(("runs",), ("runs", "--json"), ("runs", "task=stock"), ("report", "study=latest")),
    *(("report", "tune=latest"), ("report", "experiment=latest"), ("predict", "run=latest")),
)


@given(
    st.sampled_from(READING),
    tags,
    metrics,
    st.sampled_from(["FINISHED", "FAILED", "KILLED", "RUNNING"]),
    st.booleans(),
)
@cases(10)
def test_a_run_of_others_spoils_no_command(
    words: tuple[str, ...],
    drawn: dict[str, str],
    numbers: dict[str, float],
    status: str,
    is_plausible: bool,
) -> None:
    usual = {"upgate.key": "b" * 64, "upgate.task": "stock", "upgate.kind": "run"}
    with tempfile.TemporaryDirectory() as folder:
        store = fresh(Path(folder) / "runs")
        with store.run("stock", "ours", KEY, {}, {"upgate.role": "run"}, None, False):
            pass
        all_tags = (usual if is_plausible else {}) | drawn
        experiment = store.experiment("stock")
        run_id = store.tracking.create_run(experiment, "odd \x1b[31m", all_tags, 1)
        store.tracking.log_points(run_id, [Point(k, v, 1, 0) for k, v in numbers.items()])
        store.tracking.set_status(run_id, status, None if status == "RUNNING" else 2)
        check_command(*words, f"root={store.root}")
        assert "ours" in command("runs", f"root={store.root}")[1]
        assert [path.name for path in Path(folder).iterdir()] == ["runs"]
