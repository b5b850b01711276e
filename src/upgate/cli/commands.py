"""The commands: their flags, keys and examples. What is parsed, helped and completed reads this.

Imports nothing heavy, and what takes a moment only when it is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from upgate.config.plugins import OURS, PACKAGES
from upgate.config.schema import format_value


@dataclass(frozen=True)
class Flag:
    """names: as typed, the longest last. value: what follows it, empty for nothing."""

    names: tuple[str, ...]
    text: str
    value: str = ""


FLAGS = {
    "multirun": Flag(
        ("-m", "--multirun"), "a run for every combination of a,b lists, range(...) and glob(...)"
    ),
    "config-dir": Flag(
        ("-cd", "--config-dir"),
        "your own choices, laid out as conf/; beside a yaml the code of your own part or task",
        "DIR",
    ),
    "quiet": Flag(("-q", "--quiet"), "print the last sentence alone, and what went wrong"),
    "yes": Flag(("--yes",), "no question first"),
    "json": Flag(("--json",), "for programs"),
    "choices": Flag(("--choices",), "list the groups and their choices"),
    "combinations": Flag(("--combinations",), "list the choices that cannot be combined, and why"),
    "cfg": Flag(("-c", "--cfg"), "print the full configuration, and train nothing", "job"),
    "package": Flag(("-p", "--package"), "with --cfg job: this part of it alone", "KEY"),
    "info": Flag(("-i", "--info"), "where each choice comes from: defaults, searchpath or all",
                 "[WHAT]"),
}  # fmt: skip
REFUSED = {  # flags of Hydra, and what there is instead
    "--hydra-help": "upgate --help and upgate COMMAND --help say what there is",
    "--resolve": "--cfg job prints resolved values by itself; leave it out",
    "-r": "train runs by itself; leave it out",
    "--run": "train runs by itself; leave it out",
    "--experimental-rerun": "the same command again goes on where it stopped",
    "-sc": "upgate completion bash (or zsh, fish) prints the script",
    "--shell-completion": "upgate completion bash (or zsh, fish) prints the script",
    "-cp": "--config-dir DIR adds a folder of choices",
    "--config-path": "--config-dir DIR adds a folder of choices",
    "-cn": "+experiment=NAME takes the words of a file",
    "--config-name": "+experiment=NAME takes the words of a file",
}


@dataclass(frozen=True)
class Key:
    """A `name=value` of a command. value: its default, or what stands there; choices: all."""

    name: str
    value: str
    text: str
    choices: tuple[str, ...] = ()


Sections = Mapping[str, Sequence[Key]]


@dataclass(frozen=True)
class Command:
    """usage: without the program's name. sections: the keys by their titles."""

    summary: str
    usage: str
    flags: tuple[str, ...]
    examples: tuple[str, ...]
    sections: Callable[[], Sections]


def option_keys(options: type, section: str, aliases: Mapping[str, str]) -> list[Key]:
    """The keys of an options dataclass. aliases: a short key -> its full one."""
    short = {full: name for name, full in aliases.items()}
    hints = get_type_hints(options, include_extras=True)
    keys = []
    for one in fields(options):
        if "help" in one.metadata:
            full = f"{section}.{one.name}"
            values = tuple(map(format_value, _choices(hints[one.name])))
            keys.append(
                Key(short.get(full, full), format_value(one.default), one.metadata["help"], values)
            )
    return keys


def _choices(hint: Any) -> list[Any]:
    """The values that an annotation lists; none where it lists none."""
    origin = get_origin(hint)
    if hint is bool:
        return [True, False]
    if origin is Literal:
        return list(get_args(hint))
    if origin is Annotated:
        return _choices(get_args(hint)[0])
    if origin in (Union, UnionType):
        members = [_choices(member) for member in get_args(hint) if member is not NoneType]
        return members[0] if len(members) == 1 else []
    return []


