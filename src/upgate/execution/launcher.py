"""executor=launcher: runs as jobs of a launcher plugin of Hydra's, such as joblib or submitit.

A launcher takes a batch and answers when all of it has ended. So requests are collected until the
driver has no more to give: of a sweep first all twins, then all runs that are compared with them.
A job's words name the file that holds its request; its answer is the response, a plain dict.
"""

import copy
import json
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from upgate.config.plugins import SILENT, describe_fault, load_hydra, sweep_folder
from upgate.errors import UserError
from upgate.execution.executor import Executor, LauncherOptions
from upgate.execution.texts import say
from upgate.execution.work import Payload, WorkerDied, WorkRequest, WorkResponse
from upgate.execution.worker import serve_request
from upgate.files import make_private

REQUEST, NAME = "request=", "run="  # the words of a job
# Of Hydra's own files and logs there are none: a run's folder and the store hold what it did.
QUIET = (
    *SILENT,
    "hydra.output_subdir=null",
    "hydra.job.name=upgate",
    "hydra.sweep.subdir=.",
)

Batch = list[tuple[WorkRequest, "Future[WorkResponse]"]]


class LauncherExecutor(Executor):
    """The launcher decides how many runs train at once."""

    slots = sys.maxsize
    outlived = True

    def __init__(self, options: LauncherOptions, threads: int, accelerator: str) -> None:
        if not options.words:
            raise UserError(say("launcher_by_plugin"))
        self.words = options.words
        self._waiting: Batch = []
        self._launched = 0

    def submit(self, request: WorkRequest) -> Future[WorkResponse]:
        future: Future[WorkResponse] = Future()
        self._waiting.append((request, future))
        return future

    def flush(self) -> None:
        """Train what was submitted, to the end."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            answers = self._launch([request for request, _ in batch])
        except Exception as error:  # the boundary to a plugin; the store knows which runs ended
            for _, future in batch:
                future.set_exception(WorkerDied(describe_fault(error)))
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            try:
                future.set_result(WorkResponse.from_dict(answer.return_value))
            except Exception as error:
                future.set_exception(error)

    def _launch(self, requests: Sequence[WorkRequest]) -> Sequence[Any]:
        setup_globals()  # ${now:...}, once for all batches
        config = load_hydra([*QUIET, sweep_folder(requests[0].root), *self.words])
        folder = Path(config.hydra.sweep.dir)
        make_private(folder)
        jobs = [[f"{NAME}{one.job.name}", write_request(one, folder)] for one in requests]
        context = HydraContext(config_loader=JobLoader(), callbacks=Callbacks(config))
        launcher = Plugins.instance().instantiate_launcher(context, train_request, config)
        first, self._launched = self._launched, self._launched + len(jobs)
        try:
            return launcher.launch(jobs, initial_job_idx=first)
        finally:  # a job that a scheduler begins after the command was ended trains nothing
            for _, word in jobs:
                Path(word.removeprefix(REQUEST)).unlink(missing_ok=True)
            with suppress(OSError):  # a launcher has written into it
                folder.rmdir()


def write_request(request: WorkRequest, folder: Path) -> str:
    """Put a request into a file; the word that names it."""
    path = folder.resolve() / f"{request.job.spec.key[:16]}.json"
    path.touch(mode=0o600)  # it may hold the password of a store
    path.write_text(json.dumps(request.to_dict()), encoding="utf-8")
    return f"{REQUEST}{path}"


def train_request(config: DictConfig) -> Payload:
    """Train the run of a job: Hydra's task function, in the launcher's process."""
    return serve_request(json.loads(Path(config.request).read_text(encoding="utf-8")))


class JobLoader(ConfigLoaderImpl):
    """Makes the configuration of a job of its words, which are no words of `conf/`."""

    def __init__(self) -> None:
        super().__init__(create_config_search_path(None))

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        config = copy.deepcopy(master_config)
        with open_dict(config):
            config.merge_with(dict(word.split("=", 1) for word in sweep_overrides))
            config.hydra.overrides.task = list(sweep_overrides)
        return config


EXECUTOR = LauncherExecutor
