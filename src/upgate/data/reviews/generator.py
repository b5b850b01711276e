"""Reviews made by a grammar, in English and Chinese, offline.

What they say is known, so the best attainable accuracy is too.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import pandas as pd

from upgate.data.reviews.lexicon import RULES, Rules
from upgate.data.reviews.table import Reviews
from upgate.seeds import derive

# Uniform on [0, 1): `Random.random`, the only draw whose sequence Python promises to keep.
Draw = Callable[[], float]
CHOICES = {"english": ("english",), "chinese": ("chinese",), "both": ("english", "chinese")}
Production = list[str | list[tuple[str, bool]]]
SLOT = re.compile(r"\{([!?]?)(\w+)\}")


def generate(
    language: str,
    train: int,
    test: int,
    noise: float,
    seed: int,
) -> Reviews:
    """Reviews that are the same bytes on every machine. A text occurs once.

    The test part is the same for every `train`, a smaller training part is the beginning of a
    larger one, and `noise` changes labels only. `ceiling` is the share of test labels left as they
    were, not its expectation 1 - noise.

    The best classifier answers with the truth, for no label is more likely wrong than right; on
    this test part it scores that share. Scores of models are measured on the same part, so its luck
    (half a point at 2,000 reviews) is in both and cancels.
    """
    seen: set[str] = set()
    held_out, flipped = _part("test", test, language, noise, seed, seen)
    training, _ = _part("train", train, language, noise, seed, seen)
    table = pd.concat([training, held_out], ignore_index=True)
    source = f"generated reviews ({language}, seed {seed})"
    return Reviews(table, ("negative", "positive"), source, {}, 1 - float(flipped.mean()))


def _part(
    split: str, count: int, language: str, noise: float, seed: int, seen: set[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of one split, and which labels are flipped.

    One stream of draws for the texts, one for the noise.
    """
    draw = Random(derive(seed, "reviews", split)).random
    coin = Random(derive(seed, "noise", split)).random
    texts, truth = zip(*islice(_stream(CHOICES[language], draw, seen), count), strict=True)
    flipped = np.array([coin() for _ in texts]) < noise
    labels = (np.array(truth) ^ flipped).astype(np.int64)
    return pd.DataFrame({"text": texts, "label": labels, "split": split}), flipped


def _stream(languages: tuple[str, ...], draw: Draw, seen: set[str]) -> Iterator[tuple[str, bool]]:
    """Reviews without end, each with its true class by a fair coin; repeats are drawn again."""
    grammars = [Grammar(RULES[language]) for language in languages]
    while True:
        positive = draw() < 0.5
        text = pick(grammars, draw).write("review", positive, draw)
        if text not in seen:
            seen.add(text)
            yield text, positive


class Grammar:
    """Rules ready to be drawn from: (symbol, positive) -> productions.

    A production is a list of texts and of further such keys; a pair of keys stands for a coin.
    """

    def __init__(self, rules: Rules) -> None:
        self.productions: dict[tuple[str, bool], list[Production]] = {}
        for name, productions in rules.items():
            for positive in (True, False):
                if not name.endswith("-" if positive else "+"):
                    parsed = [list(_parts(production, positive)) for production in productions]
                    self.productions[name.rstrip("+-"), positive] = parsed

    def write(self, symbol: str, positive: bool, draw: Draw) -> str:
        """Draw one text of a symbol; sentences begin with a capital."""
        out: list[str] = []
        self._expand((symbol, positive), draw, out)
        return re.sub(r'(?:^|(?<=[.] ))"?[a-z]', lambda first: first[0].upper(), "".join(out))

    def _expand(self, key: tuple[str, bool], draw: Draw, out: list[str]) -> None:
        for part in pick(self.productions[key], draw):
            if isinstance(part, str):
                out.append(part)
            else:
                self._expand(pick(part, draw) if len(part) > 1 else part[0], draw, out)


def _parts(production: str, positive: bool) -> Iterator[str | list[tuple[str, bool]]]:
    """Split a production at its slots, each slot becoming the keys that it may stand for."""
    end = 0
    for slot in SLOT.finditer(production):
        yield production[end : slot.start()]
        options = {"": [positive], "!": [not positive], "?": [True, False]}[slot[1]]
        yield [(slot[2], option) for option in options]
        end = slot.end()
    yield production[end:]


def pick(options: Any, draw: Draw) -> Any:
    return options[int(draw() * len(options))]
