"""Every choice of every group against the upgraded recipe, one change at a time.

python bench/screen.py task=sentiment|stock [groups=clip,init] [seeds=0,1,2] [processes=1]
    [threads=1] [data=../shared/data] [root=runs/screen] [out=docs/results]

What each does to the validation part, and its cost. Resumes. Writes screen-<task>.json, from which
bench/cards.py fills the cards, and screen-<task>.md; rows of groups not asked for stay. Where the
commit of the code is not known, it trains and writes nothing: exit code 2.

Small models and budgets: it says which choices engage and which may be worth a study, and decides
nothing. A choice that the recipe has already is measured against the recipe without it. One that
cannot stand in it is measured with what it needs on both sides.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from rich.console import Console

from upgate.cli.arguments import read_options
from upgate.cli.train import train_command
from upgate.config.choices import PARTS, REGULARIZATION, choices
from upgate.config.compose import compose
from upgate.errors import UserError
from upgate.experiment.jobs import expand_jobs
from upgate.run import provenance
from upgate.run.datasets import Datasets
from upgate.run.resolve import check_recipe
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.registry import get_task

TASKS = {
    "sentiment": "data=texts data.path={data}/sentiment/sst2_sentence.parquet trainer.max_epochs=3",
    "stock": "data=prices data.path={data}/stock/us_daily_long_adj.parquet "
    "data.tickers=[AAPL,MSFT,XOM,KO,PG,GE,IBM,SPY] data.start=2012 "
    "task.target=volatility trainer.max_epochs=2 model.hidden_size=32",
}
NEEDS = {  # the smallest change that lets a choice stand; it is in both recipes compared
    "optimizer=schedule_free": "schedule=constant",
    "layerwise=lars": "optimizer=sgd",
    "layerwise=independent": "clip=layer",
    "regularization=decay": "optimizer=adam",
    "layerwise=cyclic": "model.num_layers=2",
    "layerwise=greedy": "model.num_layers=2",
    "layerwise=local": "model.num_layers=2",
    "layerwise=random_blocks": "model.num_layers=2",
}
SHOWN = {  # by group, how the names of the numbers begin that show a choice at work
    "optimizer": ("averaged_steps", "update_ratio/lstm.0", "grad_norm_p50"),
    "schedule": ("rate_cuts", "learning_rate/head", "update_ratio/lstm.0"),
    "clip": ("clipped_", "clip_"),
    "regularization": ("{name}_", "penalty_over_loss", "exact_zeros", "grad_norm_p50"),
    "init": ("forget_gate_mean", "gate_saturation", "grad_norm_p50"),
    "layerwise": (
        "active_share",
        "passes_per_step",
        "trust_ratio",
        "auxiliary_loss",
        "learning_rate/lstm",
        "update_ratio",
    ),
    "averaging": ("averaged_steps", "update_ratio/lstm.0"),
    "stopping": ("steps_saved",),
}
MOST_NUMBERS = 3  # shown of a choice
SAME_WEIGHTS = ("independent",)  # choices that must leave the weights as they are
COMMIT = 7  # characters of a commit
Overrides = tuple[str, ...]  # that change the upgraded recipe
Options = Mapping[str, str]
Pairs = Sequence[tuple[Row, Row]]  # runs with and without a choice that share a seed


@dataclass(frozen=True)
class Contrast:
    """A choice, and two recipes that differ in it alone.

    They are one recipe where the upgraded recipe's own choice is the null one.
    """

    group: str
    name: str
    arm: Overrides
    base: Overrides


def contrast(
    group: str, name: str, upgraded: Mapping[str, Any], traditional: Mapping[str, Any]
) -> Contrast:
    needed = tuple(NEEDS.get(f"{group}={name}", "").split())
    if group == REGULARIZATION:
        own = set(upgraded[group])
        arm, base = (own | {name}, own - {name}) if name != "none" else (set(), own)
        with_it, without = regularizers(arm, own), regularizers(base, own)
        return Contrast(group, name, (*needed, *with_it), (*needed, *without))
    if name != upgraded[group]["name"]:
        return Contrast(group, name, (*needed, f"{group}={name}"), needed)
    null = traditional[group]["name"]
    return Contrast(group, name, (), (f"{group}={null}",) if name != null else ())


def regularizers(names: set[str], own: set[str]) -> Overrides:
    """The override that chooses these, if they are not the recipe's own."""
    return () if names == own else (f"{REGULARIZATION}=[{','.join(sorted(names)) or 'none'}]",)


def make_contrasts(options: Options) -> list[Contrast]:
    upgraded = compose([*setting(options), "recipe=upgraded"])
    traditional = compose([*setting(options), "recipe=traditional"])
    contrasts = []
    for group in options["groups"].split(","):
        contrasts += [contrast(group, name, upgraded, traditional) for name in choices(group)]
    return contrasts


def setting(options: Options) -> list[str]:
    """Task, data and budget, the same for all."""
    task = options["task"]
    return [f"task={task}", *TASKS[task].format(**options).split(), "twin=false"]


