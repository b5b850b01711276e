"""The word: what gives which, what it says of seeds to come, and how often it is wrong."""

from collections import Counter

import numpy as np
import pytest

from upgate.errors import UserError
from upgate.stats.power import power, tost_power
from upgate.stats.verdict import Units, Verdict, holm_levels, verdict, verdicts

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
    early = verdict(np.array(CLEAR) / 20, 0.01)
    assert early.label == "undecided" and early.more_seeds == 6  # one failure in ten is not seen
    small = verdict(np.tile(CLEAR, 2) / 20, 0.01)
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
    assert words(0, n, 1.5, studies, 3)["equivalent"] == 0  # six seeds never show it
    n = 12
    assert words(0, n, 1.0, studies, 3)["equivalent"] / studies == pytest.approx(
        tost_power(0, 1.0, n), abs=error
    )
    assert words(1.0, n, 1.0, studies, 4)["equivalent"] / studies <= 0.05 + 4 * np.sqrt(
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


def shared_noise(seeds: int, dates: int, effect: float, rng: np.random.Generator) -> np.ndarray:
    """(seeds, dates) differences of losses; the dates' noise is that of all seeds."""
    return effect + rng.normal(size=dates) + 0.1 * rng.normal(size=(seeds, dates))


def both_ways(d: np.ndarray, smallest: float) -> Verdict:
    per_seed = d.mean(axis=1)
    units = Units(d - per_seed[:, None], 0)
    return verdict(per_seed, smallest, better="higher", units=units)


def test_a_word_is_about_other_dates_too() -> None:
    """Two equal recipes with noise of the dates: over seeds alone most studies find something."""
    rng, alone, both = np.random.default_rng(7), 0, 0
    for _ in range(200):
        d = shared_noise(6, 100, 0.0, rng)
        alone += verdict(d.mean(axis=1), 1e-6).label != "undecided"
        both += both_ways(d, 1e-6).label != "undecided"
    assert alone / 200 > 0.5
    assert both / 200 <= 0.05 + 4 * np.sqrt(0.0475 / 200)


def test_more_data_are_asked_for_where_seeds_do_not_limit() -> None:
    rng, decided = np.random.default_rng(8), []
    for _ in range(120):
        first = both_ways(shared_noise(6, 100, 0.2, rng), 0.01)
        if first.label == "undecided" and first.more_data and first.more_seeds is None:
            assert first.over == "seeds and units"
            if first.more_data < 20:
                more = shared_noise(6, int(100 * first.more_data), first.effect, rng)
                decided.append(_decided(both_ways(more, 0.01)))
    assert len(decided) > 15 and np.mean(decided) > 0.7


def test_seeds_and_data_are_asked_for_where_neither_alone_would_decide() -> None:
    rng, decided = np.random.default_rng(11), []
    for _ in range(300):
        first = both_ways(shared_noise(6, 100, 0.2, rng) + rng.normal(0, 0.15, (6, 1)), 0.01)
        if first.label == "undecided" and first.more_data and first.more_seeds:
            n, items = 6 + first.more_seeds, int(100 * first.more_data)
            if n * items < 100_000:
                own = rng.normal(0, 0.15, (n, 1))
                more = shared_noise(n, items, first.effect, rng)
                decided.append(_decided(both_ways(more + own, 0.01)))
    assert len(decided) > 15 and np.mean(decided) > 0.7


def test_intervals_and_words_agree_in_a_family() -> None:
    rng = np.random.default_rng(9)
    for _ in range(60):
        found = verdicts({str(k): rng.normal(k / 3, 1, 6) for k in range(5)}, 1e-9)
        for one in found.values():
            excludes = one.low > 0 or one.high < 0
            assert excludes == (one.label in ("helps", "hurts")) == (one.p_holm <= 0.05)


def test_holm_tests_at_falling_levels_until_one_fails() -> None:
    levels = holm_levels([0.001, 0.2, 0.02, 0.01], 0.05)
    assert levels == pytest.approx([0.05 / 4, 0.05, 0.05 / 2, 0.05 / 3])
    assert holm_levels([0.03, 0.02, 0.04], 0.05) == pytest.approx([0.05 / 3] * 3)


def test_a_collapsed_seed_is_left_out_of_the_mean_and_never_equivalent() -> None:
    d = np.array([*np.tile(CLEAR, 2), 3.0])
    failed = np.arange(13) == 12
    plain, trimmed = verdict(d, 0.01), verdict(d, 0.01, collapsed=failed)
    assert plain.label == "undecided" and plain.effect > 0
    assert trimmed.label == "helps" and trimmed.collapsed == 1
    assert trimmed.effect == pytest.approx(np.mean(CLEAR))
    none = verdict(np.array([*np.zeros(12), 3.0]), 0.01, collapsed=failed)
    assert none.label == "undecided"
