"""What disks and kills do to a file."""

from pathlib import Path

from hypothesis import strategies as st


def flip(path: Path, bit: int | None = None) -> None:
    """Flip one bit, of the byte in the middle where none is named."""
    content = bytearray(path.read_bytes())
    bit = len(content) // 2 * 8 if bit is None else bit
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Lose the second half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [flip, cut, empty]

Damage = tuple[str, float, int]  # flip or cut, where, which bit
damages = st.tuples(st.sampled_from(["flip", "flip", "cut"]), st.floats(0, 1), st.integers(0, 7))


def damage(content: bytes, how: Damage) -> bytes:
    """A content with one bit flipped, or without its end."""
    kind, place, bit = how
    at = int(place * (len(content) - 1))
    if kind == "cut" or not content:
        return content[:at]
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
