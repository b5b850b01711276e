"""The training step by hand, through the Learner's own hooks in Lightning's order, on a net small enough for hundreds of runs."""

import io
from contextlib import ExitStack
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from upgate.config.compose import PARTS, REGULARIZATION, choices, compose
from upgate.errors import UserError
from upgate.model.module import RecipeModule
from upgate.recipe.recipe import part
from upgate.recipe.registry import lookup
from upgate.run.resolve import check_recipe, has_bf16
from upgate.seeds import generator
from upgate.tasks.sentiment.module import SentimentModule
from upgate.tasks.stock.module import StockModule

torch.set_num_threads(1)  # tensors of this size gain nothing from more

MODEL = {
    "name": "lstm",
    "hidden_size": 5,
    "num_layers": 2,
    "bidirectional": False,
    "pooling": "last",
}
VOCABULARY, CLASSES, EMBEDDING = 9, ["negative", "positive"], 4
BESIDE = {"layerwise=lamb": "optimizer=adam"}
TASKS = ("stock", "sentiment")
TOKENS_ONLY = tuple(
    name
    for name in choices(REGULARIZATION)
    if name != "none" and lookup(REGULARIZATION, name).required_input
)  # prices refuse them
needs_bf16 = pytest.mark.skipif(
    not has_bf16(), reason="this processor has no AVX-512, and oneDNN no bf16 LSTM without it"
)
EVERY_CHOICE = [
    (group, name) for group in PARTS for name in choices(group)
]  # a new yaml is a new test
EVERY_RUN = [
    (task, *choice)
    for task in TASKS
    for choice in EVERY_CHOICE
    if task == "sentiment" or choice[1] not in TOKENS_ONLY
]


def parts(*words: str) -> dict[str, Any]:
    """The traditional recipe, which is all null choices, with these words' changes; a recipe by itself knows no task.

    A choice that the recipe's plain SGD cannot go with brings its own optimizer, unless one is given.
    """
    given = any(word.startswith("optimizer=") for word in words)
    optimizer = () if given else (BESIDE[word] for word in words if word in BESIDE)
    return check_recipe(
        {key: value for key, value in _composed((*optimizer, *words)).items() if key != "task"}
    )


def fits(*words: str) -> bool:
    """Whether these choices can be combined; test_compatibility.py tests the refusals."""
    try:
        parts(*words)
    except UserError:
        return False
    return True


@lru_cache
def _composed(words: tuple[str, ...]) -> dict[str, Any]:
    return compose(["recipe=traditional", *words])


def word(group: str, name: str) -> str:
    """The override that makes a choice."""
    return f"{group}=[{name}]" if group == REGULARIZATION else f"{group}={name}"


def knobs(group: str, name: str) -> dict[str, Any]:
    """A choice's knobs and defaults out of its yaml."""
    chosen = _composed((word(group, name),))[group]
    chosen = chosen[name] if group == REGULARIZATION else chosen
    return {key: value for key, value in chosen.items() if key not in ("name", "search")}


def made(group: str, name: str, **changed: Any) -> Any:
    """A part with its yaml's knobs, some of them changed."""
    return part(group, name, knobs(group, name) | changed)


def batch(i: int = 0, n: int = 4, length: int = 6, features: int = 3) -> dict[str, Tensor]:
    """The same batch for the same number, whatever was drawn before."""
    g = generator(0, "batch", i)
    return {"x": torch.randn(n, length, features, generator=g), "y": torch.randn(n, generator=g)}


def texts(i: int = 0, n: int = 4, length: int = 6) -> dict[str, Tensor]:
    """The same texts for the same number: the first fills its row, the others are of any length from 1."""
    g = generator(0, "texts", i)
    lengths = torch.randint(1, length + 1, (n,), generator=g)
    lengths[0] = length
    x = torch.randint(1, VOCABULARY, (n, length), generator=g).masked_fill(
        torch.arange(length) >= lengths[:, None], 0
    )
    return {"x": x, "lengths": lengths, "y": torch.randint(len(CLASSES), (n,), generator=g)}


