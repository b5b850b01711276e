"""MLflow's model registry: a run's kept weights as a model that MLflow loads and serves.

The model is a file, the checkpoint, and the name of a module of this package that loads it: no
pickle. The files of a version are an artifact of its run.
"""

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from upgate.errors import UserError
from upgate.messages import joined
from upgate.store.call import call_mlflow
from upgate.store.connect import redact
from upgate.store.record import Row
from upgate.store.store import Store
from upgate.store.texts import say

T = TypeVar("T")

FOLDER = "model"  # among a run's artifacts
REQUIRED = ("upgate", "torch")  # packages that a served model needs; upgate brings the others
# MLflow's rules, and no mark that its filters or addresses would have to escape
NAME = re.compile(r"\w[\w. \-]{0,249}")
ALIAS = re.compile(r"(?!latest$|[vV]\d+$)[\w\-]{1,250}")


class Input(NamedTuple):
    """A column that a model reads. name: None for the only one, however it is called."""

    name: str | None
    type: str  # string, or any: also whole numbers, which MLflow refuses for a double
    required: bool = True


@dataclass(frozen=True)
class ServedModel:
    """What MLflow is told of a model. example, predictions: an input and the answer to it."""

    loader: str  # a module with a function `_load_pyfunc(path)`
    checkpoint: Path
    inputs: Sequence[Input]
    options: Mapping[str, float]  # of a prediction, with their defaults
    example: pd.DataFrame
    predictions: pd.DataFrame
    description: str


class Registry:
    """The registry of a store: the database or server that keeps its runs, or what
    MLFLOW_REGISTRY_URI names.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.client = store, store.client

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process of this root at a time, so that a run gets one version."""
        from filelock import FileLock

        with FileLock(self.store.root / "promote.lock"):
            yield

    def version(self, name: str, run_id: str) -> str | None:
        """The newest version of a model that a run is."""
        found = self._call(
            self.client.search_model_versions, f"name = '{name}' and run_id = '{run_id}'"
        )
        numbers = sorted(int(one.version) for one in found)
        return str(numbers[-1]) if numbers else None

    def versions(self, run_id: str) -> list[str]:
        """What a run is in the registry, in words: version 2 of model prices (champion)."""
        told: list[str] = []
        for one in self._call(self.client.search_model_versions, f"run_id = '{run_id}'"):
            aliases = self._call(self.client.get_registered_model, one.name).aliases
            own = [alias for alias, version in aliases.items() if str(version) == str(one.version)]
            version = say("model_version", version=one.version, name=one.name)
            told.append(
                say("with_aliases", version=version, aliases=joined(own)) if own else version
            )
        return told

    def add(self, name: str, row: Row, model: ServedModel) -> str:
        """Register a run as the next version of a model; the version.

        Raises UserError where the model, loaded by MLflow, does not give its predictions.
        """
        if not self._call(self.client.search_model_versions, f"run_id = '{row.run_id}'"):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary) / FOLDER
                save_model(model, row.run_id, folder)
                check_answer(model, folder)
                self._call(self.client.log_artifacts, row.run_id, str(folder), FOLDER)
        self._call(self._create, name)
        source, tags = f"runs:/{row.run_id}/{FOLDER}", {"upgate.key": row.key}
        arguments = (name, source, row.run_id, tags, None, model.description)
        return str(self._call(self.client.create_model_version, *arguments).version)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Have the alias, which another version may have until now."""
        self._call(self.client.set_registered_model_alias, name, alias, version)

    def _create(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _call(self, function: Callable[..., T], *args: Any) -> T:
        return call_mlflow(self.store.uri, function, *args)


def check_name(name: str) -> None:
    """Raise UserError for a name that MLflow takes for no model."""
    if not NAME.fullmatch(name):
        raise UserError(say("bad_model_name", name=name))


def check_alias(alias: str) -> None:
    """Raise UserError for an alias that MLflow does not take."""
    if not ALIAS.fullmatch(alias):
        raise UserError(say("bad_alias", alias=alias))


@contextmanager
def quiet_mlflow() -> Iterator[Any]:
    """The module mlflow.pyfunc without its hints: on its own types, on whole numbers of outputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        yield mlflow.pyfunc


def save_model(model: ServedModel, run_id: str, folder: Path) -> None:
    """Write MLflow's files of a model into a new folder."""
    from mlflow.models import Model

    with quiet_mlflow() as pyfunc:
        pyfunc.save_model(
            str(folder),
            loader_module=model.loader,
            data_path=str(model.checkpoint),
            mlflow_model=Model(artifact_path=FOLDER, run_id=run_id),
            signature=signature(model),
            input_example=model.example,
            pip_requirements=[f"{name}=={installed(name).partition('+')[0]}" for name in REQUIRED],
        )


def signature(model: ServedModel) -> Any:
    """MLflow's signature of a model."""
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    any_type: Any = AnyType
    columns: list[Any] = [
        ColSpec(any_type() if one.type == "any" else DataType[one.type], one.name, one.required)
        for one in model.inputs
    ]
    options = [ParamSpec(name, DataType.double, value) for name, value in model.options.items()]
    params: Any = ParamSchema(options) if options else None
    outputs = infer_signature(model.example, model.predictions).outputs
    return ModelSignature(Schema(columns), outputs, params)


def check_answer(model: ServedModel, folder: Path) -> None:
    """Raise UserError where MLflow gives other predictions for the example than Upgate did."""
    with quiet_mlflow() as pyfunc:
        answer = pyfunc.load_model(str(folder)).predict(model.example)
    if not model.predictions.equals(answer):
        raise UserError(say("other_answer"))


def load_lines(store: Store, name: str, alias: str) -> list[str]:
    """How to load and to serve a model."""
    uri, model = redact(store.uri), f"models:/{name}@{alias}"
    return [
        say("load_in_python", uri=uri, model=model),
        say("serve_it", uri=uri, model=model),
    ]