def command(overrides: Overrides, options: Options) -> list[str]:
    """What `upgate train -m` gets for a recipe and all seeds."""
    own = [f"seed={options['seeds']}", f"threads={options['threads']}", f"root={options['root']}"]
    return [*setting(options), *overrides, *own]


def refusal(overrides: Overrides, options: Options) -> str:
    """Why a recipe cannot be trained, in one sentence; empty where it can."""
    try:
        check_recipe(compose([*setting(options), *overrides]))
    except UserError as error:
        return str(error)
    return ""


def recipes(contrasts: Sequence[Contrast], options: Options) -> list[Overrides]:
    """The recipes to train, each once."""
    wanted: dict[Overrides, None] = {}
    for c in contrasts:
        if c.arm != c.base and not refusal(c.arm, options):
            wanted |= {c.base: None, c.arm: None}
    return list(wanted)


def train_all(wanted: Sequence[Overrides], options: Options) -> None:
    """Train in this process, or each share of the recipes in a process of its own.

    No run is trained by two processes.
    """
    if int(options["processes"]) > 1:
        train_shares(int(options["processes"]), options)
        return
    for i, overrides in enumerate(wanted):
        code = train_command(command(overrides, options), True, None, Console(quiet=True))
        name, failed = " ".join(overrides) or "upgraded", " FAILED" if code == 1 else ""
        print(f"{i + 1}/{len(wanted)} {name}{failed}", flush=True)
        if code == 130:
            sys.exit(code)


def train_shares(processes: int, options: Options) -> None:
    passed_on = [f"{k}={v}" for k, v in options.items() if k not in ("processes", "share")]
    call = [sys.executable, __file__, *passed_on]
    workers = [subprocess.Popen([*call, f"share={i}/{processes}"]) for i in range(processes)]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        print(
            "a worker failed; what is in the store is reported, "
            "and the same command goes on from there",
            flush=True,
        )


def stored(wanted: Sequence[Overrides], options: Options) -> dict[Overrides, list[Row | None]]:
    """What the store holds of each recipe, by seed."""
    datasets, keys = Datasets(), {}
    for overrides in wanted:
        jobs = expand_jobs(command(overrides, options), True, None, datasets)
        keys[overrides] = [job.spec.key for job in jobs]
    store = Store(Path(options["root"]).resolve())
    finished = store.finished(key for of_recipe in keys.values() for key in of_recipe)
    runs = {}
    for overrides, of_recipe in keys.items():
        runs[overrides] = [finished.get(key) for key in of_recipe]
    return runs


def measure(c: Contrast, pairs: Pairs, options: Options) -> dict[str, Any]:
    """The row of a choice."""
    key = get_task(options["task"]).metric.validation_key
    nan = float("nan")
    effects = [a.metrics.get(key, nan) - b.metrics.get(key, nan) for a, b in pairs]
    complete = bool(effects) and all(map(isfinite, effects))  # a diverged run has no score
    ratios = [a.metrics["seconds_per_step"] / b.metrics["seconds_per_step"] for a, b in pairs]
    several = complete and len(effects) > 1
    data = {a.tags["upgate.data"].removeprefix("sha256:")[:12] for a, _ in pairs}
    return {
        "group": c.group,
        "name": c.name,
        "metric": key,
        "arm": " ".join(c.arm) or "upgraded",
        "against": " ".join(c.base) or "upgraded",
        "effect": fmean(effects) if complete else None,
        "se": stdev(effects) / len(effects) ** 0.5 if several else None,
        "seeds": len(pairs),
        "engaged": describe_engagement(c, pairs),
        "seconds_per_step_ratio": median(ratios) if ratios else None,
        "data": ", ".join(sorted(data)),
    }


def describe_engagement(c: Contrast, pairs: Pairs) -> str:
    """Whether the choice changed the weights, and the numbers that say how."""
    if not pairs:
        return "no run finished"
    diverged = sum(a.tags["upgate.diverged"] == "true" for a, _ in pairs)
    weights = [(a.tags["upgate.weights"], b.tags["upgate.weights"]) for a, b in pairs]
    same = sum(a == b != "" for a, b in weights)  # a diverged run has none
    if same == len(pairs):
        if c.name in SAME_WEIGHTS:
            return "the same weights, as it must be: a negative control"
        return "never engaged: the same weights, bit for bit"
    counts = {"diverged": diverged, "never engaged": same}
    seeds = [f"{what} in {count} of {len(pairs)} seeds" for what, count in counts.items() if count]
    return "; ".join([*seeds, *numbers(c, pairs)]) or "the weights differ; no number says how"


def numbers(c: Contrast, pairs: Pairs) -> Iterator[str]:
    """The first numbers of the group's that differ, means over seeds; in brackets without it."""
    left = MOST_NUMBERS
    for name in number_names(c, pairs[0][0]):
        arm = [a.metrics[name] for a, _ in pairs if name in a.metrics]
        base = [b.metrics[name] for _, b in pairs if name in b.metrics]
        if left and arm != base:
            left -= 1
            without = f" ({fmean(base):.3g})" if base else ""
            yield f"{name.removeprefix('engagement/')} {fmean(arm):.3g}{without}"


