"""Dates as people and programs write them: forms, words of ten languages, numbers, instants."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from upgate.data.prices.numbers import MISSING
from upgate.data.texts import say
from upgate.errors import UserError

# After `/`, `.` and 年月 have become `-`. Of several forms that fit all values the one in whose
# order the rows stand is right, then the one with the fewest weekends, then the one of the shortest
# time, then the first: most such files are American.
FORMS = (
    *("%Y-%m-%d", "%Y%m%d", "%m-%d-%Y", "%d-%m-%Y", "%y%m%d", "%m-%d-%y", "%d-%m-%y", "%y-%m-%d"),
    *("%d-%b-%Y", "%d-%b-%y", "%b-%d-%Y", "%Y-%b-%d"),
)
MONTHS = (
    "jan janv januar january gennaio enero janeiro ene gen stycznia января янв ocak",
    "feb fév févr fev februar february febbraio febrero fevereiro lutego февраля фев şubat",
    "mar mär märz mrz mars march maart marzo março mrt marca марта мар mart",
    "apr avr april avril aprile abril abr kwietnia апреля апр nisan",
    "may mai mei maggio mayo maio mag maja мая май mayıs",
    "jun juin juni june giugno junio junho giu czerwca июня июн haziran",
    "jul juil juli july juillet luglio julio julho lug lipca июля июл temmuz",
    "aug août aou aout august augustus agosto ago sierpnia августа авг ağustos",
    "sep sept september septembre settembre septiembre setembro set września сентября сен eylül",
    "oct okt oktober october octobre ottobre octubre outubro ott out października октября окт ekim",
    "nov november novembre noviembre novembro listopada ноября ноя kasım",
    "dec dez déc dezember december décembre dicembre diciembre dezembro dic grudnia декабря дек"
    " aralık",
)
ENGLISH = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_NAMES = {name: ENGLISH[i] for i, names in enumerate(MONTHS) for name in names.split()}
# Digits -> what of a second, since 1970.
EPOCHS = {9: 1, 10: 1, 12: 10**3, 13: 10**3, 16: 10**6, 19: 10**9}
EXCEL = np.datetime64("1899-12-30", "s")  # its day 0, as it takes 1900 for a leap year
CLOCK = re.compile(r"[ T](\d{1,2}):(\d\d)(?::?\d\d(?:[.,]\d+)?)?\s*([AaPp][Mm])?\s*(.*)$")
DAY = 86_400


@dataclass(frozen=True, eq=False)
class Days:
    """`day`: midnights, datetime64[s], NaT where unreadable; `second`: of the day, -1 for none.

    `utc`: whether times are those of Greenwich, not of an exchange.
    """

    day: pd.Series
    second: np.ndarray
    utc: bool


def read_days(values: pd.Series) -> Days:
    """Parse a column of dates or times by the one form that fits it best."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        utc = str(values.dtype.tz) in ("UTC", "GMT", "tzutc()", "UTC+00:00")
        return _instants(values.dt.tz_localize(None), utc)
    if values.dtype.kind == "M":
        return _instants(values, False)
    codes, distinct = pd.factorize(to_text(values))
    days = _read_text(pd.Series(distinct, dtype=str))
    return Days(
        pd.Series(days.day.to_numpy()[codes], index=values.index), days.second[codes], days.utc
    )


def to_text(values: pd.Series) -> pd.Series:
    """The values as stripped text: '' where missing, integral floats as integers (20130104.0)."""
    codes, distinct = pd.factorize(values)
    text = pd.Series(distinct).astype(str).str.strip().str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    text = text.mask(text.str.casefold().isin(MISSING), "")
    by_code = np.append(text.to_numpy(object), "")  # code -1, a missing value, takes the last
    return pd.Series(by_code[codes], index=values.index, dtype=str)


def _instants(values: pd.Series, utc: bool) -> Days:
    seconds = values.astype("datetime64[s]")
    day = seconds.dt.normalize()
    second = (seconds - day).dt.total_seconds().fillna(-1).to_numpy().astype(np.int64)
    return Days(day.astype("datetime64[s]"), second, utc)


def _read_text(text: pd.Series) -> Days:
    """Distinct texts, in the order of their rows."""
    filled = text[text != ""]
    if len(filled) and filled.str.fullmatch(r"-?\d+(?:\.\d+)?").mean() > 0.9:
        numbers = pd.to_numeric(text.mask(text == ""), errors="coerce")
        digits = filled.str.extract(r"(\d+)")[0].str.len().mode()
        found = _read_numbers(numbers, int(digits.iloc[0]) if len(digits) else 0)
        if found is not None:
            return found
    clock = text.str.extract(CLOCK)
    day = text.str.replace(CLOCK, "", regex=True)
    hour = pd.to_numeric(clock[0]).where(clock[2].isna(), pd.to_numeric(clock[0]) % 12)
    hour = hour + 12 * (clock[2].str.casefold() == "pm")
    second = (hour * 3600 + pd.to_numeric(clock[1]) * 60).fillna(-1).to_numpy().astype(np.int64)
    zone = clock[3].fillna("").str.strip().str.upper()
    utc = bool(
        (second >= 0).any()
        and zone[second >= 0]
        .isin(["Z", "UTC", "GMT", "+00:00", "+0000", "+00", "+00:00 UTC"])
        .all()
    )
    return Days(_by_form(_plain(day)), second, utc)


