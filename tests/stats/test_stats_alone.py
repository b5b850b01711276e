"""`upgate.stats` is worth importing alone: no training library, no store, no configuration."""

import pkgutil
import subprocess
import sys

import pytest
from scipy import stats as scipy_stats

from upgate import stats
from upgate.stats.paired import paired, t_interval

MODULES = sorted(module.name for module in pkgutil.iter_modules(stats.__path__, "upgate.stats."))
HEAVY = ("torch", "lightning", "hydra", "omegaconf", "mlflow", "optuna", "rich")
OURS = ("upgate", "upgate.errors", "upgate.messages", "upgate.seeds", "upgate.stats")


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Module of `stats` -> every module that importing it alone loads; one process for all."""
    code = (
        "import os, sys\n"
        "import numpy, pandas, scipy.stats, scipy.optimize, statsmodels.api, arch.bootstrap\n"
        "for name in sys.argv[1:]:\n"
        "    if not os.fork():\n"
        "        __import__(name)\n"
        "        print(name, *sys.modules, flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *MODULES], capture_output=True, text=True, check=True
    )
    lines = (line.split() for line in done.stdout.splitlines())
    return {name: set(loaded) for name, *loaded in lines}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_nothing_heavy_and_nothing_of_ours_above_it(
    module: str, imported: dict[str, set[str]]
) -> None:
    loaded = imported[module]
    assert module in loaded and not loaded & set(HEAVY)
    ours = {name for name in loaded if name.split(".")[0] == "upgate"}
    assert all(name in OURS or name.startswith("upgate.stats.") for name in ours)


def test_the_interval_of_a_t_statistic_is_the_paired_tests() -> None:
    d = [0.3, -0.1, 0.4, 0.2, 0.5, 0.1]
    test, whole = scipy_stats.ttest_1samp(d, 0), paired(d)
    found = t_interval(whole.effect, float(test.statistic), len(d), 0.05)
    assert found == pytest.approx((whole.low, whole.high))
    assert t_interval(0.1, float("nan"), 6, 0.05) != t_interval(0.1, float("nan"), 6, 0.05)
    assert t_interval(0.0, 0.0, 6, 0.05) == (0.0, 0.0)
    assert t_interval(0.2, float("inf"), 6, 0.05) == (0.2, 0.2)
