"""A launcher and a sweeper plugin of Hydra's, as they are found where they are installed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper


@dataclass
class TinyLauncherConf:
    _target_: str = "hydra_plugins.tiny.TinyLauncher"
    n_jobs: int = 1
    loses: int = -1  # which batch's answers get lost, when its runs have ended


@dataclass
class TinySweeperConf:
    _target_: str = "hydra_plugins.tiny.TinySweeper"
    batches: int = 2
    params: dict[str, str] | None = None


class TinyLauncher(BasicLauncher):
    """One job after the other, in this process."""

    launched: ClassVar[list[list[list[str]]]] = []

    def __init__(self, n_jobs: int, loses: int) -> None:
        super().__init__()
        self.loses = loses

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        self.launched.append([list(words) for words in job_overrides])
        answers = super().launch(job_overrides, initial_job_idx)
        if len(self.launched) - 1 == self.loses:
            raise ConnectionError("the scheduler is away")
        return answers


class TinySweeper(Sweeper):
    """Asks for each swept word with the values 1, then 2, and so on, both seeds in a batch."""

    answers: ClassVar[list[Any]] = []

    def __init__(self, batches: int, params: Any) -> None:
        self.batches = batches

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        for number in range(1, self.batches + 1):
            words = [f"{word.partition('=')[0]}=0.{number}" for word in arguments]
            batch = [[*words, f"seed={seed}"] for seed in (0, 1)]
            self.validate_batch_is_legal(batch)
            for answer in self.launcher.launch(batch, initial_job_idx=2 * (number - 1)):
                self.answers.append((answer.overrides, answer.return_value))


for name, node in (("launcher", TinyLauncherConf), ("sweeper", TinySweeperConf)):
    ConfigStore.instance().store(group=f"hydra/{name}", name="tiny", node=node, provider="tiny")
