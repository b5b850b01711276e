"""CPU seconds from typing a command to its answer, its first training step, and back to the prompt.

`python bench/start.py [REPEATS]` runs every command in a process of its own, with one thread, on a
store with one small study, and prints a Markdown table: median, and least to most. With
`PYTHONPATH=<another checkout>/src` it measures that one. User and system time are counted together,
those of child processes too; wall time measures what else the machine does.
"""

import gc
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.accelerator=cpu"]
STUDY = ["task=stock", "study=pair", "study.seeds=2", *SHORT]
TUNE = ["task=stock", "search=random", "tune.trials=2", *SHORT]
JUDGE = ["data.path=runs.csv", "metric=mse", "group=recipe", "baseline=a", "better=lower"]
COMMANDS = {
    "`upgate runs`": ["runs"],
    "`upgate report study=latest`": ["report", "study=latest"],
    "`upgate judge data.path=runs.csv`": ["judge", *JUDGE],
    "`upgate train`, a typo": ["train", "task=stok"],
    "`upgate study`, its plan of stored runs": ["study", *STUDY],
    "`upgate tune`, its plan": ["tune", *TUNE],
}
TRAIN = ["train", "task=stock", "seed=0", *SHORT]
NAMES = """import json
from upgate.cli import train
from upgate.execution.local import preload
from upgate.tasks.stock import task
print(json.dumps(preload()))"""
LOAD = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def seconds(who: int = resource.RUSAGE_SELF) -> float:
    """CPU seconds of this process so far, or of its children that have ended."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


class Screen(io.StringIO):
    """Notes when the last line of the table's text is written."""

    def __init__(self, marks: dict[str, float]) -> None:
        super().__init__()
        self.marks = marks

    def write(self, text: str) -> int:
        if "next:" in text:
            self.marks["table"] = seconds()
        return super().write(text)


def probe(path: str, arguments: list[str]) -> int:
    """Run a command here; write down when training began, when it ended, and when it was shown."""
    gc.disable()  # as the command does before its imports
    from upgate.cli.entry import main
    from upgate.model.module import RecipeModule

    marks: dict[str, float] = {}
    step, end = RecipeModule.training_step, RecipeModule.on_validation_end

    def first_step(self: RecipeModule, *given: object) -> object:
        marks.setdefault("first step", seconds())
        return step(self, *given)  # type: ignore[arg-type]

    def last_epoch(self: RecipeModule) -> None:
        end(self)
        marks["last epoch"] = seconds()

    RecipeModule.training_step = first_step  # type: ignore[method-assign,assignment]
    RecipeModule.on_validation_end = last_epoch  # type: ignore[method-assign]
    sys.stdout = Screen(marks)
    code = main(arguments)
    Path(path).write_text(json.dumps(marks))
    return code


def spend(command: list[str]) -> float:
    """CPU seconds of a process and its children."""
    before = seconds(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    return seconds(resource.RUSAGE_CHILDREN) - before


def train_times() -> dict[str, float]:
    """Of `upgate train task=stock` in a new store, with two steps a run."""
    with tempfile.TemporaryDirectory() as folder:
        marks = Path(folder) / "marks.json"
        words = [*TRAIN, f"root={folder}/runs"]
        total = spend([sys.executable, __file__, "probe", str(marks), *words])
        found = json.loads(marks.read_text())
    last = found["last epoch"]
    return {
        "`upgate train task=stock`: to the first step": found["first step"],
        "from its last epoch to the table": found["table"] - last,
        "from its last epoch to the prompt": total - last,
    }


def measure(repeats: int) -> dict[str, list[float]]:
    """What is measured -> its seconds, all in turn; in a folder with a store and a csv of runs."""
    upgate = [sys.executable, "-m", "upgate.cli"]
    rows = [f"{name},{i},{i + 1}" for name in "ab" for i in range(6)]
    Path("runs.csv").write_text("\n".join(["recipe,seed,mse", *rows]) + "\n")
    subprocess.run([*upgate, "study", "--yes", *STUDY], check=True, stdout=subprocess.DEVNULL)
    names = subprocess.run([sys.executable, "-c", NAMES], check=True, capture_output=True).stdout
    load = [sys.executable, "-c", LOAD, *json.loads(names)]
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        found = {name: spend([*upgate, *words]) for name, words in COMMANDS.items()}
        found |= train_times()
        found["`executor=local`: what it loads before it forks"] = spend(load)
        for name, value in found.items():
            times.setdefault(name, []).append(value)
    return times


def main(repeats: int) -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        times = measure(repeats)
        os.chdir("/")
    print(
        f"{repeats} repeats, load {load:.1f} at the start and {os.getloadavg()[0]:.1f} at the end"
    )
    print("\n| CPU seconds | median | least to most |\n|---|--:|--:|")
    for name, values in times.items():
        print(f"| {name} | {median(values):.2f} | {min(values):.2f} to {max(values):.2f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        sys.exit(probe(sys.argv[2], sys.argv[3:]))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