def learner(task: str, recipe: dict[str, Any], seed: int = 0, **model: Any) -> RecipeModule:
    spec = {"seed": seed, "model": MODEL | model, "recipe": recipe}
    if task == "stock":
        return StockModule(spec | {"task": {"features": ["a", "b", "c"]}}, {})
    return SentimentModule(
        spec | {"task": {"embedding": EMBEDDING}}, {"vocabulary": VOCABULARY, "classes": CLASSES}
    )


class Loop:
    """A task's learner under a hand-made trainer. Pass a `checkpoint` to go on from it, as Lightning does it."""

    def __init__(
        self,
        recipe: dict[str, Any],
        total: int = 20,
        seed: int = 0,
        checkpoint: dict[str, Any] | None = None,
        task: str = "stock",
        **model: Any,
    ):
        self.learner, self.batch = (
            learner(task, recipe, seed, **model),
            batch if task == "stock" else texts,
        )
        self.learner.trainer = SimpleNamespace(
            estimated_stepping_batches=total, sanity_checking=False
        )  # type: ignore[assignment]
        self._judging = ExitStack()
        self.net, self.recipe, self.done = self.learner.net, self.learner.recipe, 0
        if checkpoint is not None:
            self.learner.load_state_dict(checkpoint["state_dict"])
            self.learner.on_load_checkpoint(checkpoint)
        configured = self.learner.configure_optimizers()
        self.optimizer, self.scheduler = (
            configured["optimizer"],
            configured["lr_scheduler"]["scheduler"],
        )
        self.learner.on_fit_start()
        if checkpoint is not None:
            self.done = checkpoint["done"]
            self.optimizer.load_state_dict(checkpoint["optimizer_states"][0])
            self.scheduler.load_state_dict(checkpoint["lr_schedulers"][0])

    def step(self, batch: dict[str, Tensor]) -> float:
        losses = []

        def closure() -> Tensor:
            loss = self.learner.training_step(batch, self.done)
            self.optimizer.zero_grad()
            loss.backward()
            self.learner.configure_gradient_clipping(self.optimizer)
            losses.append(loss.item())
            return loss

        self.learner.train()
        self.learner.optimizer_step(0, self.done, self.optimizer, closure)
        self.scheduler.step()
        self.done += 1
        return losses[0]

    def steps(self, n: int) -> list[float]:
        """The losses of the next n steps; the batch of a step depends on its number only."""
        return [self.step(self.batch(self.done)) for _ in range(n)]

    def weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.net.named_parameters()}

    def hold_judged_weights(self) -> None:
        """Put the weights that are judged and kept into the net, until told otherwise."""
        self._judging.enter_context(self.recipe.averaged_weights())

    def hold_trained_weights(self) -> None:
        self._judging.close()

    def rates(self) -> dict[str, float]:
        """The learning rate in force for each layer."""
        return {
            layer: g["lr"] for g in self.optimizer.param_groups for layer in g["layer"].split("+")
        }

    def checkpoint(self) -> dict[str, Any]:
        """The whole state, through a file and back."""
        state: dict[str, Any] = {
            "state_dict": self.learner.state_dict(),
            "optimizer_states": [self.optimizer.state_dict()],
            "lr_schedulers": [self.scheduler.state_dict()],
            "done": self.done,
        }
        self.learner.on_save_checkpoint(state)
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        return torch.load(file, weights_only=True)


def poison(param: nn.Parameter, value: float) -> Any:
    """From now on this parameter's gradient is `value`; the handle's remove() heals it."""
    return param.register_hook(lambda grad: torch.full_like(grad, value))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def with_gradients(*gradients: Tensor) -> list[nn.Parameter]:
    """Parameters of 0 that hold these gradients."""
    params = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g.clone()
    return params
