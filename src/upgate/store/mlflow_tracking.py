"""Runs kept through MLflow's client: a server, PostgreSQL, or tables that only MLflow knows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from upgate.store.record import FEW, Conditions, Row, build_filter, restore_infinity, to_row
from upgate.store.tracking import PAIRS, POINTS, Ask, Dataset, Experiment, Point, directly

PAGE = 200  # runs per search call; MLflow takes some 150 kB for each while it answers
NEWEST = ["attributes.start_time DESC"]

T = TypeVar("T")


class MlflowTracking:
    """Made from an MlflowClient."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def experiment(self, name: str) -> Experiment | None:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return None
        return Experiment(found.experiment_id, found.lifecycle_stage == "active")

    def create_experiment(self, name: str, artifacts: str | None) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_experiment(name, artifacts)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def tag_experiment(self, experiment_id: str, name: str, value: str) -> None:
        self.client.set_experiment_tag(experiment_id, name, value)

    def tasks(self, ask: Ask = directly) -> list[str]:
        first = partial(self.client.search_runs, filter_string=build_filter(), max_results=1)
        return [
            one.name
            for one in ask(self.client.search_experiments)
            if ask(first, [one.experiment_id])
        ]

    def rows(
        self,
        conditions: Conditions,
        keys: Collection[str] | None = None,
        params: Collection[str] | None = None,
        ask: Ask = directly,
    ) -> list[Row]:
        experiments = [one.experiment_id for one in ask(self.client.search_experiments)]
        if keys is None:
            return self._search(experiments, conditions, ask)
        asked = keys if len(keys) <= FEW else [None]  # a filter has no `or`
        of_keys = [self._search(experiments, {**conditions, "key": key}, ask) for key in asked]
        return [row for rows in of_keys for row in rows if row.key in keys]

    def _search(self, experiments: list[str], conditions: Conditions, ask: Ask) -> list[Row]:
        rows: list[Row] = []
        token = None
        while token != "":
            page = ask(
                partial(
                    self.client.search_runs,
                    experiments,
                    build_filter(**conditions),
                    max_results=PAGE,
                    order_by=NEWEST,
                    page_token=token,
                )
            )
            rows += map(to_row, page)
            token = page.token or ""
        return rows

    def last_steps(self, run_id: str) -> dict[str, int]:
        metrics = self.client.get_run(run_id).data.to_proto().metrics
        return {metric.key: metric.step for metric in metrics}

    def numbers(self, run_id: str) -> dict[str, float]:
        newest = {}
        for metric in self.client.get_run(run_id).data.to_proto().metrics:
            points = [metric]
            if metric.step != 0:
                points = self.client.get_metric_history(run_id, metric.key)
            values = [point.value for point in points if point.step == 0]
            if values:
                newest[metric.key] = restore_infinity(values[-1])
        return newest

    def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start: int) -> str:
        run = self.client.create_run(experiment_id, start, dict(tags), name)
        return str(run.info.run_id)

    def set_status(self, run_id: str, status: str, end: int | None) -> None:
        if end is None:
            self.client.update_run(run_id, status)
        else:
            self.client.set_terminated(run_id, status, end)

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        for block in chunked(points, POINTS):
            self.client.log_batch(run_id, metrics=[Metric(*point) for point in block])

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        for block in chunked(params.items(), PAIRS):
            self.client.log_batch(run_id, params=[Param(*pair) for pair in block])

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        for block in chunked(tags.items(), PAIRS):
            self.client.log_batch(run_id, tags=[RunTag(*pair) for pair in block])

    def log_dataset(self, run_id: str, dataset: Dataset) -> None:
        from mlflow.entities import Dataset as Logged
        from mlflow.entities import DatasetInput, InputTag

        logged = Logged(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            profile=dataset.profile,
        )
        tags = [InputTag("mlflow.data.context", dataset.context)]
        self.client.log_inputs(run_id, [DatasetInput(logged, tags)])

    def log_artifact(self, run_id: str, path: Path, folder: str) -> None:
        log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        log(run_id, str(path), folder or None)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        self.client.log_text(run_id, text, name)

    def artifacts(self, run_id: str) -> dict[str, int | None]:
        entries = self.client.list_artifacts(run_id)
        return {one.path: None if one.is_dir else one.file_size or 0 for one in entries}

    def download(self, run_id: str, name: str, folder: Path) -> Path:
        return Path(self.client.download_artifacts(run_id, name, str(folder)))


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while block := list(islice(left, size)):
        yield block
