"""Studies: designs, plans, verdicts. `upgate.study(...)` is the function of that name."""

from upgate.callable_package import make_callable

make_callable(__name__)
