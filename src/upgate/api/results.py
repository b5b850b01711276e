"""What Python gets back: data frames, and what the command line prints, shown by a notebook."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from operator import attrgetter
from pathlib import Path

import pandas as pd

from upgate.errors import UserError
from upgate.output import output_path, write_output
from upgate.run.result import Result
from upgate.study.result import StudyResult
from upgate.tasks.names import get_facts
from upgate.tune.result import TUNED, UNTUNED, SearchResult, mean_metric
from upgate.tune.text import summarize_search


@dataclass(frozen=True)
class TrainResult:
    """Trained runs beside their twins. `requested`: those that were asked for.

    `printed`: what the command prints; a notebook shows it above the table `summary`.
    """

    requested: Sequence[Result]
    results: Sequence[Result]
    printed: str = field(repr=False)

    @property
    def run(self) -> Result:
        """The one run that was asked for. Raises UserError where there are several."""
        if len(self.requested) != 1:
            raise UserError(f"there are {len(self.requested)} runs; take one of `requested`")
        return self.requested[0]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per run, twins too: name, recipe, seed, fold, and every metric."""
        rows = []
        wanted = {result.key for result in self.requested}
        for result in self.results:
            about = {name: getattr(result, name) for name in ("key", "name", "recipe", "seed")}
            about |= {"fold": result.fold, "twin": result.key not in wanted}
            about |= {"diverged": result.diverged, "folder": result.folder}
            rows.append({**about, **result.metrics, **result.paired()})
        return pd.DataFrame(rows)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """A row per run: the metric that decides, the twin's, and their difference."""
        rows = []
        for result in self.requested:
            metric = get_facts(result.task).metric
            twin = {} if result.twin is None else result.twin.metrics
            rows.append(
                {
                    "run": result.name,
                    metric.label: result.metrics.get(metric.key),
                    "twin": twin.get(metric.key),
                    "difference": result.difference.get(metric.key),
                }
            )
        return pd.DataFrame(rows)

    def table(self, name: str) -> pd.DataFrame:
        """A table of the one run, such as forecasts, predictions or curve. Raises UserError."""
        path = Path(self.run.folder) / f"{name}.parquet"
        if not path.exists():
            known = ", ".join(sorted(file.stem for file in path.parent.glob("*.parquet")))
            raise UserError(f"{self.run.name} has no table {name}; there is {known or 'none'}")
        return pd.read_parquet(path)

    def _repr_html_(self) -> str:
        return f"{self.summary.to_html(index=False)}<pre>{escape(self.printed)}</pre>"


@dataclass(frozen=True, repr=False)
class StudyAnswer:
    """A study's result; a notebook shows the sentence and the verdicts."""

    result: StudyResult
    printed: str = field(repr=False)
    root: Path

    @property
    def sentence(self) -> str:
        return self.result.sentence

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row per arm but the baseline: verdict, effect in the study's scale, interval, p, n."""
        names = ("arm", "verdict", "effect", "low", "high", "level", "p", "p_holm", "n", "score")
        rows = map(attrgetter(*names), self.result.verdicts)
        return pd.DataFrame(rows, columns=list(names))

    def page(self, path: Path | str, language: str = "en") -> Path:
        """Write the report, as `upgate report` does. Raises UserError."""
        from upgate.report.command import write_study
        from upgate.store.store import Store

        store = Store(self.root)
        return write_study(store, self.result.study.id, output_path(path), language)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.sentence}>"

    def _repr_html_(self) -> str:
        table = self.verdicts.to_html(index=False, float_format="{:.4g}".format)
        return f"<p>{escape(self.sentence)}</p>{table}"


@dataclass(frozen=True, repr=False)
class TuneAnswer:
    """A search's result; a notebook shows the sentence and the arms' scores."""

    result: SearchResult
    printed: str = field(repr=False)

    @property
    def sentence(self) -> str:
        return summarize_search(self.result)

    @cached_property
    def arms(self) -> pd.DataFrame:
        """A row per arm and block: the chosen trial and its words, scores before and after.

        validation: means over folds and seeds; test: after the refit; NaN where the test part
        stayed closed. In the units of the metric that decides.
        """
        search = self.result.search
        rows = []
        for block in self.result.blocks:
            for arm in block.arms:
                best, tests = arm.best, (arm.tests.get(which, {}) for which in (UNTUNED, TUNED))
                scores = [mean_metric(found.values(), search.score) for found in tests]
                rows.append(
                    {
                        "arm": arm.name,
                        "block": block.name,
                        "trial": arm.chosen,
                        "words": " ".join(best.overrides) if best else None,
                        "validation_untuned": search.metric_of(arm.trials[0].final),
                        "validation_tuned": search.metric_of(best.final) if best else math.nan,
                        "test_untuned": scores[0],
                        "test_tuned": scores[1],
                    }
                )
        return pd.DataFrame(rows)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row per trial: arm, block, number, state, validation score, and every value tried."""
        search = self.result.search
        about = [
            {
                "arm": arm.name,
                "block": block.name,
                "trial": trial.number,
                "state": trial.state,
                "validation": search.metric_of(trial.final),
                **trial.values,
            }
            for block in self.result.blocks
            for arm in block.arms
            for trial in arm.trials
        ]
        return pd.DataFrame(about)

    def page(self, path: Path | str, language: str = "en") -> Path:
        """Write the report, as `upgate report tune=...` does. Raises UserError."""
        from upgate.report.tune import tune_page

        out = output_path(path)
        write_output(out, tune_page(self.result, language))
        return out

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.sentence}>"

    def _repr_html_(self) -> str:
        table = self.arms.to_html(index=False, float_format="{:.4g}".format)
        return f"<p>{escape(self.sentence)}</p>{table}"
