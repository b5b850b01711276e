"""Types that annotate the parameters of the sources of prices."""

from datetime import date
from typing import Annotated, Any, Literal

from upgate.config.schema import Range


def as_list(value: Any) -> list[Any]:
    """The value as a list; None, which leaves the choice to the source, is an empty one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_day(value: Any) -> bool:
    return value is None or type(value) in (str, int, date)


def _are_tickers(value: Any) -> bool:
    """Texts, or whole numbers: Chinese codes."""
    return all(type(name) in (str, int) and str(name).strip() for name in as_list(value))


Bad = Literal["refuse", "drop"]
# Bars that jump as no market does are named (null), left out, or taken as real.
Suspicious = Literal["drop", "accept"] | None
Decimal = Literal["point", "comma"] | None
Day = Annotated[Any, Range("a day, a month or a year, as in 2010-12-31", _is_day)]
Tickers = Annotated[
    Any,
    Range(
        "a ticker or a list of them, as in [AAPL,MSFT]; one that is a word of the language's own, "
        "such as TRUE, NULL or NAN, stands in quotes: 'data.tickers=[\"TRUE\"]'",
        _are_tickers,
    ),
]
