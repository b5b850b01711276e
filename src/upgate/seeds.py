"""One seed, many independent streams: each has a purpose, so a new part shifts no other draw."""

from hashlib import sha256


def derive(seed: int, *purpose: str | int) -> int:
    """Return 63 bits of sha256("seed/purpose/..."); seed 0 is a seed like any other."""
    text = "/".join(str(word) for word in (seed, *purpose))
    return (
        int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1
    )  # 63 bits: fits torch's and NumPy's int64
