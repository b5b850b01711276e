"""The `upgate` command. Imports nothing heavy: help and every typo answer at once."""

import argparse
import sys
from collections.abc import Sequence

from upgate.config.extensions import use_folder
from upgate.errors import UserError, did_you_mean

HELP = """\
upgate: does the upgraded LSTM recipe help on your data, which part of it, by how much?

  upgate train task=stock                       the recipe, its traditional twin, and persistence, side by side
  upgate train task=stock clip=norm clip.max_norm=0.5 seed=3
  upgate train -m optimizer=sgd,adam clip=none,norm seed=0,1,2      every combination (Hydra's multirun)
  upgate study task=stock study=pair            the plan; then both recipes over 6 seeds; then the verdict. upgate study selftest
  upgate tune task=stock search=random          the plan; trials by cross-validation; the winner, tested once beside the recipe as it is
  upgate study experiment=article task=stock    the article's claim, in its own setting and in an honest one
  upgate report study=latest [out=report.html] [report.language=en|zh]     the study as one HTML page; or tune=latest
  upgate runs [task=stock] [recipe=upgraded] [status=FINISHED] [--json]
  upgate predict run=latest data.path=prices.csv [out=forecast.csv]
  upgate ui                                     the MLflow UI on the same store
  upgate check-part GROUP=NAME [--config-dir DIR]   the properties of all parts, on a part of your own

train takes group=choice and key=value, as Hydra does:
  groups and choices: upgate train --choices       the whole configuration: upgate train --cfg job
  choices that cannot be combined: upgate train --combinations
  -m, --multirun      sweep over comma lists, range(...), glob(...)
  --config-dir DIR    a folder of your own choices, laid out as conf/; beside a yaml the code of your own task
                      (report, runs and predict take it too, for runs of such a task)

study takes train's words, which hold for every arm, --config-dir, --yes (goes on after the plan unasked), and its own:
  study=pair|parts|factorial|arms   study.arms="traditional, upgraded, upgraded clip=none"   study.seeds=6   study.folds=[0,1]
  study.smallest_effect=0.01   study.alpha=0.05   study.aa=true   study.zero=true   study.yes=false   study.tune=20
  study.budget=steps|wall (alike for all: steps, or wall time)   experiment=article (the article's claim, fact-checked)

tune takes train's words, --config-dir, --yes, and its own; the same command goes on where it stopped:
  search=grid|random|sobol|tpe   tune.trials=30   tune.per_axis=3 (grid)   tune.arms=[traditional,upgraded]   tune.folds=3
  tune.space.optimizer.lr=[1e-4,1e-1,log]   tune.space.batch_size=null   tune.only=[optimizer.lr]   tune.nested=false
  tune.prune=none|folds   tune.top=5   tune.top_seeds=2   tune.generation=4   tune.startup=10   tune.seed=0
  tune.storage=sqlite:///optuna.db   tune.test=true   tune.yes=false

exit codes: 0 done, 1 a run failed, 2 the words cannot be done (one sentence says why), 130 interrupted
"""
COMMANDS = ("train", "study", "tune", "report", "runs", "predict", "ui", "check-part")


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    try:
        if words[0] not in COMMANDS:
            raise UserError(f"upgate {words[0]} is not a command{did_you_mean(words[0], COMMANDS)}")
        return {
            "train": train,
            "study": study,
            "tune": tune,
            "report": report,
            "runs": runs,
            "predict": predict,
            "ui": ui,
            "check-part": check_part,
        }[words[0]](words[1:])
    except UserError as error:
        print(f"upgate: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parse(
    words: Sequence[str], flags: Sequence[str], options: Sequence[str] = ()
) -> tuple[argparse.Namespace, list[str]]:
    """Split flags from key=value words; an unknown flag raises UserError."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    for flag in flags:
        names = ["-m", "--multirun"] if flag == "multirun" else [f"--{flag}"]
        parser.add_argument(*names, action="store_true", dest=flag)
    for option in options:
        parser.add_argument(f"--{option}")
    parser.add_argument("-h", "--help", action="store_true")
    try:
        known, rest = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None
    for word in rest:
        if word.startswith("-"):
            names = [f"--{name}" for name in (*flags, *options)] + ["-m"] * ("multirun" in flags)
            raise UserError(f"{word} is not a flag here{did_you_mean(word, names)}")
    return known, rest


def train(words: Sequence[str]) -> int:
    known, overrides = parse(words, ["multirun", "choices", "combinations"], ["cfg", "config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    from upgate.config import compose as config

    if known.choices:
        for group in config.groups():
            print(f"{group:15} {', '.join(config.choices(group, known.config_dir))}")
        return 0
    if known.combinations:
        from upgate.recipe.combinations import table

        print(table())
        return 0
    if known.cfg is not None:
        import yaml

        if known.cfg != "job":
            raise UserError(f"--cfg {known.cfg} is not a choice; there is job")
        jobs = [
            config.compose(job, known.config_dir)
            for job in config.expand(overrides, known.multirun, known.config_dir)
        ]
        print(yaml.safe_dump_all(jobs, sort_keys=False, allow_unicode=True), end="")
        return 0
    for job in config.expand(overrides, known.multirun, known.config_dir):
        config.compose(job, known.config_dir)  # a typo answers before torch is imported
    from rich.console import Console

    from upgate.cli.train import train_command

    return train_command(overrides, known.multirun, known.config_dir, Console())


def study(words: Sequence[str]) -> int:
    known, overrides = parse(words, ["yes"], ["config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    if overrides == ["selftest"]:
        from rich.console import Console

        from upgate.study.selftest import selftest

        return selftest(Console())
    from upgate.config import compose as config
    from upgate.study.options import read_study_options

    asked, rest = read_study_options(overrides)
    config.compose(rest, known.config_dir)  # a typo answers before torch is imported
    from rich.console import Console

    if asked.experiment:
        from upgate.study.article import article_command

        return article_command(overrides, known.config_dir, known.yes, Console())
    from upgate.report.tune import search_files
    from upgate.study.command import study_command

    return study_command(overrides, known.config_dir, known.yes, Console(), search_files)


def tune(words: Sequence[str]) -> int:
    known, overrides = parse(words, ["yes"], ["config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    from upgate.config import compose as config
    from upgate.tune.options import read_tune_options

    config.compose(
        read_tune_options(overrides)[1], known.config_dir
    )  # a typo answers before torch is imported
    from rich.console import Console

    from upgate.report.tune import search_files
    from upgate.tune.command import tune_command

    return tune_command(overrides, known.config_dir, known.yes, Console(), search_files)


def report(words: Sequence[str]) -> int:
    known, rest = parse(words, [], ["config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    use_folder(known.config_dir)
    asked = pairs(rest, ("study", "experiment", "tune", "out", "report.language", "root"))
    if "tune" in asked and not asked.keys().isdisjoint(("study", "experiment")):
        raise UserError("one page is of a study or of a search; give study=... or tune=...")
    if "tune" in asked:
        from upgate.report.tune_command import tune_report_command

        return tune_report_command(asked)
    from upgate.report.command import report_command

    return report_command(asked)


def runs(words: Sequence[str]) -> int:
    known, filters = parse(words, ["json"], ["config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    use_folder(known.config_dir)
    from upgate.cli.runs import runs_command

    return runs_command(pairs(filters, ("task", "recipe", "status", "root")), known.json)


def predict(words: Sequence[str]) -> int:
    known, overrides = parse(words, [], ["config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    from upgate.cli.predict import predict_command

    use_folder(known.config_dir)  # a run's parts and task may be made of code that stands there
    return predict_command(overrides)


def check_part(words: Sequence[str]) -> int:
    known, choice = parse(words, [], ["config-dir"])
    if known.help:
        print(HELP, end="")
        return 0
    from rich.console import Console

    from upgate.cli.check_part import check_part_command

    return check_part_command(choice, known.config_dir, Console())


def ui(words: Sequence[str]) -> int:
    known, rest = parse(words, [])
    if known.help:
        print(HELP, end="")
        return 0
    from upgate.cli.runs import ui_command

    return ui_command(pairs(rest, ("root", "port")))


def pairs(words: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """key=value words as a mapping; an unknown key raises."""
    found: dict[str, str] = {}
    for word in words:
        key, is_pair, value = word.partition("=")
        if key not in known:
            raise UserError(f"unknown key {key}{did_you_mean(key, known)}")
        if not is_pair or not value:
            raise UserError(f"{key} needs a value, as in {key}=...")
        if key in found:
            raise UserError(f"{key}={found[key]} and {word} both set {key}; give one of them")
        found[key] = value
    return found


def overridden(defaults: dict[str, str], words: Sequence[str]) -> dict[str, str]:
    """A script's defaults with its words over them; a word that cannot be ends the script with one sentence and exit code 2."""
    try:
        return defaults | pairs(words, tuple(defaults))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
