"""What the readers make of real files: rows kept and rows left out, or the one sentence that a file
is refused with.

python bench/raw_files.py [data=../shared/data/raw]   prints a table in Markdown

Every file goes to both readers, whatever it holds: a file of the wrong kind has to be refused in
one sentence too.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upgate.cli.arguments import read_options
from upgate.data.prices.reader import read_prices
from upgate.data.reviews.reader import read_reviews
from upgate.errors import UserError

REFUSED = "refused: "


def told(read: Callable[..., Any], path: Path, **more: str) -> str:
    """A file's table in a few words: its rows, and what was dropped for which reason; or the
    sentence.
    """
    try:
        made = read(path, **more)
    except UserError as error:
        return REFUSED + str(error).replace(f"{path.parent}/", "").replace("|", "\\|")
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in made.dropped.items())
    return f"{len(made.table):,} rows" + (f"; dropped: {dropped}" if dropped else "")


def as_prices(path: Path) -> tuple[str, str]:
    """What the price reader says, and what it says with `data.bad=drop` where only that helps."""
    plain = told(read_prices, path)
    dropping = told(read_prices, path, bad="drop") if plain.startswith(REFUSED) else ""
    return plain, "" if dropping.startswith(REFUSED) else dropping


def main(words: list[str]) -> None:
    asked = read_options({"data": "../shared/data/raw"}, words)
    files = [path for path in sorted(Path(asked["data"]).iterdir()) if path.is_file()]
    print("| file | as prices | as prices, `data.bad=drop` | as reviews |\n|---|---|---|---|")
    for path in files:
        print(
            f"| {' | '.join([path.name, *as_prices(path), told(read_reviews, path)])} |", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
