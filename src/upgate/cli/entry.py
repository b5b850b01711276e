"""The `upgate` command. Imports nothing heavy: help and every typo answer at once."""

import argparse
import gc
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from upgate import messages
from upgate.cli.arguments import parse_flags, read_pairs
from upgate.cli.help import overview, page, version_line
from upgate.cli.language import choose_language, without_language
from upgate.cli.promotion import check_promoted, read_promotion
from upgate.cli.texts import say
from upgate.config.extensions import use_folder
from upgate.errors import UserError, describe_refusal, did_you_mean
from upgate.messages import shown, speaking

Arguments = Sequence[str]
HELP_FLAGS = ("-h", "--help")
COMPLETE = "__complete"  # a shell asks; the line that it completes follows


def main(argv: Arguments | None = None) -> int:
    """Run a command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # A thread that waits for the others sleeps, in this process and in those that it starts: by
    # default it spins, and on a busy machine takes the time of those it waits for. OpenMP reads it
    # when PyTorch is imported; what a user has set stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    gc.disable()  # until the first run: imports take a quarter longer with it, and leave no garbage
    try:
        with speaking(choose_language(arguments, os.environ)):
            return run_or_explain(arguments)
    finally:
        gc.enable()
        if argv is None:  # the process ends, and a second Ctrl-C at once, not with a traceback
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_or_explain(arguments: Arguments) -> int:
    """Run a command, or say in one sentence why it cannot be; the exit code."""
    try:
        words = arguments if arguments[:1] == [COMPLETE] else without_language(arguments)
        if not words or words[0] in ("help", *HELP_FLAGS):
            words = [*words[1:2], "--help"]
        command, *rest = words
        code = run(command, [expand_home(word) for word in rest])
        sys.stdout.flush()  # here, where a reader that has gone is no traceback
        return code
    except UserError as error:
        print_error(*error.args[:1])
        return 2
    except (BrokenPipeError, SystemExit) as gone:  # of `upgate runs | head`; rich exits with 1
        if isinstance(gone, SystemExit) and gone.code != 1:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if (refusal := describe_refusal(error)) is None:
            raise
        print_error(refusal)
        return 2
    except KeyboardInterrupt:
        print(shown(messages.say("interrupted_alone")), file=sys.stderr)
        return 130


def print_error(sentence: str = "") -> None:
    """Say on one line what was wrong."""
    print(f"upgate: {' '.join(shown(sentence).split())}", file=sys.stderr)


def run(command: str, rest: list[str]) -> int:
    """What one command does, or what is known of it; the exit code. Raises UserError."""
    if command in ("-V", "--version"):
        if rest:
            raise UserError(say("stands_alone", flag=command, other=rest[0]))
        print(version_line())
    elif command in HELP_FLAGS:
        print(overview(), end="")
    elif command == COMPLETE:
        from upgate.cli.completion import complete

        print("".join(f"{word}\n" for word in complete(" ".join(rest))), end="")
    elif command not in COMMANDS:
        hint = did_you_mean(command, COMMANDS)
        raise UserError(messages.say("not_a_command", command=command, hint=hint))
    elif not set(HELP_FLAGS).isdisjoint(rest):
        print(page(command), end="")
    else:
        return COMMANDS[command](rest)
    return 0


def expand_home(word: str) -> str:
    """`root=~/runs` with the home folder in place of `~`, which a shell leaves behind a `=`."""
    key, equals, value = word.partition("=")
    if not key.startswith("-") and equals and re.match(r"~(/|$)", value):
        return f"{key}={Path(value).expanduser()}"
    return word


def main_train(arguments: Arguments) -> int:
    """`upgate train`, or what its flags list instead."""
    known, words = parse_flags("train", arguments)
    promotion, overrides = read_promotion(words)
    listed = (known.choices, known.combinations, known.cfg, known.info, known.package)
    if any(one not in (None, False) for one in listed):
        from upgate.cli.listing import list_configuration

        return list_configuration(known, overrides)
    from upgate.config.words import expand, read_sweep

    sweep = read_sweep(overrides, known.multirun, known.config_dir)
    runs = [sweep.example] if sweep else expand(overrides, known.multirun, known.config_dir)
    check(runs, known.config_dir)
    if promotion and sweep:
        raise UserError(say("promote_and_sweeper", word=sweep.plugin[0]))
    if promotion:
        check_promoted(runs)
    from rich.console import Console

    from upgate.cli.train import train_command

    return train_command(
        overrides, known.multirun, known.config_dir, Console(), known.quiet, promotion
    )


def check(runs: Iterable[Sequence[str]], config_dir: str | None) -> None:
    """Raise UserError for a typo or a store that takes no runs.

    Before PyTorch is imported and data are read. runs: the overrides of each.
    """
    from upgate.config.compose import compose
    from upgate.store.store import Store

    for root in {str(compose(overrides, config_dir)["root"]) for overrides in runs}:
        Store(Path(root)).check()


def main_study(arguments: Arguments) -> int:
    """`upgate study`, its experiments and its self-test."""
    known, overrides = parse_flags("study", arguments)
    from upgate.config.words import plain_words
    from upgate.study.options import OWN, read_study_options

    overrides = plain_words(overrides, known.config_dir, OWN)
    if overrides == ["selftest"]:
        from rich.console import Console

        from upgate.study.selftest import selftest

        return selftest(Console())
    options, rest = read_study_options(overrides)
    if options.over is not None:
        return _study_over(overrides, options.over, known)
    check([rest], known.config_dir)
    from rich.console import Console

    if options.experiment:
        from upgate.study.article import article_command

        return article_command(overrides, known.config_dir, known.yes, Console())
    from upgate.report.tune import search_files
    from upgate.study.command import study_command

    return study_command(overrides, known.config_dir, known.yes, Console(), search_files)


def _study_over(overrides: list[str], given: list[str], known: argparse.Namespace) -> int:
    """`upgate study study.over=...`: several data sets."""
    from upgate.study.data_sets import TICKERS, common_overrides, read_data_sets
    from upgate.study.options import read_study_options

    common = read_study_options(common_overrides(overrides, given))[1]
    if given == [TICKERS]:  # which ones is known when the data are read
        check([common], known.config_dir)
    else:
        sets = read_data_sets(given, known.config_dir).values()
        check([[*common, *words] for words in sets], known.config_dir)
    from rich.console import Console

    from upgate.study.over import over_command

    return over_command(overrides, known.config_dir, known.yes, Console())


def main_tune(arguments: Arguments) -> int:
    """`upgate tune`."""
    known, overrides = parse_flags("tune", arguments)
    from upgate.config.words import plain_words
    from upgate.tune.options import OWN, read_tune_options

    overrides = plain_words(overrides, known.config_dir, OWN)
    _, rest = read_tune_options(overrides)
    check([rest], known.config_dir)
    from rich.console import Console

    from upgate.report.tune import search_files
    from upgate.tune.command import tune_command

    return tune_command(overrides, known.config_dir, known.yes, Console(), search_files)


def main_report(arguments: Arguments) -> int:
    """`upgate report`, of a study, an experiment, a search or a run."""
    known, rest = parse_flags("report", arguments)
    use_folder(known.config_dir)
    keys = ("study", "experiment", "tune", "run", "out", "report.language", "root")
    options = read_pairs(rest, keys)
    kinds = [kind for kind in ("tune", "run") if kind in options]
    if len(kinds) > 1 or (kinds and not options.keys().isdisjoint(("study", "experiment"))):
        raise UserError(say("one_page"))
    if "run" in options:
        from upgate.cli.run_report import run_report_command

        return run_report_command(options)
    if "tune" in options:
        from upgate.report.tune_command import tune_report_command

        return tune_report_command(options)
    from upgate.report.command import report_command

    return report_command(options)


def main_runs(arguments: Arguments) -> int:
    """`upgate runs`."""
    known, rest = parse_flags("runs", arguments)
    use_folder(known.config_dir)
    from upgate.cli.runs import runs_command

    return runs_command(read_pairs(rest, None), known.json)


def main_judge(arguments: Arguments) -> int:
    """`upgate judge`."""
    known, rest = parse_flags("judge", arguments)
    from upgate.referee.options import KEYS, read_question, read_source

    words = read_pairs(rest, KEYS)
    source, question = read_source(words), read_question(words)
    from upgate.referee.command import judge_command

    language = words.get("report.language")
    return judge_command(source, question, words.get("out"), language, known.json)


def main_predict(arguments: Arguments) -> int:
    """`upgate predict`."""
    known, rest = parse_flags("predict", arguments)
    from upgate.cli.predict import predict_command

    use_folder(known.config_dir)  # a run's parts and task may be made of code that stands there
    return predict_command(rest)


def main_promote(arguments: Arguments) -> int:
    """`upgate promote`."""
    _, rest = parse_flags("promote", arguments)
    from upgate.cli.promote import promote_command

    return promote_command(rest)


def main_export(arguments: Arguments) -> int:
    """`upgate export`."""
    known, rest = parse_flags("export", arguments)
    from upgate.cli.export_words import KEYS, check_export

    words = read_pairs(rest, KEYS)
    check_export(words)
    from upgate.cli.export import export_command

    use_folder(known.config_dir)  # a run's parts and task may be made of code that stands there
    return export_command(words)


def main_check_part(arguments: Arguments) -> int:
    """`upgate check-part`."""
    known, choice = parse_flags("check-part", arguments)
    from rich.console import Console

    from upgate.cli.check_part import check_part_command

    return check_part_command(choice, known.config_dir, Console())


def main_delete(arguments: Arguments) -> int:
    """`upgate delete`."""
    known, rest = parse_flags("delete", arguments)
    from upgate.cli.runs import delete_command

    return delete_command(read_pairs(rest, ("run", "root")), known.yes)


def main_ui(arguments: Arguments) -> int:
    """`upgate ui`."""
    _, rest = parse_flags("ui", arguments)
    from upgate.cli.ui import ui_command

    return ui_command(read_pairs(rest, ("root", "port")))


def main_schema(arguments: Arguments) -> int:
    """`upgate schema`."""
    known, words = parse_flags("schema", arguments)
    from upgate.cli.schema import schema_command

    return schema_command(words, known.config_dir)


def main_completion(arguments: Arguments) -> int:
    """`upgate completion`."""
    _, rest = parse_flags("completion", arguments)
    from upgate.cli.completion import completion_command

    return completion_command(rest)


COMMANDS: dict[str, Callable[[Arguments], int]] = {
    "train": main_train,
    "study": main_study,
    "tune": main_tune,
    "report": main_report,
    "runs": main_runs,
    "judge": main_judge,
    "predict": main_predict,
    "promote": main_promote,
    "export": main_export,
    "delete": main_delete,
    "ui": main_ui,
    "check-part": main_check_part,
    "schema": main_schema,
    "completion": main_completion,
}
