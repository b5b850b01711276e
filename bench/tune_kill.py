"""kill -9 of a search at random moments, five times for each sampler; then the same command has to
end as an undisturbed one does.

python bench/tune_kill.py [samplers=grid,random,sobol,tpe] [kills=5] [seed=0] [root=runs/tune-kill]
prints a row per sampler
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from upgate.cli.arguments import read_options

TINY = """data.start=2014 task.window=10 model.hidden_size=4 model.num_layers=1 trainer.max_epochs=1 trainer.limit_train_batches=4
trainer.accelerator=cpu threads=1 recipe=traditional tune.folds=2 tune.top=2 tune.top_seeds=1 tune.only=[optimizer.lr,batch_size]"""  # noqa: E501
OWN = {
    "grid": ["tune.per_axis=3"],
    "tpe": ["tune.trials=10", "tune.startup=3", "tune.generation=2"],
}


def command(sampler: str, root: Path) -> list[str]:
    own = OWN.get(sampler, ["tune.trials=10"])
    return [
        sys.executable,
        "-m",
        "upgate.cli",
        "tune",
        "--yes",
        f"search={sampler}",
        *TINY.split(),
        *own,
        f"root={root}",
    ]


def kill_sometime(sampler: str, root: Path, seconds: float) -> bool:
    """Start the search and kill it after that long; whether it was still going on."""
    process = subprocess.Popen(
        command(sampler, root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def finish(sampler: str, root: Path) -> tuple[Any, float]:
    """Run to the end; the result without its clock's numbers and the words, which name places, and
    the seconds it took.
    """
    start = time.monotonic()
    done = subprocess.run(command(sampler, root), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = root.glob("tunes/*/result.json")
    arms = json.loads(path.read_text(encoding="utf-8"))["blocks"][0]["arms"]
    return [
        {key: value for key, value in arm.items() if key != "words"} for arm in arms
    ], time.monotonic() - start


def main(words: list[str]) -> None:
    asked = {
        "samplers": "grid,random,sobol,tpe",
        "kills": "5",
        "seed": "0",
        "root": "runs/tune-kill",
    }
    asked = read_options(asked, words)
    chance, root = random.Random(int(asked["seed"])), Path(asked["root"]).resolve()
    print(
        "| sampler | undisturbed, s | kills while it went on | trials | same points, scores, choice"
        " and test |\n|---|--:|--:|--:|---|"
    )
    for sampler in asked["samplers"].split(","):
        whole, seconds = finish(sampler, root / sampler / "undisturbed")
        kills = sum(
            kill_sometime(sampler, root / sampler / "killed", chance.uniform(5, 5 + seconds / 3))
            for _ in range(int(asked["kills"]))
        )
        again, _ = finish(sampler, root / sampler / "killed")
        print(
            f"| {sampler} | {seconds:.0f} | {kills} | {len(whole[0]['trials'])} |"
            f" {'yes' if again == whole else 'NO'} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
