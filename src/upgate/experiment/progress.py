"""One line per run as it starts or ends: which one it is, and how much time is left."""

import time
from collections.abc import Callable, Mapping

from rich.console import Console

from upgate.console import format_duration, print_lines
from upgate.execution.executor import Executor
from upgate.experiment.texts import say
from upgate.messages import Message
from upgate.run.job import Job
from upgate.run.result import Result

Clock = Callable[[], float]


def at_most(runs: int) -> Message:
    """The total of a search, which may end early."""
    return say("at_most", n=runs)


class RunProgress:
    """A listener of `execute` that counts runs.

    Runs in this process have a progress bar, so their line is printed as they start; runs elsewhere
    have none, so theirs is printed as they end. A failure is printed by the driver.
    """

    def __init__(
        self, console: Console, total: str, show_starts: bool = True, clock: Clock = time.monotonic
    ) -> None:
        """`total`: how many runs there will be, such as "19" or `at_most(19)`."""
        self.console, self.total, self.show_starts, self.clock = console, total, show_starts, clock
        self.ended = 0
        self.started: dict[str, float] = {}  # run key -> when; of what is training

    def on_run_start(self, job: Job, executor: Executor) -> None:
        self.started[job.spec.key] = self.clock()
        if executor.in_process and self.show_starts:
            number = self.ended + 1
            line = say("run_starts", number=number, total=self.total, name=job.name)
            self._print(line, executor)

    def on_run_end(self, job: Job, result: Result, executor: Executor) -> None:
        seconds = self.clock() - self.started.pop(job.spec.key)
        self.count(job, seconds)
        if not executor.in_process:
            self.print_end(job, result, seconds, executor)

    def count(self, job: Job, seconds: float) -> None:
        """A run has ended after so many seconds."""
        self.ended += 1

    def print_end(self, job: Job, result: Result, seconds: float, executor: Executor) -> None:
        if not result.error:
            self._print_end(job, "run_done", seconds, executor)

    def with_time_left(self, line: str, executor: Executor) -> str:
        """The line, and how much time is left; nothing of it where nothing is expected."""
        return line

    def _print_end(self, job: Job, key: str, seconds: float, executor: Executor) -> None:
        duration = format_duration(seconds)
        count = {"number": str(self.ended), "total": self.total}
        self._print(say(key, name=job.name, duration=duration, **count), executor)

    def _print(self, line: str, executor: Executor) -> None:
        print_lines(self.console, [self.with_time_left(line, executor)])


class TimedProgress(RunProgress):
    """Also says how much time is left. expected: run key -> seconds, of all that is to be run."""

    def __init__(
        self, console: Console, expected: Mapping[str, float], clock: Clock = time.monotonic
    ) -> None:
        super().__init__(console, str(len(expected)), clock=clock)
        self.remaining = dict(expected)
        self.expected, self.spent = 0.0, 0.0  # seconds, of what has ended

    def count(self, job: Job, seconds: float) -> None:
        expected = self.remaining.pop(job.spec.key, None)
        if expected is not None:
            self.ended += 1
        if expected:
            self.expected, self.spent = self.expected + expected, self.spent + seconds

    def print_end(self, job: Job, result: Result, seconds: float, executor: Executor) -> None:
        self._print_end(job, "run_failed" if result.error else "run_done", seconds, executor)

    def with_time_left(self, line: str, executor: Executor) -> str:
        duration = format_duration(self.seconds_left(executor.slots))
        return say("time_left", line=line, duration=duration)

    def seconds_left(self, slots: int) -> float:
        """If runs keep the pace of those that ended, `slots` at once; at least the longest one."""
        pace, now = self.spent / self.expected if self.expected else 1.0, self.clock()
        rest = [
            max(0.0, pace * seconds - (now - self.started.get(key, now)))
            for key, seconds in self.remaining.items()
        ]
        return max(sum(rest) / slots, *rest, 0.0)
