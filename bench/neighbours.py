"""A training epoch of ours beside those of other libraries, all at the same work: CPU seconds and
wall seconds, one thread.

`make neighbours [rounds=3] [epochs=3] [days=3520] [out=docs/results]`

bench/contestants/ has a script for each, and work.py says what the work is. In every round each
trains in a process of its own, in an order that is rotated; the first epoch, which compiles and
warms up, is left out. A ratio is to the bare PyTorch loop of the same round. The libraries are
installed once into `.venv-neighbours` (about 3 GB), beside the project's PyTorch.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from venv import EnvBuilder

import matplotlib
import numpy as np
from rich.console import Console
from rich.progress import track

from upgate.cli.arguments import read_options

REPO = Path(__file__).parent.parent
ENVIRONMENTS = REPO / ".venv-neighbours"
LIBRARIES = {  # environment -> what is installed there
    "torch": ["skorch==1.4.0", "darts==0.48.1", "neuralforecast==3.3.0"],
    "jax": ["keras==3.15.1", "jax==0.10.2"],
    "tensorflow": ["keras==3.15.1", "tensorflow-cpu==2.21.0"],
}
ASKED = {"rounds": "3", "epochs": "3", "days": "3520", "out": "docs/results"}


@dataclass(frozen=True)
class Contestant:
    """A script of bench/contestants, its environment ("": the project's), and its words."""

    name: str
    script: str
    environment: str = ""
    words: tuple[str, ...] = ()


BARE = Contestant("bare PyTorch loop", "bare")
CONTESTANTS = (
    BARE,
    Contestant("bare loop, freed memory kept (mallopt)", "bare", words=("mallopt",)),
    Contestant("**Upgate, the whole step**", "ours"),
    Contestant("Lightning, its defaults", "lightning_defaults"),
    Contestant("skorch", "skorch_net", "torch"),
    Contestant("darts, BlockRNNModel", "darts_rnn", "torch"),
    Contestant("neuralforecast, LSTM", "neuralforecast_lstm", "torch"),
    Contestant("Keras on JAX", "keras_lstm", "jax"),
    Contestant("Keras on TensorFlow", "keras_lstm", "tensorflow"),
)
HEADING = "| | CPU s per 1,000 windows | CPU, to the bare loop | wall, to the bare loop |"


def python_of(environment: str) -> Path:
    """The interpreter of an environment, which is made and filled where it is missing."""
    if not environment:
        return Path(sys.executable)
    folder = ENVIRONMENTS / environment
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        EnvBuilder(with_pip=True, clear=True).create(folder)
        if environment == "torch":  # pip and Python see the project's PyTorch
            ours = sysconfig.get_path("purelib")
            site = subprocess.check_output(
                [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
            )
            (Path(site.strip()) / "project.pth").write_text(ours)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pinned = ["-c", REPO / "constraints.txt"] if environment == "torch" else []
        subprocess.run([*install, *pinned, *LIBRARIES[environment]], check=True)
        (folder / "ready").touch()
    return python


def train(one: Contestant, series: Path, epochs: int) -> np.ndarray:
    """Wall and CPU seconds per window of each epoch but the first, (epochs - 1, 2)."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "KERAS_BACKEND": one.environment,
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(REPO / "bench") if one.script == "ours" else "",
    }
    script = REPO / "bench" / "contestants" / f"{one.script}.py"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python_of(one.environment), script, series, str(epochs), *one.words],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise SystemExit(f"{one.name} failed:\n{done.stderr[-2000:]}")
    (printed,) = [line for line in done.stdout.splitlines() if line.startswith("[[")]
    rows = np.array(json.loads(printed))
    return rows[1:, :2] / rows[1:, 2:]


def measure(asked: Mapping[str, str], console: Console) -> np.ndarray:
    """Medians over a process's epochs, (rounds, contestants, 2): wall and CPU seconds a window."""
    rounds, epochs = int(asked["rounds"]), int(asked["epochs"])
    found = np.empty((rounds, len(CONTESTANTS), 2))
    for environment in LIBRARIES:
        console.print(f"environment {environment}")
        python_of(environment)
    with tempfile.TemporaryDirectory() as folder:
        series = Path(folder) / "series.npy"
        noise = np.random.default_rng(0).standard_normal(int(asked["days"]))
        np.save(series, (0.01 * noise).astype(np.float32))
        turns = [
            (r, (r + i) % len(CONTESTANTS)) for r in range(rounds) for i in range(found.shape[1])
        ]
        for r, c in track(turns, "training", console=console):
            found[r, c] = np.median(train(CONTESTANTS[c], series, epochs), axis=0)
    return found


def spread(values: np.ndarray, digits: int = 2) -> str:
    """Median (least to most)."""
    low, middle, high = (f"{x:.{digits}f}" for x in np.quantile(values, (0, 0.5, 1)))
    return f"{middle} ({low} to {high})"


def to_bare(found: np.ndarray) -> np.ndarray:
    """The seconds to those of the bare loop in the same round."""
    ratios: np.ndarray = found / found[:, [CONTESTANTS.index(BARE)]]
    return ratios


def table(found: np.ndarray) -> list[str]:
    ratios = to_bare(found)
    rows = [
        f"| {one.name} | {spread(1000 * found[:, c, 1])} | {spread(ratios[:, c, 1])} |"
        f" {spread(ratios[:, c, 0])} |"
        for c, one in enumerate(CONTESTANTS)
    ]
    return [HEADING, "|---|--:|--:|--:|", *rows]


def draw(found: np.ndarray, path: Path) -> None:
    """A row each: the CPU seconds to the bare loop's, median and least to most."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    ratios = to_bare(found)[..., 1]
    order = np.argsort(np.median(ratios, axis=0))[::-1]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for y, c in enumerate(order):
        colour = "C1" if CONTESTANTS[c].script == "ours" else "C0"
        axes.hlines(y, ratios[:, c].min(), ratios[:, c].max(), color=colour)
        axes.plot(np.median(ratios[:, c]), y, "o", color=colour)
    axes.set_yticks(range(len(order)), [CONTESTANTS[c].name.strip("*") for c in order])
    axes.axvline(1, color="0.8", zorder=0)
    axes.set_xlabel("CPU seconds of an epoch, to the bare PyTorch loop")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}" if names else f"{os.cpu_count()} cores"


def main(words: list[str]) -> None:
    asked = read_options(ASKED, words)
    out, console = Path(asked["out"]), Console()
    before = os.getloadavg()[0]
    found = measure(asked, console)
    libraries = ", ".join(dict.fromkeys(name for names in LIBRARIES.values() for name in names))
    lines = [
        "# A training epoch beside other libraries\n",
        f"`make neighbours rounds={asked['rounds']} epochs={asked['epochs']} days={asked['days']}`:"
        " two LSTM layers of 64, windows of 60, one feature, batch 64, Adam, gradients clipped to"
        " norm 1,\none thread, float32; the first epoch is left out. Median (least to most) over"
        f" {asked['rounds']} rotated rounds. {processor()}; load {before:.1f} before and"
        f" {os.getloadavg()[0]:.1f} after.\n",
        *table(found),
        "\n![CPU seconds to the bare loop](../images/neighbours.svg)\n",
        f"Versions: torch=={version('torch')}, lightning=={version('lightning')}, {libraries}.\n",
        "The networks are the same but for neuralforecast's decoder; it draws its windows anew at"
        " every step. Upgate's\ntime holds its guard, curves and checkpoints. Nobody validates."
        " bench/contestants/ has each script.",
    ]
    draw(found, out.parent / "images" / "neighbours.svg")
    (out / "neighbours.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    console.print("\n".join(table(found)), highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main(sys.argv[1:])
