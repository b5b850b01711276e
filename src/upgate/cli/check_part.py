"""`upgate check-part GROUP=NAME`: the properties that all parts must have, on one choice."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.console import Console

from upgate import messages
from upgate.cli.texts import say
from upgate.config.choices import PARTS, choices
from upgate.config.extensions import use_folder
from upgate.errors import UserError, did_you_mean, not_a_choice
from upgate.messages import shown
from upgate.part_checks.properties import (
    CHOICE,
    RUN,
    Candidate,
    PropertyFailed,
    knob_reaches_the_weights,
)
from upgate.part_checks.texts import say as property_texts

Check = tuple[str, Callable[[], None]]


def check_part_command(arguments: Sequence[str], config_dir: str | None, console: Console) -> int:
    """Check a choice; 0 if all properties hold, 1 if one does not. Raises UserError."""
    candidate = parse_choice(arguments, config_dir)
    use_folder(config_dir)
    failed = 0
    for title, check in make_checks(candidate):
        message = _failure(check)
        failed += message is not None
        mark = say("mark_ok" if message is None else "mark_failed")
        line = f"{shown(mark)} {shown(title)}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
        if message is not None:
            line = f"       {shown(message)}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    count = say("properties_fail", count=failed) if failed else say("properties_hold")
    total = messages.say("cause", where=candidate.override, cause=count)
    console.print(shown(total), highlight=False, markup=False)
    return 1 if failed else 0


def _failure(check: Callable[[], None]) -> str | None:
    """What a check says that failed. A part may raise anything: that is a finding, not an end."""
    try:
        check()
    except UserError:
        raise
    except PropertyFailed as failed:
        message: str = failed.args[0]
        return message
    except AssertionError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def parse_choice(arguments: Sequence[str], config_dir: str | None) -> Candidate:
    """The choice that GROUP=NAME names. Raises UserError where there is none."""
    group, is_pair, name = arguments[0].partition("=") if len(arguments) == 1 else ("", "", "")
    if not is_pair or not name:
        raise UserError(say("check_one_choice"))
    if group not in PARTS:
        raise UserError(say("not_a_part_group", group=group, hint=did_you_mean(group, PARTS)))
    name = name.strip("[]")
    available = choices(group, config_dir)
    if name not in available:
        raise not_a_choice(f"{group}={name}", did_you_mean(name, available))
    shipped = name in choices(group)
    return Candidate(group, name, None if shipped else config_dir)


def make_checks(candidate: Candidate) -> Iterator[Check]:
    """Each property with its title, for each task or knob that it is about."""
    for of_choice in CHOICE:
        yield _title(of_choice), partial(of_choice, candidate)
    for task in candidate.tasks:
        for of_run in RUN:
            yield say("title_of", title=_title(of_run), of=task), partial(of_run, candidate, task)
    for knob in candidate.searched:
        title, of = _title(knob_reaches_the_weights), f"{candidate.path}.{knob}"
        check = partial(knob_reaches_the_weights, candidate, knob)
        yield say("title_of", title=title, of=of), check


def _title(check: Callable[..., None]) -> str:
    return property_texts.of("property", check.__name__.replace("_", " "))
