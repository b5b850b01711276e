"""A search on a Ray cluster of two nodes, all it keeps on PostgreSQL, while a worker is killed, a
trial raises and one diverges.

python bench/cluster.py [root=...] [out=docs/results/cluster.md]

PostgreSQL, MLflow's server on it and both nodes are started on this machine, on free ports, and
ended whatever happens. `upgate tune` runs twice: the second time without what made a trial raise.
The page's first section is written anew, the others stay as they are.
"""

import io
import math
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster_places import ROOT, Place, places, workers  # it lets us import what tests share
from rich.console import Console

from helpers.execution import killer
from upgate.cli.arguments import read_pairs
from upgate.experiment.session import Session
from upgate.report.tune import search_files
from upgate.run.datasets import Datasets
from upgate.run.provenance import git_state
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tune.command import tune_command
from upgate.tune.plan import plan_search, trial_job
from upgate.tune.search import point

# of the 23 rates of this seed one is 1.8, which diverges (as 1.5 did), and the next 0.8, which does
# not
WORDS = """task=stock task.target=level recipe=traditional data.start=2014 task.window=10 model.hidden_size=8 trainer.max_epochs=8
trainer.accelerator=cpu threads=1 search=random tune.seed=3 tune.trials=24 tune.folds=1 tune.top=0 tune.test=false
tune.only=[optimizer.lr] tune.space.optimizer.lr=[1e-3,2,log]"""  # noqa: E501
TRIALS, KILLED, RAISES = 24, 5, 9
END = "\n## "  # what the page's other sections begin with
PAGE = f"""# A search on a cluster, and one that is killed

Made by `python bench/cluster.py`: {{made}},
{{machine}}.

A Ray cluster of two nodes with a CPU each, both on one machine (`ray.cluster_utils`); PostgreSQL with a database for MLflow's server, which
has the command and the settings of `compose.yaml`, and one for Optuna. `RAY_worker_niceness=0`: Ray adds 15 to its workers' niceness,
and the machine was busy. This command ran twice, in the script's process:

```
export MLFLOW_TRACKING_URI=http://...
upgate tune --yes
  {{words}}
  executor=ray executor.address=... tune.storage=postgresql://.../optuna root=... cache=...
```

While the first command went on, the process that trained trial {KILLED} was killed with `kill -9` after the first of its eight epochs;
trial {RAISES} raised, for a folder stood where its weights are written; the highest rate diverges by itself. Before the second command
that folder was taken away. {{times}}.

{{checks}}

After the first command:

| trial | rate | Optuna | MLflow | node | what was done to it |
|--:|--:|---|---|---|---|
{{lines}}

Not tested here: machines that are really apart, the network between them, a folder shared over it, and a node that goes down.
"""  # noqa: E501


@dataclass(frozen=True)
class Asked:
    """A trial as the plan has it before anything runs."""

    key: str
    name: str
    rate: float


@dataclass(frozen=True)
class Ended:
    """A command that is over."""

    code: int
    said: str
    seconds: float


@dataclass(frozen=True)
class Seen:
    """What the first command left. rows: MLflow's runs by key; told: Optuna's trials; nodes: by
    process of a worker; killed: processes.
    """

    asked: list[Asked]
    first: Ended
    rows: dict[str, Row]
    told: list[Any]
    nodes: dict[int, int]
    killed: list[int]

    def row(self, number: int) -> Row:
        return self.rows[self.asked[number].key]

    def node(self, row: Row) -> int:
        return self.nodes[int(row.tags["upgate.pid"])]


def main(given: Sequence[str]) -> int:
    asked = {"out": str(ROOT / "docs/results/cluster.md")} | read_pairs(given, ("out", "root"))
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="upgate-") as folder,
        places(Path(asked.get("root", folder)).resolve()) as place,
    ):
        text, wrong = measured(place, load)
    print(text)
    for sentence in wrong:
        print("NOT SO:", sentence)
    if not wrong:
        write(Path(asked["out"]), text)
    return len(wrong)


