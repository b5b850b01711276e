"""The checkout that is tested, its scripts, and the real data that may lie beside it."""

import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
CARDS = REPO / "docs" / "parts"
SHARED_DATA = REPO.parent / "shared" / "data"  # real files; not a part of the checkout

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason="the real files in ../shared/data are not here"
)
needs_shared_prices = pytest.mark.skipif(
    not (SHARED_DATA / "stock").is_dir(), reason="needs the real prices in ../shared/data"
)
needs_shared_reviews = pytest.mark.skipif(
    not (SHARED_DATA / "sentiment").is_dir(), reason="needs the real reviews in ../shared/data"
)


def script(name: str) -> dict[str, Any]:
    """The globals of bench/<name>.py, which may import its neighbours."""
    folder = str(REPO / "bench")
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(f"{folder}/{name}.py")
    finally:
        sys.path.remove(folder)
