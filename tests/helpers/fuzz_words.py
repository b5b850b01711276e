"""Drawn words of the command line: right ones, odd values, misspelt keys, other text."""

import string

from hypothesis import strategies as st

from upgate.config.compose import choices, compose, groups


def leaves(values: dict, prefix: str = "") -> list[str]:
    """The dotted keys of a configuration."""
    found = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        found += leaves(value, f"{name}.") if isinstance(value, dict) and value else [name]
    return found


OPTIONS = {
    "study": ("seeds", "over", "aa", "zero", "rates", "shapley", "metric", "looks", "baseline"),
    "tune": ("trials", "folds", "top", "only", "arms", "top_seeds", "startup", "per_axis"),
    "report": ("language",),
    "data": ("path", "start", "end", "bad", "tickers", "decimal", "suspicious", "subset"),
}
KEYS = sorted(
    {
        *leaves(compose([])),
        *leaves(compose(["task=sentiment"])),
        *(f"{key}.{name}" for key, names in OPTIONS.items() for name in names),
    }
)
WORDS = [
    *("", "null", "true", "false", "0", "-1", "1", "2", "1e999", "-1e-9", "nan", "inf", "0.5"),
    *("[]", "[1,2]", "[a,b]", "{a:1}", "{}", "1,2", "a,b", "x" * 300, "'", '"', "'a", "[", "]"),
    *("{", "}", "(", ")", "${a}", "${", "${oc.env:HOME}", "${hydra:x}", "$", "\\", "a b", "a=b"),
    *("=", "~", "+", "*", "?", "#", "%", "@", ":", "/", "/etc/passwd", "/dev/zero", "../..", "\n"),
    *("\t", "\u4e2d", "\U0001f600", "range(1,3)", "choice(1,2)", "interval(0,1)", "glob(*)"),
    *("sort(2,1)", "str(1)", "shuffle(a,b)", "extend_list(1)", "tag(a,b)", "9" * 30, "1_000"),
    *("0x10", "1.", ".5", "\x00", "latest", "auto", "norm", "adam", "stock", "sentiment", "2018"),
    *("2018-13-45", "none", "!!int"),
]
LETTERS = st.text(alphabet=string.printable + "é中${}[]=,", max_size=12)
values = st.sampled_from(WORDS) | LETTERS | st.integers().map(str) | st.floats().map(str)
chosen = st.sampled_from([(group, choice) for group in groups() for choice in choices(group)])


@st.composite
def overrides(draw: st.DrawFn) -> str:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(LETTERS)
    if kind == 1:
        return draw(st.sampled_from(["~", "+", "++", "-", "--"])) + draw(overrides())
    if kind <= 4:
        return "=".join(draw(chosen))
    key = draw(st.sampled_from(KEYS)) if kind < 9 else draw(st.sampled_from(groups()))
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(key)))
        key = key[:at] + draw(LETTERS) + key[at + 1 :]
    return f"{key}={draw(values)}"