def measured(place: Place, load: float) -> tuple[str, list[str]]:
    """Run the command twice; the page's section, and what is not as it has to be."""
    asked, store = trials(place), Store(place.root, place.mlflow)
    blocked = place.root / asked[RAISES].key[:16] / "best.ckpt"
    blocked.mkdir(parents=True)  # its weights cannot be written
    with killer(place.root, asked[KILLED].name, 1) as killed, workers(place.nodes) as nodes:
        first = tune(place)
    print(first.said, file=sys.stderr)
    seen = Seen(asked, first, by_key(store), optuna_trials(place), nodes, killed)
    blocked.rmdir()
    second = tune(place)
    print(second.said, file=sys.stderr)
    checks = (
        of_optuna(seen)
        | of_mlflow(seen, place)
        | of_faults(seen)
        | of_second(seen, second, by_key(store), optuna_trials(place))
    )
    return page(seen, checks, second, load), [
        sentence for sentence, held in checks.items() if not held
    ]


def trials(place: Place) -> list[Asked]:
    """Key, name and rate of every trial: points are a function of the seed and the number."""
    library = Datasets()
    session = Session(Console(quiet=True), library, None)
    planned = plan_search(words(place), session)
    search, (arm,) = planned.search, planned.search.arms
    found = []
    for number in range(search.trials):
        values = point(search, arm, number, [])
        job = trial_job(arm, values, search.blocks[0], session, f"trial={number}")
        job = job.at(search.seeds[0], 0)
        found.append(Asked(job.spec.key, job.name, (values or arm.baseline)["optimizer.lr"]))
    return found


def words(place: Place) -> list[str]:
    shared = [f"executor.address='{place.ray}'", f"tune.storage={place.optuna}"]
    return [
        *WORDS.split(),
        "executor=ray",
        *shared,
        f"root={place.root}",
        f"cache={place.root.parent / 'prepared'}",
    ]


def tune(place: Place) -> Ended:
    """`upgate tune`, in this process: on a busy machine another one takes minutes to begin."""
    begun, console = time.monotonic(), Console(file=io.StringIO(), width=100)
    code = tune_command(words(place), None, True, console, search_files)
    return Ended(code, " ".join(console.file.getvalue().split()), time.monotonic() - begun)  # type: ignore[attr-defined]


def by_key(store: Store) -> dict[str, Row]:
    return {row.key: row for row in store.rows() if not row.is_parent}


def optuna_trials(place: Place) -> list[Any]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    (name,) = optuna.get_all_study_names(place.optuna)
    return optuna.load_study(study_name=name, storage=place.optuna).trials


def ended(row: Row) -> float:
    return round(row.start.timestamp() + row.seconds, 3)


def of_optuna(seen: Seen) -> dict[str, bool]:
    """Sentence -> whether it is so: what Optuna has, against the runs themselves."""
    counted = Counter(f"{one.state.name} ({one.user_attrs['upgate.state']})" for one in seen.told)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counted.items()))
    numbers, whole = [one.user_attrs["upgate.number"] for one in seen.told], list(range(TRIALS))
    true = all(
        one.user_attrs["upgate.state"] == truth(seen.row(number))
        for number, one in zip(numbers, seen.told, strict=True)
    )
    values = [one.value for one in seen.told if one.user_attrs["upgate.state"] == "diverged"]
    return {
        f"Optuna has {len(numbers)} trials, numbers {min(numbers)} to {max(numbers)}, none twice": (
            sorted(numbers) == whole
        ),
        f"their states: {states}": (
            counted
            == {
                "COMPLETE (complete)": TRIALS - 2,
                "COMPLETE (diverged)": 1,
                "FAIL (failed)": 1,
            }
        ),
        "each state is that of the trial's run in MLflow, and the diverged one's value is infinite": (  # noqa: E501
            true and values == [math.inf]
        ),
    }


def truth(row: Row) -> str:
    return "failed" if row.status != "FINISHED" else "diverged" if row.diverged else "complete"


def of_mlflow(seen: Seen, place: Place) -> dict[str, bool]:
    """What MLflow has, and once more what its database says."""
    counted = Counter(row.status for row in seen.rows.values())
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(counted.items()))
    ((runs, keys),) = place.server.sql(
        "mlflow", "select count(*), count(distinct value) from tags where key = 'upgate.key'"
    )
    right = counted == {"FINISHED": TRIALS - 1, "FAILED": 1} and set(seen.rows) == {
        one.key for one in seen.asked
    }
    return {
        f"MLflow has {len(seen.rows)} runs of trials: {statuses}": right,
        f"its database has {runs} runs of {keys} keys: the trials', the search's, its arm's": (
            runs == keys == TRIALS + 2
        ),
    }