TOP_LEVEL = {
    "seed": "of weights, order and dropout",
    "fold": "which fold of the split, from 0 on",
    "batch_size": "windows or reviews of a step",
    "twin": "train the traditional twin too, unless the store has it",
    "root": "where runs, checkpoints and the MLflow store live",
    "cache": "what is prepared once; safe to delete",
    "threads": "of a run; null: 2, fewer where there are fewer cores",
}
TRAINER = {
    "max_epochs": "how long; trainer.max_steps=... too",
    "accelerator": "auto, cpu, gpu, cuda or mps",
    "devices": "how many, with trainer.strategy=ddp_fork; or one GPU: [0]",
    "precision": "32-true, 64-true, bf16-mixed, 16-mixed, bf16-true or 16-true",
}
KNOBS = (
    Key("optimizer.lr", "NUMBER", "of the chosen optimizer; auto searches it on validation data"),
    Key("clip.max_norm", "NUMBER", "as all knobs of a choice: --cfg job lists what there is"),
    Key("task.target", "return", "of prices: return, level or volatility"),
    Key("data.path", "FILE", "your own data, with data=prices or data=texts"),
    Key(
        "hydra/launcher",
        "upgate",
        "or a plugin of Hydra's: joblib, submitit_slurm, ...",
        (OURS, *PACKAGES["launcher"]),
    ),
    Key(
        "hydra/sweeper",
        "upgate",
        "with -m; or a plugin of Hydra's: optuna",
        (OURS, *PACKAGES["sweeper"]),
    ),
)
BOOLEANS = ("true", "false")


PROMOTION = (
    Key("promote", "false", "once it has finished, the run becomes a model of MLflow", BOOLEANS),
    Key("promote.alias", "champion", "what the version is called beside its number"),
    Key("promote.name", "NAME", "of the model; without it upgate, the task and its target"),
)


def train_sections() -> Sections:
    """What a run is made of, and what becomes of it."""
    return {**word_sections(), "of train alone": PROMOTION}


def word_sections() -> Sections:
    """Groups with their default choices, and the keys of all runs."""
    from upgate.config.choices import EXPERIMENT, choices, default_choices, defaults, groups

    top, chosen = defaults(), default_choices()
    picks = []
    for group in groups():
        names = choices(group)
        picks.append(Key(group, format_value(chosen[group]), ", ".join(names), tuple(names)))
    keys = []
    for name, text in TOP_LEVEL.items():
        values = BOOLEANS if isinstance(top[name], bool) else ()
        keys.append(Key(name, format_value(top[name]), text, values))
    for name, text in TRAINER.items():
        keys.append(Key(f"trainer.{name}", format_value(top["trainer"][name]), text))
    files = choices(EXPERIMENT)
    picks.append(
        Key(f"+{EXPERIMENT}", "NAME", f"a file of words: {', '.join(files)}", tuple(files))
    )
    return {
        "group=choice (defaults of task=stock), and the choices that there are": picks,
        "key=value": [*keys, *KNOBS],
    }


def study_help() -> Sections:
    """The study's own keys."""
    from upgate.study.options import ALIASES, StudyOptions

    own = option_keys(StudyOptions, "study", ALIASES)
    return {"its own keys; the words of train hold for every arm": own}


def tune_sections() -> Sections:
    """The search's own keys."""
    from upgate.tune.options import ALIASES, TuneOptions

    own = option_keys(TuneOptions, "tune", ALIASES)
    text = "the range of a key, as [1e-4,1e-1,log], in place of that in conf/; null: not searched"
    space = Key("tune.space.KEY", "RANGE", text)
    return {"its own keys; the words of train hold for every trial": [*own, space]}


ROOT = Key("root", "runs", "where the runs and the store are")
LANGUAGES = ("en", "zh")
PAGE_LANGUAGE = Key("report.language", "en", "of the page; without it the terminal's", LANGUAGES)
LANGUAGE = Key(  # of every command
    "language", "en", "of the terminal; without it LC_ALL, LC_MESSAGES or LANG decide", LANGUAGES
)


