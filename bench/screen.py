"""Every choice of every group against the upgraded recipe, one change at a time: what it does to the validation part, and its cost.

python bench/screen.py task=sentiment|stock [groups=clip,init] [seeds=0,1,2] [processes=1] [threads=1]
    [data=../shared/data] [root=runs/screen] [out=docs/results]

Resumes. Writes screen-<task>.json, from which bench/cards.py fills the cards, and screen-<task>.md; rows of groups not asked for stay.
Small models and budgets: it says which choices engage and which may be worth a study, and decides nothing. A choice that the recipe
has already is measured against the recipe without it. One that cannot stand in it is measured with what it needs on both sides.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from rich.console import Console

from upgate.cli.entry import overridden
from upgate.cli.train import train_command
from upgate.config.compose import PARTS, REGULARIZATION, choices, compose
from upgate.errors import UserError
from upgate.experiment.jobs import expand_jobs
from upgate.run.datasets import Datasets
from upgate.run.resolve import check_recipe
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.tasks.registry import get_task

TASKS = {
    "sentiment": "data=texts data.path={data}/sentiment/sst2_sentence.parquet trainer.max_epochs=3",
    "stock": "data=prices data.path={data}/stock/us_daily_long_adj.parquet data.tickers=[AAPL,MSFT,XOM,KO,PG,GE,IBM,SPY] data.start=2012"
    " task.target=volatility trainer.max_epochs=2 model.hidden_size=32",
}
BESIDE = {  # what a choice needs, the smallest change that lets it stand; it is in both recipes that are compared
    "optimizer=schedule_free": "schedule=constant",
    "layerwise=lars": "optimizer=sgd",
    "layerwise=independent": "clip=layer",
    "regularization=decay": "optimizer=adam",
    **{
        f"layerwise={name}": "model.num_layers=2"
        for name in ("cyclic", "greedy", "local", "random_blocks")
    },
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
MOST = 3  # numbers shown of a choice
SAME = ("independent",)  # choices that must leave the weights as they are: negative controls
Words = tuple[str, ...]  # that change the upgraded recipe
Asked = Mapping[str, str]


@dataclass(frozen=True)
class Contrast:
    """A choice, and two recipes that differ in it alone; they are one where the recipe's own choice is the null one."""

    group: str
    name: str
    arm: Words
    base: Words


def contrast(
    group: str, name: str, upgraded: Mapping[str, Any], traditional: Mapping[str, Any]
) -> Contrast:
    beside = tuple(BESIDE.get(f"{group}={name}", "").split())
    if group == REGULARIZATION:
        own = set(upgraded[group])
        arm, base = (own | {name}, own - {name}) if name != "none" else (set(), own)
        return Contrast(
            group, name, (*beside, *regularizers(arm, own)), (*beside, *regularizers(base, own))
        )
    if name != upgraded[group]["name"]:
        return Contrast(group, name, (*beside, f"{group}={name}"), beside)
    null = traditional[group]["name"]
    return Contrast(group, name, (), (f"{group}={null}",) if name != null else ())


def regularizers(names: set[str], own: set[str]) -> Words:
    return () if names == own else (f"{REGULARIZATION}=[{','.join(sorted(names)) or 'none'}]",)


def contrasts(asked: Asked) -> list[Contrast]:
    upgraded, traditional = (
        compose([*setting(asked), f"recipe={name}"]) for name in ("upgraded", "traditional")
    )
    return [
        contrast(group, name, upgraded, traditional)
        for group in asked["groups"].split(",")
        for name in choices(group)
    ]


def setting(asked: Asked) -> list[str]:
    """Task, data and budget, the same for all."""
    return [f"task={asked['task']}", *TASKS[asked["task"]].format(**asked).split(), "twin=false"]


def command(words: Words, asked: Asked) -> list[str]:
    """What `upgate train -m` is told for a recipe and all seeds."""
    return [
        *setting(asked),
        *words,
        f"seed={asked['seeds']}",
        f"threads={asked['threads']}",
        f"root={asked['root']}",
    ]


