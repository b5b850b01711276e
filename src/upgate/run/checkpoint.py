"""A run's kept weights, read with care: they may come from elsewhere."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from upgate.errors import UserError
from upgate.run.texts import say
from upgate.tasks.base import Task
from upgate.tasks.registry import get_task


def open_checkpoint(path: Path) -> tuple[Task, dict[str, Any]]:
    """The task of a checkpoint, and the checkpoint with the weights that are judged.

    Raises UserError.
    """
    checkpoint = load_checkpoint(path)
    checkpoint["state_dict"] = checkpoint.get("judged", checkpoint["state_dict"])
    check_sizes(checkpoint)
    settings = checkpoint["hyper_parameters"]["spec"]["task"]
    task = get_task(settings["name"])
    task.check_code(settings)
    return task, checkpoint


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and plain values, never code. Raises UserError for a file that is no checkpoint."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["hyper_parameters"]["spec"]["task"]["name"], checkpoint["state_dict"]
    except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError):
        raise UserError(say("damaged_checkpoint", path=str(path))) from None
    return checkpoint


def check_sizes(checkpoint: dict[str, Any]) -> None:
    """Raise UserError where a checkpoint asks for a larger network than its weights are.

    It may come from elsewhere, and a number in it would decide how much memory is taken.
    """
    parameters = checkpoint["hyper_parameters"]
    model, task = parameters["spec"].get("model", {}), parameters["spec"]["task"]
    state = parameters.get("state", {})
    hidden, layers = model.get("hidden_size", 1), model.get("num_layers", 1)
    embedding, vocabulary = task.get("embedding", 1), state.get("vocabulary", 1)
    sizes = (hidden, layers, embedding, vocabulary)
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise UserError(say("sizes_no_numbers"))
    wanted = 4 * hidden * (hidden + 1) * layers + embedding * vocabulary
    there = sum(
        min(value.numel(), value.untyped_storage().nbytes() // value.element_size())
        for value in checkpoint["state_dict"].values()
    )
    if wanted > there:
        raise UserError(say("network_too_large", wanted=f"{wanted:,}", there=f"{there:,}"))