def report_sections() -> Sections:
    """What a page is of, and where it goes."""
    return {
        "key=value": [
            Key("study", "latest", "the study: latest, or its id", ("latest",)),
            Key("experiment", "article", "the article's claim instead", ("article",)),
            Key("tune", "latest", "a search instead: latest, or its id", ("latest",)),
            Key("run", "latest", "a run instead: which days or words made its forecasts, and its"
                " twin's; latest, its id, or the start of its key", ("latest",)),
            Key("out", "report.html", "the page's file; of a search tune.html, of a run run.html"),
            PAGE_LANGUAGE,
            ROOT,
        ]
    }  # fmt: skip


def runs_sections() -> Sections:
    """Filters of the list."""
    return {
        "key=value": [
            Key("limit", "50", "how many rows; all; with --json all"),
            Key("status", "STATUS", "FINISHED, FAILED, KILLED or RUNNING",
                ("FINISHED", "FAILED", "KILLED", "RUNNING")),
            Key("PARAMETER", "VALUE", "any parameter of the runs, as optimizer=adam seed=0"),
            ROOT,
        ]
    }  # fmt: skip


def delete_sections() -> Sections:
    """Which run."""
    return {"key=value": [Key("run", "KEY", "a run's id, or the start of its key"), ROOT]}


def predict_sections() -> Sections:
    """Which run, and of what."""
    return {
        "key=value": [
            Key("run", "latest", "latest, a run's id, or the start of its key", ("latest",)),
            Key("data.path", "FILE", "prices or texts; without it the run's own prices"),
            Key("text", "TEXT", "of a run of reviews: one text"),
            Key("interval", "0.9", "of prices: the share of days that it is to hold",
                ("0.8", "0.9", "0.95")),
            Key("horizon", "WHICH", "all, of prices: a path, a row for each run that differs in"
                " task.horizon alone: the return over so many trading days as the price on the"
                " last, or the mean volatility of all; each interval is of its own forecast, not of"
                " the path", ("all",)),
            Key("out", "FILE", "a csv in place of the table; of a path also its picture, a png, svg"
                " or pdf"),
            ROOT,
        ]
    }  # fmt: skip


def promote_sections() -> Sections:
    """Which run, and what the model is called."""
    return {
        "key=value": [
            Key("run", "KEY", "latest, a run's id, or the start of its key", ("latest",)),
            Key("alias", "champion", "what the version is called beside its number"),
            Key("name", "NAME", "of the model; without it upgate, the task and its target"),
            Key("data.path", "FILE", "of the input example; without it the run's own prices"),
            Key("text", "TEXT", "of a run of reviews: the input example"),
            ROOT,
        ]
    }


def export_sections() -> Sections:
    """Which run, and as what."""
    return {
        "key=value": [
            Key("run", "KEY", "latest, a run's id, or the start of its key", ("latest",)),
            Key("to", "FORMAT", "onnx, for onnxruntime and others; torch, torch.export's .pt2",
                ("onnx", "torch")),
            Key("out", "FILE", "without it TASK-KEY.onnx or .pt2, here; what prepares its inputs"
                " stands beside it in FILE.json"),
            ROOT,
        ]
    }  # fmt: skip