def _read_numbers(numbers: pd.Series, digits: int) -> Days | None:
    """Seconds or parts of them since 1970, or days of a spreadsheet; None for other numbers."""
    per_second = EPOCHS.get(digits)
    if per_second is not None:
        seconds = (numbers // per_second).astype("Int64").astype("float64")
        instants = pd.to_datetime(seconds, unit="s", errors="coerce")
        return _instants(instants.astype("datetime64[s]"), True)
    if digits == 5 and numbers.between(20_000, 65_000).mean() > 0.9:  # 1954 to 2077
        whole = numbers.where(numbers.between(20_000, 65_000))
        return _instants(pd.Timestamp(EXCEL) + pd.to_timedelta(whole, unit="D"), False)
    return None


def _plain(text: pd.Series) -> pd.Series:
    """Texts with `-` between the parts, English months of three letters, no weekdays."""
    text = text.str.replace(r"[/.年月]", "-", regex=True).str.removesuffix("日")
    if text.str.contains(r"[^\W\d_]", regex=True).any():
        text = text.map(_plain_words)
    # The years of Taiwan's calendar have three digits: 108 is 2019.
    minguo = text.str.extract(r"^(\d{3})-(\d{1,2})-(\d{1,2})$")
    years = (pd.to_numeric(minguo[0]) + 1911).astype("Int64").astype(str)
    return text.mask(minguo[0].notna(), years + "-" + minguo[1] + "-" + minguo[2])


def _plain_words(text: str) -> str:
    parts = []
    for part in re.split(r"[\s,\-]+", text):
        word = part.casefold().rstrip(".")
        if re.fullmatch(r"\d+(st|nd|rd|th|º|er)", word):
            word = re.sub(r"\D", "", word)
        month = MONTH_NAMES.get(word)
        if month or word[:1].isdecimal():
            parts.append(month or word)
        elif word and word not in ("de", "of", "г"):
            parts.append("" if _is_weekday(word) else word)
    return "-".join(part for part in parts if part)


def _is_weekday(word: str) -> bool:
    return bool(
        re.fullmatch(
            r"(mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun)(day|nesday|sday|rsday|urday)?"
            r"|mo|di|mi|do|fr|sa|so|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
            r"|wednesday|saturday|lundi|mardi|mercredi|jeudi|vendredi|lun|mié|jue|vie|mer|jeu|ven",
            word,
        )
    )


def _by_form(text: pd.Series) -> pd.Series:
    """Days by the form that fits most values; of equal ones by order, then by weekends."""
    best = pd.Series(pd.NaT, index=text.index, dtype="datetime64[s]")
    least = (len(text) + 1, 0, 0, 0)
    for form in FORMS:
        days = _parse_days(text, form)
        misses = int(days[text != ""].isna().sum())
        if misses > least[0]:
            continue
        quality = (misses, *_disorder(days))
        if quality < least:
            best, least = days, quality
        if misses == 0 and form in ("%Y-%m-%d", "%Y%m%d"):
            break
    return best


def _disorder(days: pd.Series) -> tuple[int, int, int]:
    """How often the rows' order breaks, how many days are at weekends, the days they span."""
    known = days.dropna()
    steps = np.diff(known.to_numpy().astype("datetime64[D]").astype(np.int64))
    breaks = min(int((steps < 0).sum()), int((steps > 0).sum()))
    span = (known.max() - known.min()).days if len(known) else 0
    return breaks, int((known.dt.day_of_week >= 5).sum()), span


def _parse_days(text: pd.Series, form: str) -> pd.Series:
    if form in ("%Y%m%d", "%y%m%d"):
        text = text.where(text.str.fullmatch(r"\d{8}" if form == "%Y%m%d" else r"\d{6}"))
    days = pd.to_datetime(text, format=form, errors="coerce").astype("datetime64[s]")
    if "%y" in form:  # over more than 70 years it wraps: 2-Jan-62 would become 2062
        days = days.mask(days > days.min() + np.timedelta64(70 * 366, "D"))
    return days


def exchange_days(days: Days, where: str) -> tuple[pd.Series, str]:
    """The days of the exchange, and a sentence where they are others than were written.

    Midnight in Tokyo is 15:00 of the day before in Greenwich. So where every time is at least 11:00
    UTC and the days run from Sunday to Thursday, or from Saturday to Wednesday, each is one early.
    """
    weekday = days.day.dt.day_of_week.to_numpy()
    known = ~np.isnan(weekday)
    if known.sum() < 5:
        return days.day, ""
    share = np.bincount(weekday[known].astype(int), minlength=7) / known.sum()
    early = share[6] > 0.1 and share[4] < 0.01
    if early and days.utc and (days.second[known] >= 11 * 3600).all():
        shifted = days.day + np.timedelta64(1, "D")
        return shifted.astype("datetime64[s]"), say("greenwich", where=where)
    if early:
        return days.day, say("sundays", where=where, share=f"{share[6]:.0%}")
    if share[5] > 0.1 and share[0] < 0.01:
        return days.day, say("saturdays", where=where, share=f"{share[5]:.0%}")
    return days.day, ""


def check_daily(tickers: pd.Series, days: Days, where: str) -> None:
    """Raise UserError for bars within a day: several times of one day, on most days."""
    known = days.second >= 0
    if not known.any() or known.mean() < 0.5 or len(np.unique(days.second[known])) < 3:
        return
    frame = pd.DataFrame(
        {"ticker": tickers.to_numpy(), "day": days.day.to_numpy(), "second": days.second}
    )[known]
    times = frame.groupby(["ticker", "day"], sort=False)["second"].nunique()
    if (times > 1).mean() > 0.5:
        day = times.index[int(times.to_numpy().argmax())][1]
        raise UserError(
            say("bars_within_day", where=where, count=times.max(), day=f"{day:%Y-%m-%d}")
        )
