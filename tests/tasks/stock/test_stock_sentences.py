"""What a run's last lines say of differences that nobody could tell from none."""

import pytest

from upgate.tasks.stock.facts import FACTS


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.9998, "The run equals persistence (0.9998 of its MSE); its MSE is less than 0.01% from"),
        (
            0.98,
            "The run beats persistence (0.9800 of its MSE); its MSE is -1.98% from that of drift",
        ),
        (1.05, "The run does not beat persistence (1.0500 of its MSE); its MSE is +5.02% from"),
    ],
)
def test_a_tie_is_neither_a_win_nor_a_signed_nothing(ratio: float, said: str) -> None:
    metrics = {"test/mse_ratio": ratio, "test/drift/mse_ratio": 0.99981}
    assert FACTS.result_sentence(metrics).startswith(said)


def test_a_difference_that_would_be_shown_as_nothing_is_said_to_be_small() -> None:
    assert FACTS.difference_sentence(0.99981, 0.9998) == "its MSE ratio is within 0.01% of"
    assert FACTS.difference_sentence(1.01, 1.0) == "its MSE ratio is 1.00% higher than"
