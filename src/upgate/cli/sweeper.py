"""`upgate train -m hydra/sweeper=NAME`: a sweeper plugin of Hydra's decides what is trained next.

It asks a launcher of ours for a batch of runs. They train as those of every command do, each beside
its twin and none twice, and the answer is a run's score on the validation part.
"""

import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape

from upgate.cli.texts import say
from upgate.cli.train_outcome import Training, conclude
from upgate.cli.train_plan import TrainPlan, plan_training
from upgate.config.compose import compose
from upgate.config.plugins import SILENT, describe_fault, load_hydra, sweep_folder
from upgate.config.words import Sweep, plain_words
from upgate.console import interrupted, print_lines
from upgate.errors import UserError
from upgate.execution.driver import execute
from upgate.execution.executor import Executor
from upgate.execution.open import open_executor
from upgate.execution.work import Interrupted
from upgate.execution.worker import make_work
from upgate.experiment.jobs import check_batches, check_shared_settings
from upgate.experiment.parents import open_command
from upgate.experiment.progress import RunProgress
from upgate.experiment.session import Session, job_store, prepare
from upgate.files import make_private
from upgate.messages import shown
from upgate.run.console_tables import show_data
from upgate.run.datasets import Datasets
from upgate.run.result import Result
from upgate.store.run import Run
from upgate.store.store import Store
from upgate.tasks.names import get_facts
from upgate.tune.find_rates import wants_search