JUDGE = {
    "data.path": ("FILE", "a table: csv, tsv, parquet or feather; a row is a run"),
    "mlflow.uri": ("URI", "or a store, as sqlite:///mlflow.db, with the next key"),
    "mlflow.experiment": ("NAME", "whose runs are compared"),
    "mlflow.filter": ("TEXT", "of its runs, as \"params.lr = '0.1'\""),
    "mlflow.artifact": ("PATH", "the table of test items, where runs have several"),
    "write": ("false", "the verdict becomes a run of the store, in upgate-judge"),
    "metric": ("NAME", "the column that decides"),
    "group": ("COLUMN", "what is compared"),
    "baseline": ("VALUE", "of the group: with which"),
    "pair": ("[seed,fold]", "what pairs the runs, where there are such columns; none: unpaired"),
    "over": ("COLUMN", "several data sets, one answer"),
    "items": ("COLUMN", "where a row is one test item's loss: intervals over seeds and items"),
    "better": ("WAY", "lower or higher; without it the metric's name says it"),
    "smallest_effect": ("NUMBER", "in the metric's units; without it 1% of the baseline's mean"),
    "alpha": ("0.05", "the level"),
    "test_share": ("NUMBER", "the test part's share of a fold, for comparisons over folds alone"),
    "out": ("FILE", "an HTML page of it"),
    "report.language": ("en", "of the page; without it the terminal's"),
}
JUDGE_CHOICES = {
    "write": BOOLEANS,
    "better": ("lower", "higher"),
    "pair": ("none",),
    "report.language": LANGUAGES,
}


def judge_sections() -> Sections:
    """The keys of a question and its source."""
    keys = [Key(name, *two, JUDGE_CHOICES.get(name, ())) for name, two in JUDGE.items()]
    return {"key=value": keys}


def ui_sections() -> Sections:
    """Where the pages are."""
    return {"key=value": [Key("port", "5000", "of 127.0.0.1"), ROOT]}


def check_part_sections() -> Sections:
    """The groups of parts."""
    from upgate.config.choices import PARTS, choices

    return {"GROUP=NAME": [Key(group, "NAME", "", tuple(choices(group))) for group in PARTS]}


def schema_sections() -> Sections:
    """Where the schema goes."""
    return {"key=value": [Key("out", "FILE", "in place of the screen")]}


