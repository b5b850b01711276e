"""The arguments of Lightning's Trainer that can be given here, and why the others cannot.

Checked while the configuration is composed, without importing Lightning, which takes four seconds.
A test holds both lists against Lightning's own signature.
"""

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from upgate.config.schema import PositiveInt, Range, check, format_value
from upgate.config.texts import say
from upgate.config.values import Section
from upgate.errors import UserError

REFUSED = (  # arguments that cannot be given; why, or what to give instead: translations.yaml
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "logger",
    "callbacks",
    "default_root_dir",
    "enable_checkpointing",
    "barebones",
    "enable_model_summary",
    "enable_autolog_hparams",
    "log_every_n_steps",
    "profiler",
    "model_registry",
    "plugins",
    "num_nodes",
    "sync_batchnorm",
    "use_distributed_sampler",
    "reload_dataloaders_every_n_epochs",
    "overfit_batches",
    "val_check_interval",
    "check_val_every_n_epoch",
    "num_sanity_val_steps",
    "limit_test_batches",
    "limit_predict_batches",
)
PRECISIONS = {
    "64": "64-true",
    "32": "32-true",
    "16": "16-mixed",
    "bf16": "bf16-mixed",
}  # Lightning's older spellings
Precision = Literal["64-true", "32-true", "16-true", "16-mixed", "bf16-true", "bf16-mixed"]

Limit = Annotated[
    int, Range("1 or more, or -1 for no limit", {"anyOf": [{"enum": [-1]}, {"minimum": 1}]})
]
COUNT = {"type": "integer", "minimum": 1}
GPU = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 1}
SHARE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
SPAN = {"type": "string", "pattern": r"^(?![0:]*$)[0-9]+(:[0-9]{2}){3}$(?!\n)"}
TRIAL = {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0}]}
Device = Annotated[
    Any,
    Range(
        "how many (1, 2, ...), or the number of one GPU in brackets, as in [0]",
        {"anyOf": [COUNT, GPU]},
    ),
]
Share = Annotated[
    Any,
    Range(
        "a number of batches (1, 2, ...) or a share of them up to 1.0", {"anyOf": [COUNT, SHARE]}
    ),
]
Span = Annotated[Any, Range("days:hours:minutes:seconds, as in 00:01:30:00, and not 0", SPAN)]
Trial = Annotated[Any, Range("true, false or a number of batches", TRIAL)]


def arguments(
    *,
    max_epochs: Limit | None,
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"],
    devices: Device,
    precision: Precision,
    strategy: Literal["auto", "ddp_fork"] = "auto",
    max_steps: Limit = -1,
    min_epochs: PositiveInt | None = None,
    min_steps: PositiveInt | None = None,
    max_time: Span | None = None,
    limit_train_batches: Share = 1.0,
    limit_val_batches: Share = 1.0,
    accumulate_grad_batches: PositiveInt = 1,
    deterministic: Literal[True, False, "warn"] = False,
    benchmark: bool = False,
    inference_mode: bool = True,
    detect_anomaly: bool = False,
    enable_progress_bar: bool = True,
    fast_dev_run: Trial = False,
) -> None:
    """The arguments that can be given; those with a default here need not stand in a yaml."""


PARAMETERS = inspect.signature(arguments).parameters


def check_trainer(options: Section) -> dict[str, Any]:
    """Return the Trainer's arguments in one spelling: 32 is 32-true, and no limit is -1.

    Raises UserError for an unknown name, a value of the wrong kind or out of range, and a run
    without an end.
    """
    for name in options:
        refuse(name)
    precision = PRECISIONS.get(str(options.get("precision")), options.get("precision"))
    known = check(arguments, {**options, "precision": precision}, "trainer")
    check_end(known)
    check_devices(known)
    return {**known, "max_epochs": -1 if known["max_epochs"] is None else known["max_epochs"]}


def refuse(name: str) -> None:
    """Raise UserError for an argument that cannot be given."""
    if name in REFUSED:
        raise UserError(say("trainer_refused", name=name, reason=say(f"refused_{name}")))


def check_end(known: Section) -> None:
    """Raise UserError unless the run has an end, and no least length beyond it."""
    limits = {"epochs": known["max_epochs"], "steps": known.get("max_steps", -1)}
    if not any(limit is not None and limit > 0 for limit in limits.values()):
        raise UserError(say("no_end", epochs=format_value(limits["epochs"])))
    for unit, limit in limits.items():
        least = known.get(f"min_{unit}")
        if least is not None and limit is not None and -1 < limit < least:
            raise UserError(say("least_beyond_limit", unit=unit, least=least, limit=limit))


def check_devices(known: Section) -> None:
    """Raise UserError unless several devices and their strategy are requested together."""
    devices, strategy = known["devices"], known.get("strategy", "auto")
    several = type(devices) is int and devices > 1
    if several and strategy == "auto":
        raise UserError(say("devices_need_strategy", devices=devices))
    if not several and strategy != "auto":
        raise UserError(say("strategy_needs_devices", strategy=strategy))


def check_shares(trainer: Section, batches: Mapping[str, int]) -> None:
    """Raise UserError for a share of no batch. `batches`: those of the parts `train` and `val`."""
    for part, count in batches.items():
        name = f"trainer.limit_{part}_batches"
        share = trainer.get(f"limit_{part}_batches", 1.0)
        if type(share) is float and int(share * count) < 1:
            raise UserError(say("less_than_a_batch", name=name, share=str(share), count=count))
