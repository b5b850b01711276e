"""`upgate promote`: a run as a version of a model in MLflow's registry."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from upgate.cli.arguments import need_run
from upgate.cli.predict import (
    CHECKPOINT,
    check_predict_keys,
    describe_run,
    fetch_file,
    find_run,
    parse_pairs,
)
from upgate.cli.promotion import Promotion
from upgate.cli.texts import say
from upgate.errors import UserError
from upgate.messages import shown
from upgate.run import served
from upgate.run.checkpoint import open_checkpoint
from upgate.store.open import open_store
from upgate.store.record import Row
from upgate.store.registry import Registry, ServedModel, load_lines
from upgate.store.store import Store
from upgate.tasks.registry import get_task

OPTIONS = ("run", "alias", "name", "root")


def promote_command(overrides: Sequence[str]) -> int:
    """Register a stored run, and say how to load it; return the exit code.

    overrides: run=<latest, a run id or the start of a key>, alias=..., name=..., root=..., and the
    task's own keys for data, of which the input example is made. A run that is a version already
    gets the alias alone. Raises UserError.
    """
    values = parse_pairs(overrides)
    need_run("promote", values)
    promotion = Promotion(**{key: values[key] for key in ("alias", "name") if key in values})
    promotion.check()
    store = open_store(values.get("root"))
    data = [word for word in overrides if word.partition("=")[0] not in OPTIONS]
    row = find_run(store, values["run"], data)
    check_predict_keys(data, get_task(row.task).predict_keys, row, OPTIONS)
    print("\n".join(map(shown, promote(store, row, promotion, data))))
    return 0


def promote(store: Store, row: Row, promotion: Promotion, data: Sequence[str] = ()) -> list[str]:
    """Register a run, and have the alias; what was done and how to load it. Raises UserError.

    data: overrides of the input example's data; none for the run's own.
    """
    name, registry = promotion.name or model_name(row), Registry(store)
    with registry.locked():
        version = registry.version(name, row.run_id)
        key = "was_registered" if version else "is_registered"
        version = version or registry.add(name, row, make_model(store, row, data))
        registry.set_alias(name, promotion.alias, version)
    own = {"key": row.key[:8], "run": row.name}
    told = say(key, name=name, version=version, alias=promotion.alias, **own)
    return [told, *load_lines(store, name, promotion.alias)]


def model_name(row: Row) -> str:
    """The task, and its target where it has one."""
    words: list[Any] = ["upgate", row.task, row.params.get("task.target")]
    return "-".join(filter(None, words))


def make_model(store: Store, row: Row, data: Sequence[str]) -> ServedModel:
    """What MLflow is told of a run's model. Raises UserError."""
    fetch = partial(fetch_file, store, row)
    path = fetch(CHECKPOINT)
    task, checkpoint = open_checkpoint(path)
    if task.source is not None:
        raise UserError(say("own_code", name=task.name))
    example = task.example(data, checkpoint, fetch)
    predictions = task.predict_frame(example, checkpoint, {})
    return ServedModel(
        loader=served.__name__,
        checkpoint=path,
        inputs=task.inputs,
        options=task.options,
        example=example,
        predictions=predictions,
        description=describe_run(row, predictions),
    )