def refusal(words: Words, asked: Asked) -> str:
    """Why a recipe cannot be trained, in one sentence; empty where it can."""
    try:
        check_recipe(compose([*setting(asked), *words]))
    except UserError as error:
        return str(error)
    return ""


def recipes(found: list[Contrast], asked: Asked) -> list[Words]:
    """The recipes to train, each once."""
    wanted = dict.fromkeys(
        words
        for c in found
        if c.arm != c.base and not refusal(c.arm, asked)
        for words in (c.base, c.arm)
    )
    return list(wanted)


def train_all(wanted: list[Words], asked: Asked) -> None:
    """In this process, or each share of the recipes in a process of its own: no key is trained by two."""
    if (processes := int(asked["processes"])) > 1:
        call = [
            sys.executable,
            __file__,
            *(
                f"{key}={value}"
                for key, value in asked.items()
                if key not in ("processes", "share")
            ),
        ]
        workers = [subprocess.Popen([*call, f"share={i}/{processes}"]) for i in range(processes)]
        codes = [worker.wait() for worker in workers]
        if any(codes):
            print(
                "a worker failed; what is in the store is reported, and the same command goes on from there",
                flush=True,
            )
        return
    for i, words in enumerate(wanted):
        code = train_command(command(words, asked), True, None, Console(quiet=True))
        print(
            f"{i + 1}/{len(wanted)} {' '.join(words) or 'upgraded'}{' FAILED' if code == 1 else ''}",
            flush=True,
        )
        if code == 130:
            sys.exit(code)


def stored(wanted: list[Words], asked: Asked) -> dict[Words, list[Row | None]]:
    """What the store holds of each recipe, by seed."""
    library = Datasets()
    keys = {
        words: [job.spec.key for job in expand_jobs(command(words, asked), True, None, library)]
        for words in wanted
    }
    there = Store(Path(asked["root"]).resolve()).finished(
        key for some in keys.values() for key in some
    )
    return {words: [there.get(key) for key in some] for words, some in keys.items()}


def measured(c: Contrast, pairs: list[tuple[Row, Row]], asked: Asked) -> dict[str, Any]:
    """The row of a choice, from pairs of runs that share a seed."""
    key = get_task(asked["task"]).metric.validation_key
    gaps = [a.metrics.get(key, float("nan")) - b.metrics.get(key, float("nan")) for a, b in pairs]
    whole = bool(gaps) and all(isfinite(gap) for gap in gaps)  # a diverged run has no score
    ratios = [a.metrics["seconds_per_step"] / b.metrics["seconds_per_step"] for a, b in pairs]
    return {
        "group": c.group,
        "name": c.name,
        "metric": key,
        "arm": " ".join(c.arm) or "upgraded",
        "against": " ".join(c.base) or "upgraded",
        "effect": fmean(gaps) if whole else None,
        "se": stdev(gaps) / len(gaps) ** 0.5 if whole and len(gaps) > 1 else None,
        "seeds": len(pairs),
        "engaged": engaged(c, pairs),
        "seconds_per_step_ratio": median(ratios) if ratios else None,
        "data": ", ".join(
            sorted({a.tags["upgate.data"].removeprefix("sha256:")[:12] for a, _ in pairs})
        ),
    }


def engaged(c: Contrast, pairs: list[tuple[Row, Row]]) -> str:
    """Whether the choice changed the weights, and the numbers that say how."""
    if not pairs:
        return "no run finished"
    diverged = sum(a.tags["upgate.diverged"] == "true" for a, _ in pairs)
    same = sum(
        a.tags["upgate.weights"] == b.tags["upgate.weights"] != "" for a, b in pairs
    )  # a diverged run has none
    if same == len(pairs):
        return (
            "the same weights, as it must be: a negative control"
            if c.name in SAME
            else "never engaged: the same weights, bit for bit"
        )
    counts = {"diverged": diverged, "never engaged": same}
    said = [f"{what} in {count} of {len(pairs)} seeds" for what, count in counts.items() if count]
    return "; ".join([*said, *numbers(c, pairs)]) or "the weights differ; no number says how"


