"""Numbers as people write them: marks of decimals and thousands, currencies, units.

Which mark is which is decided by a table's columns, never cell by cell: 1,234 is 1234 in one
country and 1.234 in another. Where nothing decides, the table is refused: a guess would be wrong by
a factor of 1000 without a word.
"""

import re

import numpy as np
import pandas as pd

from upgate.errors import UserError

MISSING = ("", "-", "--", "none", "nan", "null", "n/a", "<na>", "na", "n.a.", "—")
# Units of volumes; 万 and 亿 are 10^4 and 10^8.
UNITS = {
    "": 1.0,
    "k": 1e3,
    "m": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "mio": 1e6,
    "mrd": 1e9,
    "t": 1e12,
    "万": 1e4,
    "萬": 1e4,
    "亿": 1e8,
    "億": 1e8,
    "тыс": 1e3,
    "млн": 1e6,
    "млрд": 1e9,
}
CURRENCY = re.compile(
    r"[$€£¥₹₩₽₺฿₴₫元円원]|R\$|(?<![a-z])(?:usd|eur|gbp|gbx|chf|jpy|cny|inr|kr|zł|kč|ft)\.?"
    r"(?![a-z])",
    re.IGNORECASE,
)
SAME = {"$": "usd", "€": "eur", "£": "gbp", "円": "jpy", "圆": "cny", "元": "cny", "₹": "inr"}
BLANK = r"[\s\u00a0\u202f\u2009'’_]"  # between thousands in France, Russia, Switzerland
# 100'07 is 100 and 7/32, and 100 23 is 100.23: between thousands three digits follow
NO_GROUP = re.compile(rf"\d{BLANK}(?=\d)(?!\d{{3}}(?!\d))")
SHAPE = re.compile(r"^([+\-−]?)((?:\d+|\d[\d.,]*\d|[.,]\d+|\d+[.,]))(e[+-]?\d+)?([^\d.,+\-]*?)\.?$")
POINT, COMMA = ".", ","
MARKS = {"point": POINT, "comma": COMMA}


class Ambiguous(UserError):
    """Cells whose mark may be of decimals or of thousands."""


def find_mark(columns: list[pd.Series]) -> str | None:
    """The decimal mark of columns that one program wrote, None where no cell proves any.

    Raises `Ambiguous` where cells are like 1,234, which both readings allow.
    """
    cells = _marked(columns)
    found = {mark for cell in cells for mark in [_evidence(cell)] if mark}
    if found:  # if both: cells of the other form are then refused one by one
        return found.pop() if len(found) == 1 else POINT
    if not any(COMMA in cell for cell in cells):
        return None
    if any(map(groups_by_blanks, columns)):
        return COMMA
    if any(map(has_small_integer, columns)):
        return POINT
    raise Ambiguous(next(cell for cell in cells if COMMA in cell))


def all_grouped(columns: list[pd.Series]) -> str | None:
    """One of the cells, if all with a point are like 1.234, which may be of thousands."""
    first = None
    for column in columns:
        cells = _texts(column, r"\.")
        if not all(_evidence(cell) is None for cell in cells):
            return None
        first = first or next(iter(cells), None)
    return first


def _marked(columns: list[pd.Series]) -> list[str]:
    """The distinct cells with a mark; none where each has one point at most, as usual."""
    cells = [cell for column in columns for cell in _texts(column, r",|\..*\.")]
    if cells:
        cells += [cell for column in columns for cell in _texts(column, r"\.")[:1000]]
    plain = (re.sub(BLANK, "", CURRENCY.sub("", cell)) for cell in cells)
    return [cell for cell in plain if SHAPE.match(cell.casefold())]


def _texts(column: pd.Series, pattern: str) -> list[str]:
    if column.dtype.kind in "iufb":
        return []
    text = column.dropna().astype(str)
    return [str(cell) for cell in text[text.str.contains(pattern, regex=True)].unique()]


