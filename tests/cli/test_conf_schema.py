"""`upgate schema` takes what a run takes, and refuses what it refuses: the files of conf/, and each
declared knob at values of every type and at the ends of its range.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import yaml
from jsonschema import Draft202012Validator as Validator

from upgate import cli
from upgate.cli.conf_files import find_declared
from upgate.cli.conf_schema import GIVEN, conf_schema
from upgate.config.choices import EXPERIMENT, REGULARIZATION, conf_dir, groups, name_key
from upgate.config.compose import compose
from upgate.config.run_config import RunConfig, TopLevel
from upgate.config.schema import check, read_signature
from upgate.config.trainer import arguments
from upgate.config.words import plain_words
from upgate.errors import UserError
from upgate.model.backbone import SkipChoice
from upgate.run.resolve import check_recipe

FILES = sorted(path for path in conf_dir().rglob("*.yaml") if path.parent != conf_dir())
EVERY = [None, True, False, "", " ", "abc", "01:00:00:00", "1:0", -2, -1, 0, 1, 2, 3, 1000, -0.5]
EVERY += [0.25, 0.75, 1.5, [], [0], [-1], [1, 2], [0.5], ["a"], [" "], [True], [None], [[1]], {}]
NEAR = 2**-20  # of an end of a range
SECTIONS = sorted({*groups()} - {"recipe"})


@cache
def schema(group: str | None) -> dict[str, Any]:
    made = conf_schema(group)
    Validator.check_schema(made)
    return made


def fits(document: object, group: str | None) -> bool:
    return Validator(schema(group)).is_valid(document)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_shipped_file_fits_the_schema_of_its_group(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert fits(document, path.relative_to(conf_dir()).parts[0])


@pytest.mark.parametrize("words", [[], ["task=sentiment"], ["regularization=[l1,dropout]"]])
def test_a_composed_configuration_fits_the_full_schema(words: list[str]) -> None:
    config = compose(words)
    assert fits(config, None)
    assert not fits({**config, "seed": -1}, None)
    assert not fits({**config, "clip": {"name": "norm", "max_norm": 0}}, None)


def near_ends(hint: Any) -> Iterator[Any]:
    """The ends of an annotation's ranges, what is near them, and the choices that it lists."""
    for one in get_args(hint):
        if get_origin(hint) is Literal:
            yield from (one, f"{one}x")
        elif get_origin(hint) is Annotated and not callable(one):
            for end in one.members.values():
                if isinstance(end, int | float):
                    yield from (end, end - NEAR, end + NEAR, end - 1, end + 1)
        else:
            yield from near_ends(one)


def is_taken(hint: Any, value: Any) -> bool:
    def make(knob: Any) -> None: ...

    make.__annotations__["knob"] = hint
    try:
        check(make, {"knob": value}, "")
    except UserError:
        return False
    return True


def differences(make: Callable[..., Any], schemas: dict[str, Any]) -> list[tuple[str, Any]]:
    """The knobs and values that a run and the schema judge differently.

    Whole floats are left out: to JSON 1.0 is a whole number.
    """
    found = []
    for key, hint in read_signature(make)[0].items():
        if key in schemas and "const" not in schemas[key]:
            values = [*EVERY, *near_ends(hint)]
            values = [one for one in values if type(one) is not float or not one.is_integer()]
            valid = Validator(schemas[key]).is_valid
            found += [(key, one) for one in values if valid(one) != is_taken(hint, one)]
    return found


def declared() -> Iterator[tuple[str, str, Callable[..., Any], dict[str, Any]]]:
    """Each choice: its group, name, declaration and the schema of its values."""
    for group in SECTIONS:
        section = schema(None)["properties"][group]
        for name, make in find_declared(group, None).items():
            if make is None:
                continue
            elif group == REGULARIZATION:
                yield group, name, make, section["properties"][name]
            elif group == "model":
                yield group, name, make, section
            else:
                cases = {
                    case["if"]["properties"][name_key(group)]["const"]: case["then"]
                    for case in section["allOf"]
                }
                yield group, name, make, cases[name]


