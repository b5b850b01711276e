"""The word: what gives which, what it says of seeds to come, and how often it is wrong."""

from collections import Counter

import numpy as np
import pytest

from upgate.errors import UserError
from upgate.stats.power import power, tost_power
from upgate.stats.verdict import Verdict, verdict, verdicts

CLEAR = [-0.05, -0.04, -0.06, -0.05, -0.03, -0.05]


def words(mean: float, n: int, smallest: float, studies: int, seed: int) -> Counter[str]:
    rng = np.random.default_rng(seed)
    return Counter(
        verdict(rng.normal(mean, 1, n), smallest, better="higher").label for _ in range(studies)
    )


def test_the_four_words() -> None:
    helps = verdict(CLEAR, 0.01)
    assert (helps.label, helps.n, helps.more_seeds, helps.diverged, helps.p_exact) == (
        "helps",
        6,
        0,
        0,
        0.03125,
    )
    assert helps.low < helps.effect < helps.high < 0 and helps.effect == pytest.approx(
        np.mean(CLEAR)
    )
    assert verdict(CLEAR, 0.01, better="higher").label == "hurts"
    small = verdict(np.array(CLEAR) / 20, 0.01)
    assert (
        small.label == "equivalent" and small.high < 0
    )  # surely not 0, and surely too small to matter
    unsure = verdict([-0.05, 0.04, -0.06, 0.05, -0.03, 0.0], 0.01)
    assert unsure.label == "undecided" and unsure.more_seeds is not None and unsure.more_seeds > 0


def test_few_seeds_never_decide() -> None:
    one = verdict([0.2], 0.01)
    assert (one.label, one.low, one.high, one.p, one.more_seeds) == (
        "undecided",
        -np.inf,
        np.inf,
        1,
        5,
    )
    for n in range(2, 6):
        clear = verdict(CLEAR[:n], 0.01)
        assert (
            clear.label == "undecided"
            and clear.more_seeds is not None
            and clear.more_seeds >= 6 - n
        )
        assert verdict([0.1] * n, 0.01).more_seeds == verdict([0.0] * n, 0.01).more_seeds == 6 - n
    assert verdict([-0.1, 0.3], 0.01).more_seeds > 10  # two seeds that disagree


def test_runs_that_never_differ_are_equivalent() -> None:
    assert verdict([0.0] * 6, 0.01).label == "equivalent"
    assert verdict([0.1] * 6, 0.01).label == "hurts"


def test_a_diverged_run_ranks_last_and_is_counted() -> None:
    found = verdict([*CLEAR, np.inf], 0.01)
    assert (found.n, found.diverged, found.high) == (7, 1, np.inf) and found.effect < 0
    assert found.label == "undecided" and found.more_seeds is not None and found.more_seeds > 0
    rescued = verdict([*CLEAR, -np.inf], 0.01)  # the baseline diverged
    assert (rescued.label, rescued.p) == ("helps", 2 / 2**7)
    assert verdict([np.inf] * 6, 0.01).label == "hurts"
    assert verdict([-np.inf] * 6, 0.01, better="higher").label == "hurts"
    rare = verdict([*(0.001 * np.array(CLEAR)).tolist() * 4, np.inf], 0.01)
    assert rare.label != "equivalent"  # an arm that sometimes diverges is not
    assert verdict([np.inf, -np.inf, np.inf, -np.inf, 1, -1], 0.01).more_seeds is None


def test_wrong_questions_are_told() -> None:
    with pytest.raises(UserError, match="one difference per seed"):
        verdict([], 0.01)
    with pytest.raises(UserError, match="none of them nan"):
        verdict([0.1, np.nan], 0.01)
    with pytest.raises(UserError, match="smallest effect of interest is 0"):
        verdict(CLEAR, 0)
    with pytest.raises(UserError, match="better=less is not a direction"):
        verdict(CLEAR, 0.01, better="less")


def test_several_arms_answer_to_holm() -> None:
    barely = [-0.9, -0.2, -0.7, -0.1, -0.3, -1.1]  # p = .023 alone
    noise = np.random.default_rng(0).normal(size=(4, 6))
    found = verdicts(
        {"clear": CLEAR, "barely": barely, **dict(zip("abcd", noise, strict=True))}, 0.01
    )
    assert verdict(barely, 0.01).label == "helps"
    assert (found["clear"].label, found["barely"].label) == ("helps", "undecided")
    assert found["barely"].more_seeds > 0 and found["barely"].p < 0.05 < found["barely"].p_holm
    assert verdicts({"barely": barely}, 0.01)["barely"] == verdict(barely, 0.01)
    assert verdicts({}, 0.01) == {}


def test_size_and_power_of_the_words() -> None:
    """Six seeds, spread 1: under no effect a word too many in 5%; a planted effect, or its absence,
    found as often as claimed.
    """
    n, studies = 6, 800
    error = 4 * np.sqrt(0.25 / studies)
    null = words(0, n, 0.01, studies, 1)
    assert null["helps"] + null["hurts"] == pytest.approx(
        0.05 * studies, abs=4 * np.sqrt(0.0475 * studies)
    )
    assert abs(null["helps"] - null["hurts"]) <= 4 * np.sqrt(null["helps"] + null["hurts"])
    assert words(1.5, n, 0.01, 600, 2)["helps"] / 600 == pytest.approx(
        power(1.5, n), abs=4 * np.sqrt(0.14 / 600)
    )
    assert words(0, n, 1.5, studies, 3)["equivalent"] / studies == pytest.approx(
        tost_power(0, 1.5, n), abs=error
    )
    assert words(1.5, n, 1.5, studies, 4)["equivalent"] / studies <= 0.05 + 4 * np.sqrt(
        0.0475 / studies
    )


def test_families_of_seven_arms_rarely_hold_a_false_word() -> None:
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(120):
        found = verdicts(dict(enumerate(rng.normal(size=(7, 6)))), 0.01)  # type: ignore[arg-type]
        wrong += any(one.label != "undecided" for one in found.values())
    assert wrong / 120 <= 0.05 + 4 * np.sqrt(0.0475 / 120)


@pytest.mark.parametrize(("mean", "smallest"), [(1.0, 1.0), (0.0, 1.0), (0.5, 1.0)])
def test_the_seeds_to_come_decide(mean: float, smallest: float) -> None:
    """Of undecided studies, about the 80% that are promised are decided once that many seeds have
    been added.
    """
    rng = np.random.default_rng(6)
    decided: list[bool] = []
    for _ in range(120):
        d = rng.normal(mean, 1, 6)
        first = verdict(d, smallest, better="higher")
        if first.label == "undecided":
            assert first.more_seeds is not None
            decided.append(
                _decided(
                    verdict(
                        np.append(d, rng.normal(mean, 1, first.more_seeds)),
                        smallest,
                        better="higher",
                    )
                )
            )
    assert len(decided) > 30 and np.mean(decided) > 0.7


def _decided(found: Verdict) -> bool:
    return found.label != "undecided"
