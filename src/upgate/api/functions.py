"""`upgate.train`, `study`, `tune`, `predict` and `runs`: the commands of these names, from Python.

Keywords become the command line's words; the rest of the way is the command's own.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypedDict, Unpack

import pandas as pd
from rich.console import Console

from upgate.api.frames import Data, data_words, option_words, write_frame, write_texts
from upgate.api.results import StudyAnswer, TrainResult, TuneAnswer
from upgate.cli.entry import check
from upgate.cli.predict import predict_checkpoint, predict_rows
from upgate.cli.promotion import Promotion, check_promoted
from upgate.cli.runs import list_runs
from upgate.cli.train import promote_trained, train_runs
from upgate.config.keywords import Part, RecipeWords, check_parts, hydra_text, keyword_overrides
from upgate.config.values import Value
from upgate.config.words import expand
from upgate.console import print_lines
from upgate.errors import UserError
from upgate.model.backbone import ModelWords
from upgate.report.tune import search_files
from upgate.store.open import open_store
from upgate.study.command import study_command
from upgate.study.options import read_study_options
from upgate.tune.command import tune_command
from upgate.tune.options import read_tune_options

WIDTH = 100  # of what is kept of a command's output


class RunWords(RecipeWords, total=False):
    """What train and study take alike, beside data and root; all else is as in `conf/`.

    task: its name, or {"name": "stock", "target": "volatility", "window": 20}; trainer: Lightning's
    arguments, as {"max_epochs": 5}; executor: inline, local or ray. The default here is inline, for
    another process would begin by importing the calling script again.
    """

    task: Part
    split: Part
    model: ModelWords
    trainer: Mapping[str, Value]
    batch_size: int
    executor: Part
    threads: int
    cache: str


class StudyWords(TypedDict, total=False):
    """Options of a study beside its design and seeds, as `upgate study` has them."""

    folds: int | Sequence[int]
    budget: Literal["steps", "wall"]
    rates: Literal["auto", "given"]
    tune: int
    shapley: int
    smallest_effect: float
    alpha: float
    looks: Sequence[int]
    primary: str
    aa: bool
    zero: bool


class TuneWords(TypedDict, total=False):
    """Options of a search beside sampler, trials, arms and ranges, as `upgate tune` has them."""

    per_axis: int
    folds: int
    nested: bool
    seed: int
    generation: int
    startup: int
    top: int
    top_seeds: int
    prune: Literal["none", "folds"]
    only: Sequence[str]
    storage: str
    test: bool


def train(
    data: Data = None,
    *,
    seed: int = 0,
    fold: int = 0,
    twin: bool = True,
    sweep: Mapping[str, Sequence[Value]] | None = None,
    promote: str | None = None,
    root: Path | str = "runs",
    config_dir: str | None = None,
    verbose: bool = False,
    **words: Unpack[RunWords],
) -> TrainResult:
    """Train a run beside its twin; what the store in `root` holds is not trained again.

    sweep: keys of the command line and their values, as {"optimizer": ["sgd", "adam"], "seed":
    range(3)}; every combination is a run. promote: the alias under which the one run is registered
    as a model of MLflow's, as `upgate promote alias=...` does it. verbose: print what `upgate
    train` prints. Raises UserError, also where a run fails.
    """
    swept = {key: list(values) for key, values in (sweep or {}).items()}
    own = {"seed": seed, "fold": fold, "twin": twin}
    single = {key: value for key, value in own.items() if key not in swept}
    overrides = _words(data, root, {**single, **words})
    overrides += [f"{key}={','.join(map(hydra_text, values))}" for key, values in swept.items()]
    asked = expand(overrides, True, config_dir)
    check(asked, config_dir)
    promotion = None if promote is None else _promotion(promote, asked)
    console, kept = _console(verbose)
    done = train_runs(overrides, True, config_dir, console)
    if done.code == 130:
        raise KeyboardInterrupt
    for result in done.results:
        if result.status != "FINISHED":
            raise UserError(f"{result.name} failed: {result.error}; what finished is stored")
    if promotion:
        print_lines(console, promote_trained(done.plan.requested[0], promotion))
    by_key = {result.key: result for result in done.results}
    requested = [by_key[job.spec.key] for job in done.plan.requested if job.spec.key in by_key]
    return TrainResult(requested, done.results, kept.getvalue())


def _promotion(alias: str, runs: Sequence[Sequence[str]]) -> Promotion:
    """To be made of the one run that these words are. Raises UserError."""
    promotion = Promotion(alias)
    promotion.check()
    check_promoted(runs)
    return promotion


def study(
    data: Data = None,
    *,
    design: Literal["pair", "parts", "factorial", "arms"] = "pair",
    seeds: int | Sequence[int] = 6,
    arms: Sequence[str] | None = None,
    options: StudyWords | None = None,
    root: Path | str = "runs",
    config_dir: str | None = None,
    verbose: bool = False,
    **words: Unpack[RunWords],
) -> StudyAnswer:
    """Train recipes on the same seeds and judge them, as `upgate study --yes` does.

    arms: the recipes of design="arms", the baseline first, as ["traditional", "upgraded
    clip=none"]. Raises UserError, also where runs fail: what finished is stored.
    """
    own = option_words("study", {"seeds": seeds, **(options or {})})
    own += [] if arms is None else [f"study.arms={', '.join(arms)}"]
    overrides = [f"study={design}", *own, *_words(data, root, dict(words))]
    check([read_study_options(overrides)[1]], config_dir)
    found, printed = _ask("study", study_command, overrides, config_dir, verbose)
    return StudyAnswer(found, printed, Path(root).resolve())


def tune(
    data: Data = None,
    *,
    search: Literal["grid", "random", "sobol", "tpe"] = "random",
    trials: int | None = None,
    arms: Sequence[str] | None = None,
    space: Mapping[str, Sequence[Value] | None] | None = None,
    options: TuneWords | None = None,
    root: Path | str = "runs",
    config_dir: str | None = None,
    verbose: bool = False,
    **words: Unpack[RunWords],
) -> TuneAnswer:
    """Search hyperparameters by cross-validation, as `upgate tune --yes` does.

    arms: recipes, each tuned on the same list of trials, as ["traditional", "upgraded"]. space:
    ranges beside or in place of the parts' own, as {"optimizer.lr": [1e-4, 1e-1, "log"]}; None
    leaves a key out. Raises UserError, also where runs fail: what finished is stored.
    """
    named = {"trials": trials, **(options or {})}
    own = option_words("tune", {key: value for key, value in named.items() if value is not None})
    own += [] if arms is None else [f"tune.arms={', '.join(arms)}"]
    own += [f"tune.space.{key}={hydra_text(value)}" for key, value in (space or {}).items()]
    overrides = [f"search={search}", *own, *_words(data, root, dict(words))]
    check([read_tune_options(overrides)[1]], config_dir)
    return TuneAnswer(*_ask("search", tune_command, overrides, config_dir, verbose))


def runs(where: Mapping[str, object] | None = None, *, root: Path | str = "runs") -> pd.DataFrame:
    """The runs of a store, a row each, newest first, as `upgate runs` lists them.

    where: task, status and any parameter, with the value to have, as {"optimizer": "adam"}.
    Parameters, metrics and differences to the twin are columns of their own names, as optimizer.lr,
    test/mse_ratio and difference/test/mse_ratio. Raises UserError.
    """
    store = open_store(str(root))
    store.reconcile()
    listed = list_runs(store, {key: str(value) for key, value in (where or {}).items()})
    nested = ("params", "metrics", "twin", "difference")
    rows = []
    for run in listed:
        about = {name: value for name, value in vars(run).items() if name not in nested}
        differences = {f"difference/{name}": value for name, value in run.difference.items()}
        rows.append({**about, **run.params, **run.metrics, **differences})
    return pd.DataFrame(rows)


def predict(
    data: pd.DataFrame | Path | str | None = None,
    *,
    run: str | Path = "latest",
    interval: float | None = None,
    horizon: Literal["all"] | None = None,
    text: str | Sequence[str] | None = None,
    root: Path | str = "runs",
) -> pd.DataFrame:
    """A stored run's predictions, a row each: of prices, or of texts.

    data: a frame or a file; None: the run's own prices. text: a text or several. run: latest, a
    run's id, the start of its key, or the Path of a checkpoint that a Trainer of one's own saved.
    interval: of prices, such as 0.9. horizon="all": a row for each run that differs from this one
    in task.horizon alone, with its date; each interval is of its own forecast, not of the path.
    Raises UserError.
    """
    if data is not None and text is not None:
        raise UserError("data and text are two inputs; give one of them")
    options: dict[str, object] = {"interval": interval, "horizon": horizon}
    with TemporaryDirectory() as folder:
        if text is not None:
            options["data.path"] = str(write_texts(text, Path(folder)))
        elif isinstance(data, pd.DataFrame):
            options["data.path"] = str(write_frame(data, Path(folder)))
        elif data is not None:
            options["data.path"] = str(data)
        words = [f"{key}={value}" for key, value in options.items() if value is not None]
        if isinstance(run, Path):
            if not run.is_file():
                raise UserError(f"run={run} is not a file")
            if horizon is not None:
                raise UserError(f"run={run} is of one horizon; the others are in a store")
            return predict_checkpoint(run, words, _no_file)
        return predict_rows([f"run={run}", f"root={root}", *words])[1]


def _ask(
    name: str,
    command: Callable[..., int],
    overrides: Sequence[str],
    config_dir: str | None,
    verbose: bool,
) -> tuple[Any, str]:
    """What a study or a search found, and what its command printed. Raises UserError."""
    console, kept = _console(verbose)
    found: list[Any] = []
    code = command(overrides, config_dir, True, console, search_files, found.append)
    if code == 130:
        raise KeyboardInterrupt
    if not found or not found[0].complete:
        raise UserError(f"the {name} is not complete: {kept.getvalue() or 'see above'}")
    return found[0], kept.getvalue()


def _no_file(name: str) -> Path:
    raise UserError("a checkpoint does not hold the data that it was trained on; give data")


def _words(data: Data, root: Path | str, words: Mapping[str, Any]) -> list[str]:
    known = (*RunWords.__annotations__, "seed", "fold", "twin")
    check_parts(words, known)
    named = data_words(data, words.get("task"), Path(root))
    return [*keyword_overrides({"executor": "inline", **words, "root": str(root)}), *named]


def _console(verbose: bool) -> tuple[Console, io.StringIO]:
    kept = io.StringIO()
    if verbose:
        return Console(force_jupyter=False), kept
    # both are said, for in a notebook rich shows everything itself, and its bars are not text
    return Console(file=kept, width=WIDTH, force_jupyter=False, force_terminal=False), kept