def test_every_knob_takes_and_refuses_what_a_run_does() -> None:
    seen = 0
    for group, name, make, one in declared():
        knobs = set(read_signature(make)[1]) - {*GIVEN.get(group, ()), name_key(group)}
        assert knobs <= one["properties"].keys(), f"{group}={name}"
        assert differences(make, one["properties"]) == [], f"{group}={name}"
        seen += len(knobs)
    assert seen > 90
    full = schema(None)["properties"]
    assert differences(SkipChoice, full["model"]["properties"]) == []
    assert differences(arguments, full["trainer"]["properties"]) == []
    assert differences(TopLevel, full) == []


def test_unknown_and_missing_keys_are_refused() -> None:
    for group, name, make, one in declared():
        valid = Validator(one).is_valid
        key = {} if group == REGULARIZATION else {name_key(group): name}
        values = {k: v.get("default") for k, v in one["properties"].items() if "default" in v}
        assert valid({**key, **values}), f"{group}={name}"
        assert not valid({**key, **values, "knob_of_nobody": 1})
        needed = {k for k, v in read_signature(make)[1].items() if v.default is v.empty}
        for missing in needed - {*GIVEN.get(group, ()), *key}:
            assert not valid({**key, **{k: v for k, v in values.items() if k != missing}})


EXPERIMENTS = [  # documents that a run takes
    "seed: 3",
    "{defaults: [override /clip: norm], clip: {max_norm: 0.5}}",
    "{defaults: [_self_, {override /regularization: [l1, dropout]}]}",
    "{clip: value, trainer: {max_epochs: 3, precision: 32}}",
    "{recipe: upgraded, regularization: {dropout: {p: 0.3}}, skip_default: none}",
    '{data: {start: "2010"}}',
]
REFUSED = [
    "sed: 3",
    "seed: -1",
    "threads: many",
    "{defaults: [override /clip: nrm]}",
    "{defaults: [override /clips: norm]}",
    "{defaults: [clip: norm]}",
    "{defaults: [{override /clip: norm, override /init: he}]}",
    "clip: nrm",
    "{clip: {name: norm}}",
    "{defaults: [override /clip: norm], clip: {max_norm: -1}}",
    "{regularization: {dropout: {search: {p: [0, 1]}}}}",
    "{trainer: {max_epoch: 3}}",
    "{trainer: {max_epochs: few}}",
    "{trainer: {logger: true}}",
    "recipe: new",
]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an experiment in one folder, so that Hydra composes each choice once."""
    path = tmp_path_factory.mktemp("own") / EXPERIMENT / "mine.yaml"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize("text", [*EXPERIMENTS, *REFUSED])
def test_an_experiment_fits_where_a_run_takes_it(text: str, mine: Path) -> None:
    mine.write_text(text, encoding="utf-8")
    try:
        config = compose(plain_words([f"+{EXPERIMENT}=mine"], str(mine.parents[1])))
        check_recipe(config)
        taken = bool(RunConfig.from_dict(config))
    except UserError:
        taken = False
    assert taken == fits(yaml.safe_load(text), EXPERIMENT) == (text in EXPERIMENTS)


PART = """
from upgate.config.schema import Fraction
from upgate.recipe.registry import register

@register("stopping", "mine")
def mine(share: Fraction) -> None: ...
"""


def test_the_schema_knows_parts_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "stopping").mkdir()
    (tmp_path / "stopping" / "mine.yaml").write_text("name: mine\nshare: 0.5  # of all\n")
    (tmp_path / "stopping" / "mine.py").write_text(PART)
    made = Validator(conf_schema("stopping", str(tmp_path)))
    assert made.is_valid({"name": "mine", "share": 0.1}) and made.is_valid({"name": "none"})
    assert not made.is_valid({"name": "mine", "share": 1})
    assert '"of all; between 0 and 1, 1 excluded"' in json.dumps(made.schema)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "clip.schema.json"
    assert cli.main(["schema", "clip"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == schema("clip")
    assert cli.main(["schema", "clip", f"out={out}"]) == 0
    assert out.read_text(encoding="utf-8") == printed and str(out) in capsys.readouterr().out
    for words, sentence in (
        (["clp"], "clp is not a group, did you mean 'clip'?"),
        (["clip", "norm"], "unknown key norm; there is out"),
        (["clip", "out=/nowhere/at/all"], "there is no folder"),
    ):
        assert cli.main(["schema", *words]) == 2
        assert sentence in capsys.readouterr().err
