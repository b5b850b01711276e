"""What each command imports of what takes seconds. One process each; no time is measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.store import fresh

CODE = """
import json, sys
from upgate.cli.entry import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""
TORCH = {"torch", "lightning", "torchmetrics"}
MLFLOW = {"mlflow", "sqlalchemy", "alembic", "flask", "fastapi"}
STATISTICS = {"scipy", "statsmodels", "arch", "sklearn"}
OTHERS = {"matplotlib", "optuna", "ray", "tokenizers", "yfinance", "datasets"}
CONFIGURATION = {"hydra", "omegaconf"}
TABLES = {"pandas", "pyarrow", "numpy"}
CSV = "recipe,seed,mse\n" + "\n".join(f"{name},{i},{i + 1}" for name in "ab" for i in range(6))

LIGHT = ("--version", "help", "train --help", "help study", "judge -h")
HEAVY = TORCH | MLFLOW | STATISTICS | OTHERS | CONFIGURATION | TABLES

# command -> exit code, packages that it must not import, and the most modules it may
COMMANDS = {
    "runs": (0, TORCH | MLFLOW | STATISTICS | OTHERS | CONFIGURATION, 1100),
    "report study=latest": (2, TORCH | MLFLOW | OTHERS | CONFIGURATION | {"sklearn"}, 1900),
    "report tune=latest": (2, TORCH | MLFLOW | OTHERS | CONFIGURATION | {"sklearn"}, 1900),
    "judge data.path=runs.csv metric=mse group=recipe baseline=a better=lower": (
        0,
        TORCH | MLFLOW | OTHERS | CONFIGURATION | {"sklearn"},
        1900,
    ),
    **dict.fromkeys(LIGHT, (0, HEAVY, 250)),
    "ui port=x": (2, TORCH | MLFLOW | STATISTICS | OTHERS | CONFIGURATION, 1100),
    "export run=latest to=onx": (2, HEAVY, 250),
    "train task=stok": (2, TORCH | MLFLOW | STATISTICS | OTHERS | TABLES, 410),
    "train task=stock trainer.fast_dev_run=true": (0, MLFLOW | {"sklearn"}, 4600),
}


def test_the_package_imports_nothing_heavy() -> None:
    code = "import json, sys, upgate; print(json.dumps([dir(upgate), sorted(sys.modules)]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, modules = json.loads(done.stdout)
    assert {"train", "study", "predict", "judge", "LSTMRegressor", "StockModule"} <= set(names)
    assert not HEAVY & {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_what_it_needs(command: str, tmp_path: Path) -> None:
    fresh(tmp_path / "runs")
    (tmp_path / "runs.csv").write_text(CSV)
    words = [sys.executable, "-c", CODE, *command.split()]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    expected, forbidden, most = COMMANDS[command]
    assert code == expected, done.stdout + done.stderr
    assert not forbidden & {name.partition(".")[0] for name in modules}
    assert len(modules) <= most
    if "task=stock" in command:  # of another task nothing but its name
        assert "upgate.tasks.stock.task" in modules
        assert not [name for name in modules if name.startswith("upgate.tasks.sentiment")]
