"""Files that are read back: a flipped bit, a lost end and a kill at any moment are told apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.files import DAMAGES, flip
from upgate import files
from upgate.files import hash_file, is_intact, is_kept, known_hashes, note_hash, write_text


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_intact_and_is_removed(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.json"
    write_text(path, "{}\n")
    assert is_intact(path) and is_kept(path) and not caplog.text
    damage(path)
    assert not is_intact(path) and not is_kept(path) and not path.exists()
    assert caplog.text.count(f"{path} is damaged") == 1
    write_text(path, "{}\n")
    assert is_kept(path)


def test_every_bit_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "1.5")
    for bit in range(24):
        flip(path, bit)
        assert not is_intact(path)
        flip(path, bit)
        assert is_intact(path)


def test_a_file_without_a_hash_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text("{}")
    assert is_kept(path) and known_hashes(path) == []
    write_text(path, "{}")  # from here on it has one
    flip(path)
    assert not is_intact(path)


@pytest.mark.parametrize("before", [None, write_text, Path.write_text])
def test_a_kill_before_the_file_is_replaced_leaves_an_intact_one(
    before: Callable[[Path, str], object] | None, tmp_path: Path
) -> None:
    path, new = tmp_path / "a.json", tmp_path / "new"
    if before:
        before(path, "old")
    for text in ("new", "newer"):
        new.write_text(text)
        note_hash(path, new)  # and no more: the process is killed here
        assert is_kept(path) == (before is not None)
    new.replace(path)
    assert is_intact(path)


def test_damage_to_the_hash_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "{}")
    for damage in DAMAGES:
        damage(tmp_path / ".a.json.sha256")
        assert not is_intact(path)


def test_a_file_is_read_for_its_hash_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "a.json", list[Path]()
    write_text(path, "{}")
    monkeypatch.setattr(files, "hash_file", lambda path: read.append(path) or hash_file(path))
    assert all(is_intact(path) for _ in range(3)) and read == [path]
    path.write_text("{ }")
    assert not is_intact(path) and read == [path, path]
