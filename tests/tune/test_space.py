"""The space of a search: ranges out of the selected parts' yamls, changed by words; every value is
one that the recipe takes.
"""

import math

import pytest

from helpers.tune import LIBRARY, planned
from upgate.config import compose as config
from upgate.errors import UserError
from upgate.experiment.jobs import make_job
from upgate.tune.options import read_tune_options
from upgate.tune.space import (
    Dimension,
    baseline_values,
    find_ranges,
    make_dimension,
    make_dimensions,
    make_space,
    override_all,
    to_overrides,
)

DIMS = [
    Dimension("a", "float", 0.5, 2.0),
    Dimension("b", "float", 1e-5, 1e-1, log=True),
    Dimension("c", "int", 2, 10),
    Dimension("d", "int", 8, 1024, log=True),
    Dimension("e", "choice", choices=["last", "max", True]),
]


@pytest.mark.parametrize("one", DIMS, ids=lambda one: one.key)
def test_values_stay_inside_and_both_ends_are_reached(one: Dimension) -> None:
    values = [one.value(u / 4096) for u in range(4096)]
    if one.kind == "choice":
        counts = [values.count(choice) for choice in one.choices]
        assert max(counts) - min(counts) <= 1
        return
    assert all(one.low <= value <= one.high for value in values) and values == sorted(values)
    assert values[0] == one.low and (one.kind == "float" or values[-1] >= 0.99 * one.high)
    middle = math.sqrt(one.low * one.high) if one.log else (one.low + one.high) / 2
    assert values[2048] == pytest.approx(middle, rel=0.1)
    assert one.kind == "float" or set(map(type, values)) == {int}


def test_whole_numbers_are_as_likely_as_each_other() -> None:
    one = Dimension("c", "int", 2, 6)
    values = [one.value(u / 1000) for u in range(1000)]
    assert [values.count(k) for k in range(2, 7)] == [200] * 5


def test_a_grid_axis_has_both_ends_and_no_value_twice() -> None:
    assert DIMS[1].axis(5) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert Dimension("n", "int", 1, 3).axis(7) == [1, 2, 3]
    assert DIMS[4].axis(2) == ["last", "max", True]


def test_every_range_in_conf_is_one_and_holds_its_default_or_says_null() -> None:
    there = {group: config.choices(group) for group in (*config.PARTS, "model")}
    single = {group: names for group, names in there.items() if group != config.REGULARIZATION}
    terms = [name for name in there[config.REGULARIZATION] if name != "none"]
    for k in range(max(map(len, single.values()))):
        words = [f"{group}={names[k % len(names)]}" for group, names in single.items()]
        composed = config.compose([*words, f"regularization=[{','.join(terms)}]"])
        for key, asked in find_ranges(composed):
            own = make_dimensions(key, asked, baseline_of(composed, key))
            values = baseline_values(own, composed)
            inside = [
                one.low <= values[one.key] <= one.high
                for one in own
                if isinstance(values[one.key], int | float)
            ]
            assert own and all(inside), (key, values)


def baseline_of(composed: dict, key: str) -> object:
    for name in key.split("."):
        composed = composed[name]
    return composed


def test_the_space_follows_what_is_selected() -> None:
    def keys(*words: str) -> set[str]:
        return {one.key for one in make_space(config.compose(list(words)), {}, None)}

    both = {"batch_size", "model.hidden_size", "model.num_layers", "optimizer.lr"}
    assert keys("recipe=traditional") == both
    assert keys("recipe=traditional", "clip=agc", "regularization=[l1,dropout]") == both | {
        "clip.lam",
        "regularization.l1.lam",
        "regularization.dropout.p",
    }
    assert {"optimizer.betas.0", "optimizer.betas.1"} < keys("recipe=upgraded")
    assert "optimizer.momentum" not in keys("optimizer=adam") and "optimizer.momentum" in keys(
        "optimizer=nesterov"
    )