def numbers(c: Contrast, pairs: list[tuple[Row, Row]]) -> Iterator[str]:
    """The first numbers of the group's that differ: means over seeds, and in brackets those without the choice."""
    starts = [f"engagement/{start.format(name=c.name)}" for start in SHOWN[c.group]]
    names = [
        name for start in starts for name in sorted(pairs[0][0].metrics) if name.startswith(start)
    ]
    left = MOST
    for name in dict.fromkeys(names):
        ours, theirs = (
            [row.metrics[name] for row in side if name in row.metrics]
            for side in zip(*pairs, strict=True)
        )
        if left and ours != theirs:
            left -= 1
            yield f"{name.removeprefix('engagement/')} {fmean(ours):.3g}" + (
                f" ({fmean(theirs):.3g})" if theirs else ""
            )


def rows(found: list[Contrast], asked: Asked) -> Iterator[dict[str, Any]]:
    there, codes = stored(recipes(found, asked), asked), commits(asked["root"])
    for c in found:
        reason = refusal(c.arm, asked)
        trained = [] if reason or c.arm == c.base else zip(there[c.arm], there[c.base], strict=True)
        pairs = [(a, b) for a, b in trained if a and b]
        row = measured(c, pairs, asked)
        if reason:
            row["engaged"] = f"refused: {reason}"
        elif c.arm == c.base:
            row["engaged"] = "the upgraded recipe's own choice, and the null one"
        yield row | {
            "code": ", ".join(sorted({codes.get(a.parent or "", "") for a, _ in pairs} - {""}))
        }


def commits(root: str) -> dict[str, str]:
    """The commit of the code by the parent run's id."""
    return {
        row.run_id: row.tags.get("upgate.git", "")[:7]
        for row in Store(Path(root).resolve()).rows()
        if row.is_parent
    }


def write(fresh: list[dict[str, Any]], asked: Asked) -> None:
    """Into the json and the table; a group that was not asked for keeps its rows."""
    path = Path(asked["out"]) / f"screen-{asked['task']}.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    all_rows = [*fresh, *(row for row in old if row["group"] not in asked["groups"].split(","))]
    all_rows.sort(key=lambda row: (PARTS.index(row["group"]), row["name"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(all_rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(table(all_rows, asked), encoding="utf-8")


def table(found: list[dict[str, Any]], asked: Asked) -> str:
    score = get_task(asked["task"]).metric
    better = "higher" if score.higher_is_better else "lower"
    lines = [
        f"# A screen of every choice, task={asked['task']}\n",
        f"`python bench/screen.py task={asked['task']} seeds={asked['seeds']}`",
        f"trains on `{TASKS[asked['task']].format(data='...')}`.\n",
        f"Effect: {found[0]['metric']} with the choice minus without it ({better} is better), mean over seeds ± standard error. So few",
        "seeds of so small a budget show what engages, and prove no gain. In brackets: the number without the choice.",
        "Seconds per step: median of ratios paired by seed; on a busy machine they say little.\n",
        "| choice | against | effect | engagement | seconds per step |\n|---|---|--:|---|--:|",
    ]
    return "\n".join([*lines, *map(line, found)]) + "\n"


def line(row: Mapping[str, Any]) -> str:
    effect = (
        ""
        if row["effect"] is None
        else f"{row['effect']:+.4f}" + (f" ± {row['se']:.4f}" if row["se"] is not None else "")
    )
    ratio = "" if row["seconds_per_step_ratio"] is None else f"×{row['seconds_per_step_ratio']:.2f}"
    return f"| {row['group']}={row['name']} | {row['against']} | {effect} | {row['engaged']} | {ratio} |"


def main(words: list[str]) -> None:
    asked = {
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
    asked = overridden(asked, words)
    found = contrasts(asked)
    share, of = map(int, asked["share"].split("/"))
    train_all(recipes(found, asked)[share::of], asked)
    if of == 1:
        write(list(rows(found, asked)), asked)


if __name__ == "__main__":
    main(sys.argv[1:])
