"""The shared network and recipe as scikit-learn estimators."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from upgate.config.compose import compose
from upgate.config.keywords import Part, keyword_overrides
from upgate.errors import UserError
from upgate.estimators.training import Array, fit_arrays, predict_arrays
from upgate.model.backbone import Pooling, check_knobs
from upgate.recipe.recipe import recipe_knobs

PARTS = ("schedule", "clip", "regularization", "init", "averaging", "stopping")


class LSTMEstimator(BaseEstimator):
    """What both estimators are: parameters, input, training.

    X is (n, steps, features), or (n, columns). A row of columns is a sequence of `steps` equal
    blocks, the earliest first; `steps=None` takes each column for a step of one number, as the
    lags of one series are. Inputs are standardized, column by column, by the training rows.

    A part of the recipe is a name, or a mapping of its name and knobs, as in
    `clip={"name": "norm", "max_norm": 0.5}`; `lr` belongs to the optimizer. `stopping="early"`
    holds out `validation_fraction` of the rows and keeps the best weights. Raises UserError for
    an unknown part or knob.

    After fit: `weights_` by name, `loss_curve_` (a mean per epoch), `n_iter_` (epochs),
    `engagement_` (what the parts did, such as the share of clipped steps).
    """

    def __init__(
        self,
        *,
        hidden_size: int = 32,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: Pooling = "last",
        steps: int | None = None,
        optimizer: Part = "adamw",
        lr: float = 0.01,
        schedule: Part = "onecycle",
        clip: Part = "norm",
        regularization: str | Sequence[str] | Mapping[str, Any] = "none",
        init: Part = "orthogonal",
        averaging: Part = "none",
        stopping: Part = "none",
        validation_fraction: float = 0.1,
        batch_size: int = 32,
        max_epochs: int = 50,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.steps = steps
        self.optimizer = optimizer
        self.lr = lr
        self.schedule = schedule
        self.clip = clip
        self.regularization = regularization
        self.init = init
        self.averaging = averaging
        self.stopping = stopping
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _config(self) -> dict[str, Any]:
        names = ("hidden_size", "num_layers", "bidirectional", "pooling")
        model = {"name": "lstm", "skip": "none"} | {name: getattr(self, name) for name in names}
        named = {"name": self.optimizer} if isinstance(self.optimizer, str) else self.optimizer
        words = {
            "recipe": "traditional",
            "batch_size": self.batch_size,
            "trainer": {"max_epochs": self.max_epochs},
            "model": model,
            "optimizer": {"lr": self.lr, **named},
        }
        return compose(
            keyword_overrides({**words, **{part: getattr(self, part) for part in PARTS}})
        )

    def _sequences(self, X: Any, reset: bool) -> Array:
        """(n, T, F) float32 for the fit and float64 afterwards, standardized."""
        X = validate_data(self, X, dtype=np.float64, allow_nd=True, reset=reset)
        if X.ndim > 3:
            raise ValueError(f"X has {X.ndim} dimensions; LSTMs take 2 or 3")
        shape = X.shape[1:] if X.ndim == 3 else self._blocks(X.shape[1])
        flat = X.reshape(len(X), -1)
        if reset:
            self.shape_, self.scaler_ = shape, StandardScaler().fit(flat)
        elif shape != self.shape_:
            raise ValueError(f"X has sequences of {shape}; the fit had {self.shape_}")
        standard: Array = self.scaler_.transform(flat).reshape(len(X), *shape)
        return standard.astype(np.float32) if reset else standard

    def _blocks(self, columns: int) -> tuple[int, int]:
        steps = columns if self.steps is None else self.steps
        if steps < 1 or columns % steps:
            raise UserError(f"steps={steps} does not divide the {columns} columns of X")
        return steps, columns // steps

    def _train(self, X: Array, y: Array, outputs: int) -> Self:
        config = self._config()
        self.model_ = {"name": "lstm", **check_knobs(config["model"])}
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        recipe = recipe_knobs(config)
        spec = {"model": self.model_, "recipe": recipe, "seed": seed}
        early = config["stopping"]["name"] != "none"
        held_out = self._hold_out(y, seed) if early else []
        batch, epochs = config["batch_size"], config["trainer"]["max_epochs"]
        fitted = fit_arrays(spec, outputs, X, y, held_out, batch, epochs)
        self.weights_, self.engagement_ = fitted.weights, fitted.engagement
        self.loss_curve_ = [point["train/loss"] for point in fitted.curve]
        self.n_iter_ = len(fitted.curve)
        return self

    def _hold_out(self, y: Array, seed: int) -> Sequence[int]:
        raise NotImplementedError

    def _outputs(self, X: Any, outputs: int) -> Array:
        check_is_fitted(self, "weights_")
        return predict_arrays(self.weights_, self.model_, outputs, self._sequences(X, False))


class LSTMRegressor(RegressorMixin, LSTMEstimator):
    """An LSTM that forecasts a number, trained on the squared error of the standardized target.

    `stopping="early"` holds out the last rows: in a time series the latest ones.
    """

    def fit(self, X: Any, y: Any) -> Self:
        y = _checked_targets(self, X, y, numeric=True)
        self.target_scaler_ = StandardScaler().fit(y[:, None])
        scaled = self.target_scaler_.transform(y[:, None])[:, 0]
        return self._train(self._sequences(X, True), scaled.astype(np.float32), 1)

    def _hold_out(self, y: Array, seed: int) -> Sequence[int]:
        rows = round(self.validation_fraction * len(y))
        if not 0 < rows < len(y):
            raise UserError(
                f"validation_fraction={self.validation_fraction} of {len(y)} rows leaves a part"
                " empty"
            )
        return range(len(y) - rows, len(y))

    def predict(self, X: Any) -> Array:
        """(n,)."""
        scaled = self._outputs(X, 1)
        found: Array = self.target_scaler_.inverse_transform(scaled[:, None])[:, 0]
        return found


class LSTMClassifier(ClassifierMixin, LSTMEstimator):
    """An LSTM that tells classes apart, trained on the cross-entropy.

    `stopping="early"` holds out rows of each class by its share.
    """

    def fit(self, X: Any, y: Any) -> Self:
        y = _checked_targets(self, X, y, numeric=False)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError("y has 1 class; LSTMClassifier needs 2 or more")
        labels = np.asarray(encoder.transform(y), np.int64)
        return self._train(self._sequences(X, True), labels, len(self.classes_))

    def _hold_out(self, y: Array, seed: int) -> Sequence[int]:
        rows = np.arange(len(y))
        share = self.validation_fraction
        held_out: Sequence[int] = train_test_split(
            rows, test_size=share, stratify=y, random_state=seed
        )[1]
        return held_out

    def predict_proba(self, X: Any) -> Array:
        """(n, K), in the order of `classes_`."""
        check_is_fitted(self, "weights_")
        found: Array = softmax(self._outputs(X, len(self.classes_)), axis=1)
        return found

    def predict(self, X: Any) -> Array:
        """(n,), of `classes_`."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[likeliest]
        return found


def _checked_targets(estimator: BaseEstimator, X: Any, y: Any, numeric: bool) -> Array:
    """y as (n,), of X's length."""
    _, y = validate_data(
        estimator, X, y, dtype=np.float64, allow_nd=True, y_numeric=numeric, multi_output=False
    )
    checked: Array = np.asarray(y, np.float64) if numeric else y
    return checked
