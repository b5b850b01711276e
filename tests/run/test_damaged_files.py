"""A run's damaged files: trained afresh, fetched from the store, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from helpers.files import DAMAGES, cut, flip
from helpers.run import numbers, results, train
from upgate.cli.entry import main
from upgate.errors import UserError
from upgate.run.callbacks import BestCheckpoint
from upgate.store.store import Store
from upgate.study.load import table_reader

WORDS = ["twin=false", "data.start=2016", "model.skip=none"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed") / "runs"
    assert train(root, *WORDS)[0] == 0
    return root


def interrupt(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """End a training after its first epoch; its folder."""
    save = BestCheckpoint.on_train_epoch_end

    def end(self: BestCheckpoint, trainer: Any, module: Any) -> None:
        save(self, trainer, module)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BestCheckpoint, "on_train_epoch_end", end)
        assert train(root, *WORDS)[0] == 130
    (last,) = root.glob("*/last.ckpt")
    return last.parent


@pytest.mark.parametrize(
    ("name", "damage"), [("last.ckpt", flip), ("last.ckpt", cut), ("best.ckpt", flip)]
)
def test_a_run_with_a_damaged_state_starts_afresh(
    name: str,
    damage: Callable[[Path], None],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = tmp_path / "runs"
    damage(interrupt(root, monkeypatch) / name)
    assert train(root, *WORDS)[0] == 0
    assert caplog.text.count("the run starts afresh") == 1
    (found,), (wanted,) = results(root).values(), results(trained).values()
    assert numbers(found) == numbers(wanted) and found["weights"] == wanted["weights"]


def test_an_intact_state_is_gone_on_from(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(tmp_path / "runs", monkeypatch)
    assert train(tmp_path / "runs", *WORDS)[0] == 0 and "afresh" not in caplog.text
    (found,), (wanted,) = results(tmp_path / "runs").values(), results(trained).values()
    assert numbers(found) == numbers(wanted)


def forecast(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["predict", f"root={root}"])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_configuration_is_fetched_or_refused(
    damage: Callable[[Path], None],
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = forecast(trained, capsys)
    assert before[0] == 0
    (kept,) = trained.glob("*/config.yaml")
    (copy,) = trained.glob("artifacts/**/config.yaml")
    whole = kept.read_bytes()
    damage(kept)
    assert forecast(trained, capsys) == before and kept.read_bytes() == whole
    assert caplog.text.count("it was fetched again") == 1
    damage(kept)
    damage(copy)
    code, _, said = forecast(trained, capsys)
    copy.unlink()
    assert (code, said.count("\n")) == (2, 1) and "damaged here and in the store" in said
    code, _, said = forecast(trained, capsys)
    assert (code, said.count("\n")) == (2, 1) and "config.yaml is damaged, and run" in said
    kept.write_bytes(whole)
    copy.write_bytes(whole)
    assert forecast(trained, capsys) == before


def test_a_damaged_result_is_written_again(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    (found,) = trained.glob("*/result.json")
    whole = json.loads(found.read_text())
    flip(found)
    assert train(trained, *WORDS)[0] == 0  # of a stored run
    assert json.loads(found.read_text()) == whole and caplog.text.count("it is made again") == 1


def test_what_another_machine_trained_is_verified_by_the_hash_in_the_store(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "runs"
    shutil.copytree(trained, root)
    (row,) = [row for row in Store(root).rows() if not row.is_parent]
    shutil.rmtree(root / row.key[:16])
    artifacts = Path(Store(root).client.get_run(row.run_id).info.artifact_uri)
    before = {name: (artifacts / name).read_bytes() for name in ("config.yaml", "curve.parquet")}
    read = table_reader(Store(root))
    try:
        for name in before:
            flip(artifacts / name)
        with pytest.raises(UserError, match="it is damaged in the store"):
            read(row, "curve")
        assert main(["predict", f"root={root}"]) == 2
        assert "config.yaml of run" in (said := capsys.readouterr().err) and said.count("\n") == 1
    finally:
        for name, content in before.items():
            (artifacts / name).write_bytes(content)
    assert len(read(row, "curve")) == 2 and main(["predict", f"root={root}"]) == 0


def test_tables_of_a_report_are_fetched(trained: Path) -> None:
    store = Store(trained)
    (row,) = [row for row in store.rows() if not row.is_parent]
    (path,) = trained.glob("*/curve.parquet")
    read, whole = table_reader(store), path.read_bytes()
    wanted = read(row, "curve")
    flip(path, 8 * (len(whole) // 3))
    pd.testing.assert_frame_equal(read(row, "curve"), wanted)
    assert path.read_bytes() == whole
