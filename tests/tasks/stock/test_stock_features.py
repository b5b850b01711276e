"""The columns that the network reads, as `task.features` names them."""

import pytest

from upgate.data.prices.features import DEFAULT_FEATURES
from upgate.errors import UserError
from upgate.experiment.jobs import make_job
from upgate.run.datasets import Datasets
from upgate.tasks.stock.datamodule import StockTask

WORDS = ["task=stock", "task.target=volatility"]


def named(features: list[str] | str | None) -> list[str]:
    return StockTask("stock", "volatility", 1, 20, features).to_dict()["features"]


def test_market_is_the_targets_own_set_and_the_mean_over_the_tickers() -> None:
    own = DEFAULT_FEATURES["volatility"]
    assert named(None) == own
    assert named("market") == [*own, "market_volatility_1", "market_return_1"]


def test_a_run_is_the_same_run_however_its_features_were_named() -> None:
    data = Datasets()
    word = make_job([*WORDS, "task.features=market"], data, None)
    listed = make_job([*WORDS, f"task.features=[{','.join(named('market'))}]"], data, None)
    assert word.spec.key == listed.spec.key
    assert word.spec.key != make_job(WORDS, data, None).spec.key


@pytest.mark.parametrize(
    ("features", "told"),
    [
        ("markt", r"task\.features=markt must be a list"),
        ("[clos]", r"task\.features=clos is not a feature, did you mean 'close'"),
        ("[]", r"task\.features=\[\] leaves nothing to learn from"),
    ],
)
def test_what_is_no_feature_is_told(features: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        make_job([*WORDS, f"task.features={features}"], Datasets(), None)