def _evidence(cell: str) -> str | None:
    """The decimal mark that a cell proves, None where it proves nothing."""
    number = re.sub(r"[^\d.,]", "", re.split(r"(?<=\d)[eE]", cell)[0])
    if COMMA in number and POINT in number:
        return COMMA if number.rfind(COMMA) > number.rfind(POINT) else POINT
    mark = COMMA if COMMA in number else POINT
    other = POINT if mark == COMMA else COMMA
    if mark not in number:
        return None
    if number.count(mark) > 1:
        return other
    whole, _, rest = number.partition(mark)
    # No group of thousands has another length, follows more than three digits, or a lone 0.
    is_group = len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
    return None if is_group else mark


def has_small_integer(column: pd.Series) -> bool:
    """Whether a cell is like 999: then its neighbours' 1,001 are not written to three places."""
    return bool(_texts(column, r"^\s*[1-9]\d{0,2}\s*$"))


def proves_point(column: pd.Series) -> bool:
    """Whether a cell is like 12.5M, whose point is of decimals."""
    return any(_evidence(cell) == POINT for cell in _texts(column, r"\."))


def groups_by_blanks(column: pd.Series) -> bool:
    """Whether a cell is like 1 234: then its program's commas are of decimals."""
    return bool(_texts(column, rf"\d{BLANK}\d{{3}}"))


def has_large_integer(column: pd.Series) -> bool:
    """Whether a cell is like 82293600: its program puts no mark between thousands."""
    if column.dtype.kind in "iuf":
        return bool(column.notna().any())  # of parquet; a table without volumes proves nothing
    return bool(_texts(column, r"^\s*\d{4,}\s*$"))


def find_currencies(columns: list[pd.Series]) -> dict[str, str]:
    """The currencies that cells name, each with the first such cell."""
    found: dict[str, str] = {}
    for column in columns:
        for cell in _texts(column, r"[^\d.,eE+\-\s]"):
            if named := CURRENCY.search(cell):
                name = named[0].casefold().rstrip(".")
                found.setdefault(SAME.get(name, name), cell)
    return found


def to_numbers(values: pd.Series, mark: str = POINT) -> tuple[np.ndarray, np.ndarray]:
    """The values as float64, NaN where missing, and a mask of cells that are no finite number.

    mark: the decimal mark; the other one is read between thousands only.
    """
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy("float64", na_value=np.nan)
        return numbers, np.isinf(numbers)
    text = values.fillna("").astype(str).str.strip()
    if mark == POINT:
        numbers = pd.to_numeric(text, errors="coerce").to_numpy("float64").copy()
    else:
        numbers = np.full(len(text), np.nan)
    odd = np.isnan(numbers) & ~text.str.casefold().isin(MISSING).to_numpy()
    if odd.any():
        codes, distinct = pd.factorize(text[odd])
        numbers[odd] = np.array([_parse_numbers(cell, mark) for cell in distinct])[codes]
    return numbers, np.isinf(numbers) | odd & np.isnan(numbers)


def _parse_numbers(cell: str, mark: str) -> float:
    """A cell with marks, a currency or a unit as a number; NaN for anything else."""
    found = SHAPE.match(re.sub(BLANK, "", CURRENCY.sub("", cell)).casefold())
    if not found or found[4] not in UNITS or NO_GROUP.search(cell):
        return np.nan
    sign, number, exponent, unit = found.groups()
    other = COMMA if mark == POINT else POINT
    whole, _, rest = number.partition(mark)
    groups = whole.split(other)
    # India groups by two, but for the last three.
    fits = len(groups) == 1 or (
        1 <= len(groups[0]) <= 3
        and len(groups[-1]) == 3
        and all(len(group) in (2, 3) for group in groups[1:-1])
        and not groups[0].startswith("0")
    )
    if not fits or mark in rest or other in rest:
        return np.nan
    minus = "-" if sign in ("-", "−") else ""
    return float(f"{minus}{''.join(groups) or 0}.{rest or 0}{exponent or ''}") * UNITS[unit]
