"""`upgate schema`: what a configuration may say, as JSON Schema for editors.

It is made of what checks a run: the annotations of the functions that get the values, and the
yamls, whose values are the defaults and whose comments are the texts.
"""

from collections.abc import Callable, Collection
from typing import Any

from upgate.cli.commands import TOP_LEVEL, TRAINER
from upgate.cli.conf_files import added_keys, find_declared, read_choice_file
from upgate.cli.texts import say
from upgate.config.choices import (
    EXPERIMENT,
    PARTS,
    REGULARIZATION,
    choices,
    defaults,
    groups,
    name_key,
)
from upgate.config.declared import any_of, knob_schemas, required_knobs
from upgate.config.extensions import use_folder
from upgate.config.run_config import TopLevel
from upgate.config.trainer import PARAMETERS, PRECISIONS, arguments
from upgate.errors import UserError, did_you_mean
from upgate.model.backbone import Backbone, SkipChoice

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
GLOBAL = ("recipe", "task")  # groups whose files hold other sections too
GIVEN = {"split": ("n",), "model": ("input_size",)}  # by the program, not by a file
SEARCH, SEARCHED = "search", (*PARTS, "model", "task")  # the key, and the groups that have it


def conf_schema(group: str | None, config_dir: str | None = None) -> Schema:
    """The schema of the files of a group, of experiments, or, for None, of a full configuration.

    Raises UserError where there is no such group.
    """
    use_folder(config_dir)
    known = (*groups(), EXPERIMENT)
    if group is not None and group not in known:
        raise UserError(say("not_a_group", group=group, hint=did_you_mean(group, known)))
    if group is None:
        title, made = "a full configuration", _full(config_dir)
    else:
        title, made = f"a file of conf/{group}/", _file(group, config_dir)
    return {"$schema": DIALECT, "title": f"Upgate: {title}", **made}


def _object(properties: Schema, required: Collection[str] = (), is_open: bool = False) -> Schema:
    needed = {"required": list(required)} if required else {}
    closed = {} if is_open else {"additionalProperties": False}
    return {"type": "object", "properties": properties, **needed, **closed}


def _full(config_dir: str | None) -> Schema:
    """Of what `upgate train --cfg job` prints; a yaml may have added keys."""
    sections = {
        group: _section_schema(group, config_dir) for group in groups() if group != "recipe"
    }
    return _object({**_top_level(), "recipe": {"type": "string"}, **sections}, (), is_open=True)


def _file(group: str, config_dir: str | None) -> Schema:
    if group == EXPERIMENT:
        return _experiment_schema(config_dir)
    if group not in GLOBAL:
        return _section_schema(group, config_dir)
    sections = {name: _partial(name, config_dir) for name in groups() if name != "recipe"}
    if group == "task":
        sections["task"] = _section_schema("task", config_dir)
    listed = {"defaults": _defaults_list(config_dir, is_open=True), "recipe": {"type": "string"}}
    return _object({**listed, **_top_level(), **sections}, [group], is_open=True)


def _experiment_schema(config_dir: str | None) -> Schema:
    """Of a file of words: a choice may be named in place of its values, and no range is a word."""
    words: Schema = {key: {} for key in added_keys(config_dir)}
    of_commands: Schema = {SEARCH: {"type": "string"}, "study": {}, "tune": {}}
    words |= _top_level() | of_commands
    for group in groups():
        values = [] if group == "recipe" else [_partial(group, config_dir, ranges=False)]
        words[group] = {"anyOf": [_name(group, config_dir), *values]}
    return _object({**words, "defaults": _defaults_list(config_dir)})


def _name(group: str, config_dir: str | None) -> Schema:
    """A choice of a group; of regularization a list of them too."""
    one: Schema = {"enum": choices(group, config_dir)}
    return {"anyOf": [one, {"type": "array", "items": one}]} if group == REGULARIZATION else one


def _defaults_list(config_dir: str | None, is_open: bool = False) -> Schema:
    """Hydra's list of choices. is_open: with whatever else Hydra takes there."""
    names = {f"override /{group}": _name(group, config_dir) for group in groups()}
    choice = {**_object(names, (), is_open), "minProperties": 1, "maxProperties": 1}
    other = {"type": "string"} if is_open else {"const": "_self_"}
    return {"type": "array", "items": {"anyOf": [choice, other]}}


def _top_level() -> Schema:
    """seed, trainer and what else belongs to no group."""
    plain = knob_schemas(TopLevel, (SEARCH,), defaults(), TOP_LEVEL)
    return {**plain, SEARCH: {"type": "object"}, "trainer": _trainer()}


def _trainer() -> Schema:
    used = {key: one.default for key, one in PARAMETERS.items() if one.default is not one.empty}
    knobs = knob_schemas(arguments, (), {**used, **defaults()["trainer"]}, TRAINER)
    older = {"enum": [*PRECISIONS, *(int(key) for key in PRECISIONS if key.isdigit())]}
    knobs["precision"]["anyOf"].append(older)
    return _object(knobs)


def _section_schema(group: str, config_dir: str | None) -> Schema:
    """The values of a group, with the name of the choice that they belong to."""
    made = find_declared(group, config_dir)
    if group == REGULARIZATION:
        return _partial(group, config_dir)
    key = name_key(group)
    if group == "model":  # any name will do
        knobs = _knob_properties(group, next(iter(made)), Backbone, config_dir)
        return _object({key: {"type": "string"}, **knobs}, [key, *_required(group, Backbone)])
    cases = []
    for name, make in made.items():
        if make is not None:
            knobs = {key: {"const": name}, **_knob_properties(group, name, make, config_dir)}
            then = _object(knobs, [key, *_required(group, make)])
            case = {"properties": {key: {"const": name}}, "required": [key]}
            cases.append({"if": case, "then": then})
    return {**_object({key: {"enum": list(made)}}, [key], is_open=True), "allOf": cases}


def _partial(group: str, config_dir: str | None, ranges: bool = True) -> Schema:
    """Some values of a group, whichever of its choices has them."""
    made = find_declared(group, config_dir)
    named: dict[str, Schema] = {}
    needed: dict[str, list[str]] = {}
    for name, make in made.items():
        if make is not None:
            named[name] = _knob_properties(group, name, make, config_dir, ranges)
            needed[name] = _required(group, make) if ranges else []
    if group == REGULARIZATION:
        return _object({name: _object(knobs, needed[name]) for name, knobs in named.items()})
    merged: Schema = {}
    for knobs in named.values():
        for key, one in knobs.items():
            merged[key] = any_of([merged[key], one]) if key in merged else one
    return _object(merged, is_open=None in made.values())


def _knob_properties(
    group: str,
    name: str,
    make: Callable[..., Any],
    config_dir: str | None,
    ranges: bool = True,
) -> Schema:
    """What the parameters of a choice take, and the ranges in which `upgate tune` searches them."""
    file = read_choice_file(group, name, config_dir)
    without = (*GIVEN.get(group, ()), name_key(group))
    knobs = knob_schemas(make, without, file.values, file.texts)
    if group == "model":
        knobs |= knob_schemas(SkipChoice, (), file.values, file.texts)
    searched = _object({key: {"type": ["array", "null"]} for key in knobs})
    return {**knobs, SEARCH: searched} if ranges and group in SEARCHED else knobs


def _required(group: str, make: Callable[..., Any]) -> list[str]:
    return required_knobs(make, (*GIVEN.get(group, ()), name_key(group)))
