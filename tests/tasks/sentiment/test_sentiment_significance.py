"""How the tests of several runs on the same items are combined."""

from statistics import median

import numpy as np
import pytest

from upgate.page.translations import Translator
from upgate.stats.classification import mcnemar
from upgate.tasks.sentiment.significance import item_tests
from upgate.tasks.sentiment.texts import ITEMS, MCNEMAR, OLD_MCNEMAR, TEST_TEXTS, TEXTS


def runs(accuracy: list[float], items: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((len(accuracy), items)) < np.array(accuracy)[:, None]


@pytest.mark.parametrize("count", [1, 4, 5])
def test_mcnemar_is_twice_the_median_p_of_the_runs(count: int) -> None:
    arm, base = runs([0.8, 0.84, 0.79, 0.9, 0.81][:count], 400, 1), runs([0.75] * count, 400, 2)
    bootstrap, combined = item_tests(arm, base, 0.05)
    alone = [mcnemar(one, other) for one, other in zip(arm, base, strict=True)]
    assert (bootstrap.name, combined.name) == (ITEMS, MCNEMAR)
    assert 0 < combined.p == min(1.0, 2 * median(alone)) < 1


def test_mcnemar_of_equals_is_one_and_not_more() -> None:
    same = runs([0.8] * 6, 100, 3)
    assert item_tests(same, same, 0.05)[1].p == 1


def test_every_test_has_a_name_in_both_languages_an_older_versions_too() -> None:
    assert {ITEMS, MCNEMAR, OLD_MCNEMAR} == set(TEST_TEXTS)
    for language in ("en", "zh"):
        w = Translator(language, TEXTS)
        assert len({w(key) for key in TEST_TEXTS.values()}) == 3
