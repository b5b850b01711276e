"""The training step by hand, on a net small enough for hundreds of runs.

Through RecipeModule's own hooks in Lightning's order; a test holds it against Lightning's loop.
"""

import io
from contextlib import ExitStack
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from upgate.config.choices import REGULARIZATION
from upgate.config.compose import compose
from upgate.config.values import Section
from upgate.generators import generator
from upgate.model.module import RecipeModule
from upgate.run.resolve import check_recipe
from upgate.tasks.sentiment.module import SentimentModule
from upgate.tasks.stock.module import StockModule
from upgate.types import Batch, StateDict

MODEL = {
    "name": "lstm",
    "hidden_size": 5,
    "num_layers": 2,
    "bidirectional": False,
    "pooling": "last",
}
TASKS = ("stock", "sentiment")
VOCABULARY, CLASSES, EMBEDDING = 9, ["negative", "positive"], 4
NEEDS_OPTIMIZER = {"layerwise=lamb": "optimizer=adam"}  # what plain SGD cannot go with


def make_recipe(*overrides: str, config_dir: str | None = None) -> Section:
    """The traditional recipe, all null choices, with these overrides; it knows no task.

    A choice that the recipe's plain SGD cannot go with brings its own optimizer, unless one is
    given. Raises UserError for choices that cannot be combined.
    """
    if not any(override.startswith("optimizer=") for override in overrides):
        needed = [NEEDS_OPTIMIZER[word] for word in overrides if word in NEEDS_OPTIMIZER]
        overrides = (*needed, *overrides)
    composed = compose_traditional(overrides, config_dir)
    taskless = {key: value for key, value in composed.items() if key not in ("task", "inputs")}
    return check_recipe(taskless)


@lru_cache(maxsize=1024)  # a test module asks for hundreds, when collected and when run
def compose_traditional(overrides: tuple[str, ...], config_dir: str | None = None) -> Any:
    return compose(["recipe=traditional", "model.skip=none", *overrides], config_dir)


def make_override(group: str, name: str) -> str:
    """The override that makes a choice."""
    return f"{group}=[{name}]" if group == REGULARIZATION else f"{group}={name}"


def make_windows(i: int = 0, n: int = 4, length: int = 6, features: int = 3) -> Batch:
    """Windows of prices: the same for the same number `i`, whatever was drawn before."""
    g = generator(0, "batch", i)
    return {"x": torch.randn(n, length, features, generator=g), "y": torch.randn(n, generator=g)}


def make_texts(i: int = 0, n: int = 4, length: int = 6) -> Batch:
    """Texts, the same for the same number `i`: the first of full length, the others of any."""
    g = generator(0, "texts", i)
    lengths = torch.randint(1, length + 1, (n,), generator=g)
    lengths[0] = length
    padding = torch.arange(length) >= lengths[:, None]
    x = torch.randint(1, VOCABULARY, (n, length), generator=g).masked_fill(padding, 0)
    return {"x": x, "lengths": lengths, "y": torch.randint(len(CLASSES), (n,), generator=g)}


def make_module(task: str, recipe: Section, seed: int = 0, **model: Any) -> RecipeModule:
    """A task's module with this recipe, its model MODEL but for the knobs given."""
    spec = {"seed": seed, "model": MODEL | model, "recipe": recipe}
    if task == "stock":
        return StockModule(spec | {"task": {"features": ["a", "b", "c"]}}, {})
    state = {"vocabulary": VOCABULARY, "classes": CLASSES}
    return SentimentModule(spec | {"task": {"embedding": EMBEDDING}}, state)


class Loop:
    """A task's module under a hand-made trainer.

    Pass a `checkpoint` to go on from it, as Lightning does it.
    """

    def __init__(
        self,
        recipe: Section,
        total: int = 20,
        seed: int = 0,
        checkpoint: StateDict | None = None,
        task: str = "stock",
        **model: Any,
    ):
        self.learner = make_module(task, recipe, seed, **model)
        self.batch = make_windows if task == "stock" else make_texts
        trainer = SimpleNamespace(
            estimated_stepping_batches=total,
            sanity_checking=False,
            state=SimpleNamespace(fn=TrainerFn.FITTING),
        )
        self.learner.trainer = trainer  # type: ignore[assignment]
        self._judging = ExitStack()
        self.net, self.recipe, self.done = self.learner.net, self.learner.recipe, 0
        if checkpoint is not None:
            self.learner.load_state_dict(checkpoint["state_dict"])
            self.learner.on_load_checkpoint(checkpoint)
        configured = self.learner.configure_optimizers()
        self.optimizer = configured["optimizer"]
        self.scheduler = configured["lr_scheduler"]["scheduler"]
        self.learner.on_fit_start()
        if checkpoint is not None:
            self.done = checkpoint["done"]
            self.optimizer.load_state_dict(checkpoint["optimizer_states"][0])
            self.scheduler.load_state_dict(checkpoint["lr_schedulers"][0])

    def step(self, batch: Batch) -> float:
        """Train on one batch; return the loss."""
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
        """Put the weights that are judged and kept into the net, until `hold_trained_weights`."""
        self._judging.enter_context(self.recipe.averaged_weights())

    def hold_trained_weights(self) -> None:
        self._judging.close()

    def rates(self) -> dict[str, float]:
        """The learning rate in force for each layer."""
        rates: dict[str, float] = {}
        for group in self.optimizer.param_groups:
            rates |= dict.fromkeys(group["layer"].split("+"), group["lr"])
        return rates

    def checkpoint(self) -> StateDict:
        """The full state, through a file and back."""
        state: StateDict = {
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


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
