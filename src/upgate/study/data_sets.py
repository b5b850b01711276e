"""The data sets of `study.over`: from what the user types to the overrides of each.

Imports nothing heavy: a typo is answered at once.
"""

from collections.abc import Sequence
from glob import glob
from itertools import combinations
from pathlib import Path

from upgate import messages
from upgate.config.choices import choices
from upgate.errors import UserError, did_you_mean, nearest
from upgate.study.texts import say

TICKERS = "tickers"  # in place of data sets: each ticker of the panel
TICKER_KEY, FILE_KEY = "data.tickers", "data.path"
OWN = ("data", "split")  # groups that may differ between data sets; all else is common to them
EXAMPLE = 'study.over="data.path=a.csv, data.path=b.csv"'


def read_data_sets(
    given: Sequence[str], config_dir: str | None, tickers: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Name -> overrides of each data set.

    given: overrides; short for data=NAME and data.path=FILE are the name and the file alone; a name
    with * stands for all files that match. tickers: what the word `tickers` stands for. Raises
    UserError for what is neither, and for fewer than two.
    """
    if list(given) == [TICKERS]:
        words = [[f"{TICKER_KEY}=[{ticker}]"] for ticker in tickers]
    else:
        words = [one for item in given for one in read_item(item, config_dir)]
    if len(words) < 2:
        only = f" {' '.join(words[0])}" if words else ""
        raise UserError(say("over_one", given=",".join(given), only=only, example=EXAMPLE))
    for one, other in combinations(words, 2):
        if one == other:
            raise UserError(say("over_twice", name=" ".join(one)))
    return dict(zip(name_data_sets(words), words, strict=True))


def read_item(item: str, config_dir: str | None) -> list[list[str]]:
    """The overrides of the data sets that one item of the list stands for. Raises UserError."""
    words = item.split()
    if "=" not in item:
        return [[override] for override in read_short(item, config_dir)]
    for word in words:
        key, equals, _ = word.partition("=")
        group = key.partition(".")[0]
        if not equals or group not in OWN:
            near = nearest(group, OWN)
            hint = messages.say("did_you_mean", near=near) if near else say("stop")
            raise UserError(say("over_no_data", word=word, hint=hint))
    return [words]


def read_short(item: str, config_dir: str | None) -> list[str]:
    """The overrides that a name without `=` stands for. Raises UserError."""
    known = choices("data", config_dir)
    if item in known:
        return [f"data={item}"]
    if "*" in item or "?" in item:
        paths = sorted(glob(item))  # noqa: PTH207 (a name may be absolute)
        if not paths:
            raise UserError(say("over_no_name", item=item))
        return [f"data.path={path}" for path in paths]
    if Path(item).exists():
        return [f"data.path={item}"]
    raise UserError(say("over_unknown", item=item, hint=did_you_mean(item, [*known, TICKERS])))


def name_data_sets(words: Sequence[Sequence[str]]) -> list[str]:
    """A short name of each: what it does not share with all others, without the one common key."""
    shared = set(words[0]).intersection(*words[1:])
    own = [[word for word in one if word not in shared] for one in words]
    names = [" ".join(one) or "the same" for one in own]
    keys = {word.partition("=")[0] for one in own for word in one}
    if len(keys) == 1 and all(len(one) == 1 for one in own):
        names = [one[0].partition("=")[2].strip("[]\"'") for one in own]
        if keys == {FILE_KEY}:
            names = shorten_names(names)
    return names if len(set(names)) == len(names) else [" ".join(one) for one in words]


def shorten_names(paths: Sequence[str]) -> list[str]:
    """Files by their names without folder and ending, as far as these tell them apart."""
    for part in ("stem", "name"):
        short = [str(getattr(Path(path), part)) for path in paths]
        if len(set(short)) == len(short):
            return short
    return list(paths)


def common_overrides(overrides: Sequence[str], given: Sequence[str]) -> list[str]:
    """The overrides that hold for every data set, options of the study among them."""
    left_out = ["study.over", *([TICKER_KEY] if list(given) == [TICKERS] else [])]
    return [one for one in overrides if one.partition("=")[0] not in left_out]