def of_faults(seen: Seen) -> dict[str, bool]:
    """What became of the kill, of the trial that raised, and of both nodes."""
    dead, failed, said = seen.row(KILLED), seen.row(RAISES), seen.first.said
    tried = f"{seen.asked[KILLED].name}: WorkerCrashedError of Ray's; it is tried once more"
    once = said.count("it is tried once more") == 1 and tried in said and len(seen.killed) == 1
    told = said.count(f"failed {seen.asked[RAISES].name}: ") == 1
    count = Counter(map(seen.node, seen.rows.values()))
    return {
        f"the first command ends with {seen.first.code}, as a search with a failed trial does": (
            seen.first.code == 1
        ),
        f"the killed worker's trial was tried once more, in another process, and is {dead.status}": (  # noqa: E501
            once and dead.status == "FINISHED" and int(dead.tags["upgate.pid"]) not in seen.killed
        ),
        f"the trial that raised was told once and is {failed.status}": (
            told and failed.status == "FAILED"
        ),
        f"both nodes worked: {count[0]} runs ended on the first, {count[1]} on the second": (
            min(count[0], count[1]) > 0
        ),
    }


def of_second(seen: Seen, second: Ended, rows: dict[str, Row], told: list[Any]) -> dict[str, bool]:
    """What the same command does once more, the fault mended."""
    trained = [one.name for one in seen.asked if ended(rows[one.key]) != ended(seen.rows[one.key])]
    right = (
        second.code == 0
        and trained == [seen.asked[RAISES].name]
        and rows[seen.asked[RAISES].key].status == "FINISHED"
    )
    numbers = sorted(one.user_attrs["upgate.number"] for one in told)
    return {
        f"the second command ends with {second.code}, and trained nothing but {', '.join(trained)}": (  # noqa: E501
            right
        ),
        f"Optuna then has {len(told)} records, the failed trial's COMPLETE beside its FAIL": (
            numbers == sorted([*range(TRIALS), RAISES])
        ),
    }


def line(number: int, seen: Seen) -> str:
    """A trial's row of the table."""
    row, names = seen.row(number), ["first", "second"]
    states = [
        f"{one.state.name}, {one.user_attrs['upgate.state']}"
        for one in seen.told
        if one.user_attrs["upgate.number"] == number
    ]
    nodes = [
        *((seen.nodes[pid] for pid in seen.killed) if number == KILLED else ()),
        seen.node(row),
    ]
    what = {
        KILLED: "worker killed -9, tried once more",
        RAISES: "its weights cannot be written",
    }.get(number, "")
    where = ", then ".join(names[node] for node in nodes)
    return (
        f"| {number} | {seen.asked[number].rate:g} | {'; '.join(states)} | {row.status} | {where} |"
        f" {what} |"
    )


def page(seen: Seen, checks: Mapping[str, bool], second: Ended, load: float) -> str:
    state = git_state()
    code = (
        f"code {state['sha'][:7]}{' with uncommitted changes' if state['diff'] else ''}"
        if state
        else "an installed package"
    )
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("ray", "mlflow", "optuna", "psycopg", "torch")
    )
    listed = "\n".join(
        f"- {sentence}: {'yes' if held else '**NO**'}" for sentence, held in checks.items()
    )
    return PAGE.format(
        made=f"{code}, {packages}, Python {platform.python_version()}",
        machine=f"{os.cpu_count()} cores, load {load:.1f} when it began",
        words=WORDS.replace("\n", "\n  "),
        times=(
            f"The first command took {seen.first.seconds:.0f} s, the second {second.seconds:.0f} s"
        ),
        checks=listed,
        lines="\n".join(line(number, seen) for number in range(TRIALS)),
    )


def write(path: Path, text: str) -> None:
    """Put the section in the place of the old one."""
    _, mark, rest = (
        path.read_text(encoding="utf-8").partition(END) if path.exists() else ("", "", "")
    )
    path.write_text(text + (mark + rest if mark else ""), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
