"""Searches for hyperparameters by cross-validation. `upgate.tune(...)` is the function."""

from upgate.callable_package import make_callable

make_callable(__name__)
