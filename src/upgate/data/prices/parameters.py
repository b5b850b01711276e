"""Types that annotate the parameters of the sources of prices."""

from typing import Annotated, Any, Literal

from upgate.config.schema import Range


def as_list(value: Any) -> list[Any]:
    """The value as a list; None, which leaves the choice to the source, is an empty one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


Bad = Literal["refuse", "drop"]
# Bars that jump as no market does are named (null), left out, or taken as real.
Suspicious = Literal["drop", "accept"] | None
Decimal = Literal["point", "comma"] | None
DAY = {"type": ["string", "integer", "null"]}
TICKER = {"type": ["string", "integer"], "pattern": r"\S"}  # a Chinese code is a whole number
TICKERS = {"anyOf": [{"type": "null"}, TICKER, {"type": "array", "items": TICKER}]}
Day = Annotated[Any, Range("a day, a month or a year, as in 2010-12-31", DAY)]
Tickers = Annotated[
    Any,
    Range(
        "a ticker or a list of them, as in [AAPL,MSFT]; one that is a word of the language's own, "
        "such as TRUE, NULL or NAN, stands in quotes: 'data.tickers=[\"TRUE\"]'",
        TICKERS,
    ),
]
