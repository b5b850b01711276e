"""scikit-learn's own checks of both estimators, and what they promise beyond them."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from upgate import LSTMClassifier, LSTMRegressor, UserError

Series = tuple[np.ndarray, np.ndarray]
SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "max_epochs": 10,
    "batch_size": 16,
    "lr": 0.05,
    "random_state": 0,
}
BOTH = [LSTMRegressor(steps=1, **SMALL), LSTMClassifier(steps=1, **SMALL)]
QUICK = (  # of scikit-learn's checks; `make testlong` does all of them
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimators_nan_inf",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_predict1d",
    "check_get_params_invariance",
    "check_n_features_in_after_fitting",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_classifiers_one_label",
    "check_requires_y_none",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
)


def checks() -> list[Any]:
    found, names = [], set()
    for estimator in BOTH:
        for made, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            names.add(name)
            marks = [] if name in QUICK else [pytest.mark.long]
            case = f"{type(estimator).__name__}-{name}-{len(found)}"
            found.append(pytest.param(made, check, marks=marks, id=case))
    assert set(QUICK) <= names
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learns_check(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def series() -> Series:
    """The last 10 values of a wave, and the next one."""
    wave = np.sin(np.arange(210) / 3) * 50 + 300
    return np.lib.stride_tricks.sliding_window_view(wave, 10)[:-1], wave[10:]


@pytest.fixture(scope="module")
def fitted(series: Series) -> LSTMRegressor:
    X, y = series
    return LSTMRegressor(**SMALL).fit(X[:150], y[:150])


def test_a_wave_is_forecast(fitted: LSTMRegressor, series: Series) -> None:
    X, y = series
    assert fitted.score(X[150:], y[150:]) > 0.95
    assert len(fitted.loss_curve_) == fitted.n_iter_ == 10
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0] / 4
    assert 0 <= fitted.engagement_["clipped_share"] <= 1


def test_columns_are_blocks_of_steps(series: Series) -> None:
    X, y = series
    two = {**SMALL, "max_epochs": 2}
    flat = LSTMRegressor(steps=5, **two).fit(X, y)
    whole = LSTMRegressor(**two).fit(X.reshape(-1, 5, 2), y)
    assert np.array_equal(flat.predict(X), whole.predict(X.reshape(-1, 5, 2)))
    with pytest.raises(UserError, match="steps=3 does not divide the 10 columns"):
        LSTMRegressor(steps=3).fit(X, y)
    with pytest.raises(ValueError, match="the fit had"):
        whole.predict(X.reshape(-1, 5, 2)[:, :, :1])
    with pytest.raises(ValueError, match="4 dimensions"):
        whole.fit(X.reshape(-1, 5, 2, 1), y)


def test_the_order_of_steps_tells_classes_apart() -> None:
    """The rows of both classes hold the same values; only their order differs."""
    rng = np.random.default_rng(0)
    X = np.sort(rng.normal(size=(200, 6)), axis=1)
    y = np.where(rng.random(200) < 0.5, "falls", "rises")
    X[y == "falls"] = X[y == "falls"][:, ::-1]
    model = LSTMClassifier(**SMALL).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.95
    p = model.predict_proba(X)
    assert p.shape == (200, 2) and np.allclose(p.sum(axis=1), 1)
    assert list(model.classes_) == ["falls", "rises"]


def test_the_random_state_decides_everything(fitted: LSTMRegressor, series: Series) -> None:
    X, y = series
    again, other = clone(fitted).fit(X[:150], y[:150]), clone(fitted).set_params(random_state=1)
    assert np.array_equal(again.predict(X), fitted.predict(X))
    assert not np.array_equal(other.fit(X[:150], y[:150]).predict(X), fitted.predict(X))
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


@pytest.mark.parametrize("kind", [LSTMRegressor, LSTMClassifier])
def test_stopping_early_keeps_the_best_weights(
    kind: type[LSTMRegressor | LSTMClassifier], series: Series
) -> None:
    X, y = series[0], (series[1] > 300).astype(int)
    stopping = {"name": "early", "patience": 1, "min_delta": 1e9}
    first = kind(**{**SMALL, "stopping": stopping, "averaging": "swa", "schedule": "constant"})
    one = clone(first).set_params(max_epochs=1)
    first.fit(X, y), one.fit(X, y)
    assert first.n_iter_ == 2  # nothing after the first is better by so much
    assert one.n_iter_ == 1 and first.weights_.keys() == one.weights_.keys()


def test_searches_pipelines_and_splits_take_it(series: Series) -> None:
    pipeline = make_pipeline(StandardScaler(), LSTMRegressor(**SMALL | {"max_epochs": 3}))
    choices = ["adamw", {"name": "sgd", "lr": 1e-9}]
    search = GridSearchCV(pipeline, {"lstmregressor__optimizer": choices}, cv=TimeSeriesSplit(2))
    search.fit(*series)
    assert search.best_params_ == {"lstmregressor__optimizer": "adamw"}
    assert len(cross_val_score(pipeline, *series, cv=TimeSeriesSplit(2))) == 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"optimizer": "adm"}, "did you mean 'adam'?"),
        ({"clip": {"name": "norm", "max_nrm": 1}}, "did you mean 'clip.max_norm'?"),
        ({"hidden_size": 0}, "model.hidden_size=0"),
        ({"stopping": "early", "validation_fraction": 0.001}, "leaves a part empty"),
    ],
)
def test_wrong_parameters_are_named(parameters: dict[str, Any], said: str, series: Series) -> None:
    with pytest.raises(UserError) as error:
        LSTMRegressor(**{**SMALL, **parameters}).fit(*series)
    assert said in str(error.value)