def test_ranges_are_changed_added_and_removed_by_words() -> None:
    asked, rest = read_tune_options(
        [
            "task=stock",
            "tune.space.optimizer.lr=[1e-4,1e-1,log]",
            "tune.space.batch_size=null",
            "tune.space.model.pooling=[last,max]",
            "tune.space.optimizer.betas=[[0.8,0.9],[0.99,0.999]]",
        ]
    )
    found = {one.key: one for one in make_space(config.compose(rest), asked.space, None)}
    assert rest == ["task=stock"] and "batch_size" not in found
    assert found["optimizer.lr"] == Dimension("optimizer.lr", "float", 1e-4, 1e-1, True)
    assert (
        found["model.pooling"].choices == ["last", "max"] and found["optimizer.betas.1"].low == 0.99
    )
    only = make_space(config.compose(rest), asked.space, ["optimizer.lr"])
    assert [one.key for one in only] == ["optimizer.lr"]
    assert make_dimension("model.hidden_size", [32, 64, "choice"]).choices == [32, 64]
    assert make_dimension("model.hidden_size", [32, 64, 128]).choices == [32, 64, 128]


def test_values_become_words_in_place_of_the_users() -> None:
    composed = config.compose(["optimizer=adam"])
    words = to_overrides(
        {"optimizer.betas.1": 0.99, "optimizer.lr": 1e-3, "batch_size": 16}, composed
    )
    assert words == ["optimizer.betas=[0.9,0.99]", "optimizer.lr=0.001", "batch_size=16"]
    assert override_all(["task=stock", "optimizer.lr=3", "seed=1"], words) == [
        "task=stock",
        "seed=1",
        *words,
    ]
    assert config.compose(override_all(["optimizer=adam", "optimizer.lr=3"], words))["optimizer"][
        "betas"
    ] == [0.9, 0.99]


def test_ranges_are_no_part_of_a_run() -> None:
    """A run's key stays what it was before ranges and the knobs of a search stood in the yamls."""
    for words, knobs in (
        (["split=holdout"], {"validation", "test", "gap"}),
        (["task=sentiment"], {"validation", "test"}),
    ):
        spec = make_job(words, LIBRARY, None).spec
        assert (
            set(spec.split.knobs) == knobs
            and "search" not in spec.model.knobs
            and "search" not in str(spec.to_dict())
        )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["search=randm"], "did you mean 'random'?"),
        (["tune.trial=3"], "unknown key tune.trial, did you mean 'trials'?"),
        (["tune.trials=0"], "tune.trials=0 must be 1 or more"),
        (["tune=5"], "as in tune.trials=30"),
        (["tune.space=3"], "as in tune.space.optimizer.lr=["),
        (["search=grid", "tune.trials=3"], "tune.trials is not for search=grid"),
        (["tune.prune=epochs"], "tune.prune=epochs is not offered"),
        (["tune.prune=folds", "tune.folds=3"], "take tune.folds=6"),
        (["fold=1"], "tune.folds=3"),
        (["tune.trials=3", "tune.trials=4"], "given twice"),
        (["tune.space.optimizer.lrr=[1,2]"], "did you mean 'optimizer.lr'?"),
        (["tune.space.optimizer.momentum=[0.1,0.9]"], "a key is there where its part is selected"),
        (["tune.space.clip.lam=null"], "nothing searches it"),
        (["tune.space.trainer.max_epochs=[1,9]"], "cannot be searched"),
        (["tune.space.optimizer.lr=[1,0.1]"], "low must be below high"),
        (["tune.space.optimizer.lr=3"], "is no range"),
        (["tune.space.optimizer.lr=[-1.0,0.1]"], "optimizer.lr=-1.0 must be"),
        (["tune.space.optimizer.betas=[0.8,0.9]"], "is a list of 2"),
        (["tune.only=[optimizer.lrr]"], "did you mean 'optimizer.lr'?"),
        (["search=grid"], "search few axes, as in tune.only"),
        (["search=grid", "tune.arms=[traditional,upgraded]", "tune.per_axis=2"], "unequal budgets"),
        (["tune.arms=[upgraded]"], "names two recipes or more"),
        (["seed=101"], "is a tuning seed"),
        (["tune.nested=true"], "give split=walk_forward"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(words: list[str], part: str) -> None:
    with pytest.raises(UserError) as told:
        planned(*words)
    assert part in str(told.value) and "\n" not in str(told.value)