def number_names(c: Contrast, row: Row) -> list[str]:
    """The names of the row's numbers that show a choice of the group at work, each once."""
    names: dict[str, None] = {}
    for beginning in SHOWN[c.group]:
        start = f"engagement/{beginning.format(name=c.name)}"
        names |= dict.fromkeys(name for name in sorted(row.metrics) if name.startswith(start))
    return list(names)


def make_rows(contrasts: Sequence[Contrast], options: Options) -> Iterator[dict[str, Any]]:
    """The row of each choice. Raises UserError where the commit of its runs is not known."""
    runs = stored(recipes(contrasts, options), options)
    commits = read_commits(options["root"])
    for c in contrasts:
        reason = refusal(c.arm, options)
        pairs: list[tuple[Row, Row]] = []
        if not reason and c.arm != c.base:
            both = zip(runs[c.arm], runs[c.base], strict=True)
            pairs = [(a, b) for a, b in both if a and b]
        row = measure(c, pairs, options)
        if reason:
            row["engaged"] = f"refused: {reason}"
        elif c.arm == c.base:
            row["engaged"] = "the upgraded recipe's own choice, and the null one"
        yield row | {"code": name_commits(c, pairs, commits)}


def read_commits(root: str) -> dict[str, str]:
    """The commit of the code by the parent run's id; empty where the run does not say."""
    rows = Store(Path(root).resolve()).rows()
    return {row.run_id: row.tags.get("upgate.git", "")[:COMMIT] for row in rows if row.is_parent}


def name_commits(c: Contrast, pairs: Pairs, commits: Mapping[str, str]) -> str:
    """The commits of the code that trained a choice. Raises UserError where one is not known."""
    of_runs = {commits.get(a.parent or "", "") for a, _ in pairs}
    if "" in of_runs:
        raise UserError(
            f"the store does not say which commit's code trained {c.group}={c.name}; "
            "screen with another root=..., so that its runs are trained again"
        )
    return ", ".join(sorted(of_runs))


def check_commit() -> None:
    """Raise UserError where the commit of the code that would run is not known."""
    if not provenance.git_state().get("sha"):
        raise UserError(
            "git cannot tell the commit of this code, and a screen must name it; "
            "run bench/screen.py in a checkout"
        )


def write(fresh: list[dict[str, Any]], options: Options) -> None:
    """Into the json and the table; a group that was not asked for keeps its rows."""
    path = Path(options["out"]) / f"screen-{options['task']}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    groups = options["groups"].split(",")
    all_rows = [*fresh, *(row for row in old if row["group"] not in groups)]
    all_rows.sort(key=lambda row: (PARTS.index(row["group"]), row["name"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(all_rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(table(all_rows, options), encoding="utf-8")


def table(rows: Sequence[Mapping[str, Any]], options: Options) -> str:
    task, seeds = options["task"], options["seeds"]
    better = "higher" if get_task(task).metric.higher_is_better else "lower"
    lines = [
        f"# A screen of every choice, task={task}\n",
        f"`python bench/screen.py task={task} seeds={seeds}`",
        f"trains on `{TASKS[task].format(data='...')}`.\n",
        f"Effect: {rows[0]['metric']} with the choice minus without it ({better} is better), "
        "mean over seeds ± standard error. So few",
        "seeds of so small a budget show what engages, and prove no gain. "
        "In brackets: the number without the choice.",
        "Seconds per step: median of ratios paired by seed; on a busy machine they say little.\n",
        "| choice | against | effect | engagement | seconds per step |\n|---|---|--:|---|--:|",
    ]
    return "\n".join([*lines, *map(table_row, rows)]) + "\n"


def table_row(row: Mapping[str, Any]) -> str:
    effect = ratio = ""
    if row["effect"] is not None:
        effect = f"{row['effect']:+.4f}" + (f" ± {row['se']:.4f}" if row["se"] is not None else "")
    if row["seconds_per_step_ratio"] is not None:
        ratio = f"×{row['seconds_per_step_ratio']:.2f}"
    choice = f"{row['group']}={row['name']}"
    return f"| {choice} | {row['against']} | {effect} | {row['engaged']} | {ratio} |"


def main(words: list[str]) -> None:
    defaults = {
        "task": "sentiment",
        "groups": ",".join(PARTS),
        "seeds": "0,1,2",
        "processes": "1",
        "threads": "1",
        "data": "../shared/data",
        "root": "runs/screen",
        "out": "docs/results",
        "share": "0/1",  # of the recipes; a worker's
    }
    options = read_options(defaults, words)
    try:
        screen(options)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def screen(options: Options) -> None:
    check_commit()
    contrasts = make_contrasts(options)
    share, shares = map(int, options["share"].split("/"))
    train_all(recipes(contrasts, options)[share::shares], options)
    if shares == 1:
        write(list(make_rows(contrasts, options)), options)


if __name__ == "__main__":
    main(sys.argv[1:])
