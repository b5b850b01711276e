"""What a forecast is made of, in numbers: the reference's part, the network's, and its inputs'."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upgate.model.integrated_gradients import InputShares
from upgate.page.html import Html, el, table
from upgate.page.svg import signed
from upgate.page.translations import Translator

STRONGEST = 5  # inputs that are named
DARKEST = 50  # percent of the colour behind a word: it stays easy to read

Floats = NDArray[np.float64]
signed_share = partial(signed, digits=3)


@dataclass(frozen=True)
class Account:
    """One output as a sum. reference: what does not come from the network; start: the network's
    output for an empty input; shares: of the inputs; gap: the integral's error.
    """

    reference: float
    start: float
    shares: Floats
    gap: float

    @classmethod
    def of(cls, attribution: InputShares, reference: float, scale: float) -> Self:
        """In the units of the reference, in which one of the network's is `scale`."""
        start, gap = scale * attribution.start, scale * attribution.gap
        return cls(reference, start, scale * attribution.shares.double().numpy(), gap)

    @property
    def total(self) -> float:
        return self.reference + self.start + float(self.shares.sum()) + self.gap


def account_table(
    run: Account, twin: Account, names: tuple[str, str, str, str], w: Translator
) -> Html:
    """A row per term. names: of the reference, the start, the sum of the shares and the total."""
    reference, start, shares, total = names
    rows: list[tuple[str, float, float]] = [
        (start, run.start, twin.start),
        (shares, float(run.shares.sum()), float(twin.shares.sum())),
        (w("share_gap"), run.gap, twin.gap),
        (total, run.total, twin.total),
    ]
    if run.reference or twin.reference:
        rows.insert(0, (reference, run.reference, twin.reference))
    body = [[name, signed(own), signed(other)] for name, own, other in rows]
    return table(["", w("run"), w("twin")], body)


def strongest(names: Sequence[str], shares: ArrayLike, w: Translator) -> str:
    """The inputs with the largest shares, in either direction, with their numbers."""
    shares = np.asarray(shares, float)
    first = np.argsort(-np.abs(shares), kind="stable")[:STRONGEST]
    said = [f"{names[i]}\N{NO-BREAK SPACE}{signed_share(shares[i])}" for i in first if shares[i]]
    return w("share_largest", names=w("share_next").join(said)) if said else w("share_none")


def side(share: float) -> str:
    """The CSS class of a share's colour."""
    return "for" if share > 0 else "against"


def shaded(text: str, share: float, most: float) -> Html:
    """A text on the colour of its share, its number as the title. most: of the darkest."""
    depth = DARKEST * abs(share) / most if most else 0.0
    if depth < 1:
        return el("span", text)
    title = f"{text} {signed_share(share)}"
    return el("span", text, class_=side(share), style=f"--share:{depth:.0f}%", title=title)


def colours(above: str, below: str) -> Html:
    """What the two colours mean."""
    samples = ((above, 1.0), (below, -1.0))
    return el("p", [[shaded(text, share, 1.0), " "] for text, share in samples], class_="note")
