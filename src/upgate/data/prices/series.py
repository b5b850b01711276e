"""One ticker in several files, such as one for each year."""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from upgate.data.prices.table import Bars
from upgate.data.texts import say
from upgate.messages import joined

# AAA_2019, AAA-2019-10, 2019, AAA_2019_2020, AAA.2019Q1, AAA_part2, AAA (1)
PERIOD = r"(?:19|20)\d\d(?:[-_.]?(?:q[1-4]|h[12]|\d\d)){0,2}"
NUMBERED = re.compile(
    rf"^(.*?)[ _.\-]*(?:{PERIOD}(?:[ _.\-]+(?:to[ _\-])?{PERIOD})?|[ _\-]part[ _\-]?\d+|\(\d+\))$",
    re.IGNORECASE,
)


def join_series(cleaners: Mapping[str, Bars], tickers: Mapping[str, str], path: Path) -> list[str]:
    """Give files that follow each other, and are named by their years or parts, one ticker.

    tickers: of each file, from its name. Returns a sentence for each joined ticker, and for each
    group of such names whose days overlap.
    """
    groups: dict[str, list[str]] = {}
    for name, ticker in tickers.items():
        named_by_file = (cleaners[name].frame["ticker"] == ticker).all()
        found = NUMBERED.match(ticker)
        if found and named_by_file and len(cleaners[name].frame):
            groups.setdefault(found[1] or path.name, []).append(name)
    said: list[str] = []
    for base, names in groups.items():
        if len(names) < 2:
            continue
        order = sorted(names, key=lambda name: cleaners[name].frame["date"].min())
        listed = joined(order[:3])
        shown = say("and_more_of", names=listed) if len(order) > 3 else listed
        if not _follow(cleaners, order):
            said.append(say("overlap", names=shown, count=len(order)))
            continue
        for name in order:
            cleaners[name].frame = cleaners[name].frame.assign(ticker=base)
        said.append(say("follow", names=shown, base=base))
    return said


def _follow(cleaners: Mapping[str, Bars], order: list[str]) -> bool:
    spans = [cleaners[name].frame["date"] for name in order]
    return all(before.max() <= after.min() for before, after in pairwise(spans))