class BatchLauncher(Launcher):
    """Hands a sweeper's batches to a function."""

    def __init__(self, train: Callable[[Sequence[Sequence[str]]], list[JobReturn]]) -> None:
        self.train = train

    def setup(self, **_: Any) -> None:
        """Nothing: the function knows its command."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        return self.train(job_overrides)


class WordLoader(ConfigLoaderImpl):
    """Lets a sweeper check the words of a run as ours are checked."""

    def __init__(self, batches: "Batches") -> None:
        super().__init__(create_config_search_path(None))
        self.batches = batches

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        compose(self.batches.words(sweep_overrides), self.batches.session.config_dir)
        return master_config


@dataclass
class Batches:
    """The batches of a sweep, and what they gave. A context: it ends its executor."""

    sweep: Sweep
    key: str  # of the command's MLflow run
    session: Session
    singles: list[list[str]] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)
    opened: tuple[Store, Run, Executor] | None = None

    def words(self, chosen: Sequence[str]) -> list[str]:
        """The words of a run for which the sweeper has chosen these."""
        return plain_words([*self.sweep.fixed, *chosen], self.session.config_dir)

    def plan(self, singles: Sequence[list[str]]) -> TrainPlan:
        """The runs of a batch, or of all, checked. Raises UserError."""
        for single in singles:
            if wants_search(single):
                raise UserError(say("lr_auto_in_sweep", plugin=self.sweep.plugin[0]))
        plan = plan_training(singles, self.session.config_dir, self.session.datasets)
        check_shared_settings(plan.requested)
        if plan.requested[0].config.trainer.get("fast_dev_run"):
            raise UserError(say("no_score_to_read", plugin=self.sweep.plugin[0]))
        return plan

    def open(self, plan: TrainPlan) -> tuple[Store, Run, Executor]:
        """The store, the run of the command and the executor, by the first batch."""
        if self.opened is None:
            first, console = plan.requested[0], self.session.console
            show_data(console, first, self.session.datasets)
            store = job_store(first)
            prepare(store)
            self.stack.enter_context(store.in_use())
            name = self.sweep.plugin[0].partition("=")[2]
            parent = open_command(store, first.spec.task.name, f"sweep by {name}", self.key, {})
            work = make_work(self.session.datasets.fetch, store, console, False)
            executor = open_executor(first, first.spec.threads, work)
            self.opened = store, parent, self.stack.enter_context(executor)
        return self.opened

    def train(self, batch: Sequence[Sequence[str]]) -> list[JobReturn]:
        """Train a batch, and answer with the validation scores."""
        plan = self.plan([self.words(chosen) for chosen in batch])
        for job in plan.jobs:
            check_batches(job, self.session.datasets)
        store, parent, executor = self.open(plan)
        fetch, console = self.session.datasets.fetch, self.session.console
        print_lines(
            console,
            [say("asks_for", plugin=self.sweep.plugin[0], words=" | ".join(map(" ".join, batch)))],
        )
        keys = {job.spec.key for job in plan.jobs}
        stored = store.finished(keys)
        progress = RunProgress(console, str(len(keys) - len(stored)), show_starts=False)
        done = execute(
            plan.jobs, fetch, store, parent, console, progress, executor, True, False, stored
        )
        self.results |= {result.key: result for result in done}
        self.singles += [list(single) for single in plan.singles if single not in self.singles]
        pairs = zip(plan.requested, batch, strict=True)
        return [answer(self.results[job.spec.key], chosen) for job, chosen in pairs]


def answer(result: Result, chosen: Sequence[str]) -> JobReturn:
    """What a sweeper reads: the validation score, its sign such that lower is better.

    A diverged run is infinitely bad, and a failed one raises.
    """
    metric = get_facts(result.task).metric
    if result.status != "FINISHED":
        given: float | Exception = RuntimeError(f"{result.name}: {result.error}")
    elif result.diverged:
        given = math.inf
    else:
        score = result.metrics.get(metric.validation_key, -metric.worst)
        given = -score if metric.higher_is_better else score
    status = JobStatus.FAILED if isinstance(given, Exception) else JobStatus.COMPLETED
    return JobReturn(overrides=list(chosen), status=status, _return_value=given)


def sweep_runs(
    sweep: Sweep, overrides: Sequence[str], config_dir: str | None, console: Console
) -> Training:
    """Train what a sweeper asks for, and print the results as those of every sweep.

    Raises UserError for a fault of data or configuration, and where the sweeper cannot start.
    """
    if any("direction=maximize" in word for word in sweep.plugin):
        raise UserError(say("no_direction"))
    key = hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()
    batches = Batches(sweep, key, Session(console, Datasets(), config_dir))
    failure = ""
    with batches.stack:
        try:
            run_sweeper(batches)
        except Interrupted:
            if batches.opened:
                batches.opened[1].finish("KILLED")
            return Training(interrupted(console), batches.plan(batches.singles or [sweep.example]))
        except UserError:
            raise
        except Exception as error:  # the boundary to a plugin
            failure = describe_fault(error)
        if not batches.opened or not batches.singles:
            raise UserError(
                say(
                    "trained_nothing", plugin=sweep.plugin[0], reason=failure or say("no_run_asked")
                )
            )
        if failure:
            line = f"[red]{shown(say('ended'))}[/] {escape(f'{sweep.plugin[0]}: {failure}')}"
            console.print(line, highlight=False)
        store, parent, _ = batches.opened
        plan = batches.plan(batches.singles)
        return conclude(plan, list(batches.results.values()), parent, store, console)


def run_sweeper(batches: Batches) -> None:
    """Set the sweeper up with our launcher, and let it ask for batches until it has done."""
    sweep = batches.sweep
    root = Path(compose(sweep.example, batches.session.config_dir)["root"]).resolve()
    setup_globals()  # ${now:...}
    config = load_hydra([*SILENT, sweep_folder(str(root)), *sweep.plugin])
    make_private(Path(config.hydra.sweep.dir))  # where it writes what it found
    context = HydraContext(config_loader=WordLoader(batches), callbacks=Callbacks(config))
    plugins: Any = Plugins.instance()
    launcher = BatchLauncher(batches.train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what the plugin uses, not of ours
        # A sweeper asks here for its launcher, by the name of a class in the package hydra_plugins.
        plugins.instantiate_launcher = lambda **_: launcher
        try:
            sweeper = plugins.instantiate_sweeper(
                hydra_context=context, task_function=batches.train, config=config
            )
        finally:
            del plugins.instantiate_launcher
        sweeper.sweep(sweep.swept)