TRAIN_WORDS = "[group=choice ...] [key=value ...]"
COMMANDS = {
    "train": Command(
        "Train a recipe beside its twin, the traditional LSTM on the same data and seed.",
        f"train {TRAIN_WORDS}",
        ("multirun", "quiet", "config-dir", "choices", "combinations", "cfg", "package", "info"),
        (
            "upgate train task=stock",
            "upgate train task=stock optimizer=rmsprop clip=norm clip.max_norm=0.5 seed=3",
            "upgate train -m task=stock optimizer=sgd,adam clip=none,norm seed=0,1,2",
            "upgate train task=sentiment data=texts data.path=my_reviews.csv",
            "upgate train task=stock promote=true promote.alias=challenger",
        ),
        train_sections,
    ),
    "study": Command(
        "Ask whether a recipe helps, which part of it, and by how much: the plan first.",
        f"study [study=DESIGN] [study.KEY=value ...] {TRAIN_WORDS}",
        ("yes", "config-dir"),
        (
            "upgate study task=stock",
            "upgate study task=stock study=parts study.seeds=9 --yes",
            'upgate study study=arms study.arms="traditional, upgraded, upgraded clip=none"',
            "upgate study experiment=article task=stock",
            "upgate study selftest",
        ),
        study_help,
    ),
    "tune": Command(
        "Search hyperparameters by cross-validation; the winner is tested once.",
        f"tune [search=SAMPLER] [tune.KEY=value ...] {TRAIN_WORDS}",
        ("yes", "config-dir"),
        (
            "upgate tune task=stock search=random tune.trials=30",
            "upgate tune task=stock search=sobol tune.arms=[traditional,upgraded] --yes",
            "upgate tune task=stock tune.only=[optimizer.lr] "
            "tune.space.optimizer.lr=[1e-5,1e-1,log]",
        ),
        tune_sections,
    ),
    "report": Command(
        "Write a study, a search or a run as one HTML page, from what the store holds.",
        "report [study=latest] [key=value ...]",
        ("config-dir",),
        (
            "upgate report study=latest",
            "upgate report study=latest out=report.html report.language=zh",
            "upgate report tune=latest out=tune.html",
            "upgate report run=latest",
        ),
        report_sections,
    ),
    "runs": Command(
        "List the runs that the store holds, newest first.",
        "runs [key=value ...]",
        ("json", "config-dir"),
        (
            "upgate runs",
            "upgate runs task=stock optimizer=adam status=FINISHED limit=all",
            "upgate runs --json",
        ),
        runs_sections,
    ),
    "judge": Command(
        "Give verdicts on anybody's runs: those of a table, or of an MLflow store.",
        "judge data.path=FILE metric=NAME group=COLUMN baseline=VALUE [key=value ...]",
        ("json",),
        (
            "upgate judge data.path=my_runs.csv metric=accuracy group=model baseline=lstm",
            "upgate judge data.path=my_runs.csv metric=accuracy group=model baseline=lstm "
            "out=page.html",
        ),
        judge_sections,
    ),
    "predict": Command(
        "Forecast prices or label texts with a stored run, its preprocessing included.",
        "predict [run=latest] [key=value ...]",
        ("config-dir",),
        (
            "upgate predict run=latest",
            "upgate predict run=latest data.path=my_prices.csv out=forecast.csv interval=0.95",
            "upgate predict run=latest horizon=all out=path.png",
            'upgate predict run=latest text="Not bad at all."',
        ),
        predict_sections,
    ),
    "promote": Command(
        "Register a run as a model of MLflow, which loads and serves it.",
        "promote run=KEY [key=value ...]",
        (),
        ("upgate promote run=latest", "upgate promote run=3f2a alias=challenger name=prices"),
        promote_sections,
    ),
    "export": Command(
        "Write a run's network as one file, for programs without upgate; its outputs are checked.",
        "export run=KEY to=onnx|torch [key=value ...]",
        ("config-dir",),
        ("upgate export run=latest to=onnx", "upgate export run=3f2a to=torch out=prices.pt2"),
        export_sections,
    ),
    "delete": Command(
        "Delete a run, from the lists and from this disk.",
        "delete run=KEY",
        ("yes",),
        ("upgate delete run=3f2a", "upgate delete run=3f2a root=runs --yes"),
        delete_sections,
    ),
    "ui": Command(
        "Serve the MLflow UI on the same store, until Ctrl-C.",
        "ui [key=value ...]",
        (),
        ("upgate ui", "upgate ui port=5001 root=runs"),
        ui_sections,
    ),
    "check-part": Command(
        "Test the properties of all parts on one choice, your own or a shipped one.",
        "check-part GROUP=NAME",
        ("config-dir",),
        ("upgate check-part clip=norm", "upgate check-part clip=mine --config-dir my_choices"),
        check_part_sections,
    ),
    "schema": Command(
        "Print what a yaml of a group may say, as JSON Schema, by which editors complete and check"
        " yours. GROUP is one of upgate train --choices, or experiment; without it, what --cfg job"
        " prints.",
        "schema [GROUP] [out=FILE]",
        ("config-dir",),
        (
            "upgate schema clip out=clip.schema.json",
            "upgate schema experiment out=experiment.schema.json --config-dir my_choices",
        ),
        schema_sections,
    ),
    "completion": Command(
        "Print a shell's completion: source <(upgate completion bash) in ~/.bashrc;"
        " the same with zsh in ~/.zshrc, behind compinit; or upgate completion fish | source.",
        "completion bash|zsh|fish",
        (),
        ("upgate completion bash", "upgate completion zsh", "upgate completion fish"),
        dict,
    ),
}


def keys_of(command: str) -> list[Key]:
    """All keys of a command: where it takes those of train or their groups too, these."""
    sections = [COMMANDS[command].sections(), {"": [LANGUAGE]}]
    if command in ("study", "tune", "runs"):
        sections.append(word_sections())
    return [key for one in sections for keys in one.values() for key in keys]
