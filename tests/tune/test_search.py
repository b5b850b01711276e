"""The search over made-up runs: equal budgets on one list, divergence ranked last, pruning, resume,
and what it may see of the data.
"""

import math

import numpy as np
import pytest

from helpers.run import small
from helpers.tune import LIBRARY, Fake, answer, bowl, planned, search
from upgate.experiment.jobs import make_pair
from upgate.run.job import Job
from upgate.run.result import Result
from upgate.tune.plan import trial_overrides
from upgate.tune.trial import COMPLETE, DIVERGED, FAILED, PRUNED

FEW = [
    "tune.trials=14",
    "tune.folds=2",
    "tune.only=[optimizer.lr]",
    "tune.top=3",
    "tune.top_seeds=1",
]
SAMPLERS = ["random", "sobol", "tpe", "grid"]


def words(sampler: str, *more: str) -> list[str]:
    few = [word for word in FEW if sampler != "grid" or not word.startswith("tune.trials")]
    grid = ["tune.per_axis=9"] if sampler == "grid" else []
    return [f"search={sampler}", *grid, *few, *more]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trial_zero_is_the_recipe_as_it_is_and_the_best_is_chosen(sampler: str) -> None:
    found = planned(*words(sampler))
    trials, chosen = search(found, fake := Fake())
    ((name, mine),) = trials.items()
    assert [one.number for one in mine] == list(range(found.search.trials)) and mine[
        0
    ].overrides == []
    assert mine[0].values == found.search.arms[0].baseline and all(
        one.overrides for one in mine[1:]
    )
    top = sorted(mine, key=lambda one: one.loss)[:3]
    assert [one.number for one in mine if one.more] == sorted(one.number for one in top)
    assert chosen[name] == min(top, key=lambda one: one.final).number
    seeds = {job.spec.seed for job in fake.jobs}
    assert seeds == {100, 101} and 0 not in seeds  # seed 0 is the one that is reported


def test_arms_get_as_many_trials_from_one_list() -> None:
    trials, _ = search(
        planned(
            "search=random", "tune.trials=6", "tune.folds=2", "tune.arms=[traditional,upgraded]"
        ),
        Fake(),
    )
    low, high = trials["traditional"], trials["upgraded"]
    assert len(low) == len(high) == 6
    for one, other in zip(low[1:], high[1:], strict=True):
        shared = {"batch_size", "model.hidden_size", "model.num_layers"}
        assert {key: one.values[key] for key in shared} == {
            key: other.values[key] for key in shared
        }
        position = [
            math.log(t.values["optimizer.lr"] / lo) / math.log(hi / lo)
            for t, lo, hi in ((one, 1e-5, 10), (other, 1e-5, 0.1))
        ]
        assert position[0] == pytest.approx(position[1], abs=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_was_cut_off_anywhere_goes_on_to_the_same_points(sampler: str) -> None:
    found = planned(*words(sampler))
    whole = search(found, fake := Fake())
    for limit in (3, 11, 20):
        with pytest.raises(KeyboardInterrupt):
            search(found, Fake(limit=limit))
        assert search(planned(*words(sampler)), again := Fake()) == whole
        assert [job.spec.key for job in again.jobs] == [job.spec.key for job in fake.jobs]


def test_tpe_listens_to_earlier_generations_only() -> None:
    few = words("tpe", "tune.startup=4", "tune.generation=4")
    once, _ = search(planned(*few), Fake())
    other, _ = search(planned(*few), Fake(lambda job: answer(job, 1 / bowl(job))))
    (one,), (two,) = once.values(), other.values()
    values = [[trial.values["optimizer.lr"] for trial in trials] for trials in (one, two)]
    assert values[0][:5] == values[1][:5] and values[0][5:] != values[1][5:]


def test_what_diverges_or_fails_ranks_last_and_is_counted() -> None:
    def run(job: Job) -> Result:
        rate = job.config.parts["optimizer"].knobs["lr"]
        if rate > 1e-2:
            return answer(job, None)
        return answer(job, bowl(job), status="FAILED") if rate < 1e-4 else answer(job, bowl(job))

    trials, chosen = search(planned(*words("random")), Fake(run))
    ((name, mine),) = trials.items()
    states = [one.state for one in mine]
    assert len(mine) == 14 and {COMPLETE, DIVERGED, FAILED} == set(states)
    ranked = sorted(mine, key=lambda one: one.rank)
    assert [one.state for one in ranked] == sorted(states, key=(COMPLETE, DIVERGED, FAILED).index)
    assert mine[chosen[name] or 0].state == COMPLETE and all(
        one.loss == math.inf for one in mine if one.state != COMPLETE
    )
    _, none = search(planned(*words("random")), Fake(lambda job: answer(job, None)))
    assert none[name] is None


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_folds_prune_what_is_clearly_worse(sampler: str) -> None:
    few = [
        f"search={sampler}",
        "tune.startup=4",
        "tune.trials=8",
        "tune.only=[optimizer.lr]",
        "tune.folds=6",
        "tune.top=2",
        "tune.top_seeds=1",
    ]
    _, chosen = search(planned(*few), all_runs := Fake())
    cut, same = search(planned(*few, "tune.prune=folds"), fake := Fake())
    assert len(fake.jobs) < len(all_runs.jobs) and (sampler == "tpe" or chosen == same)
    ((_, mine),) = cut.items()
    pruned = [one for one in mine if one.state == PRUNED]
    assert pruned and all(4 <= len(one.losses) < 6 for one in pruned)
    again, _ = search(planned(*few, "tune.prune=folds"), Fake())
    assert again == cut


def test_trials_never_see_the_test_part_of_prices() -> None:
    found, library = planned(*words("random")), LIBRARY
    _, _ = search(found, fake := Fake())
    block = found.search.blocks[0]
    last = library.fetch(
        make_pair([*found.search.arms[0].overrides, *block.final, "twin=false"], library, None)[0]
    )[1]
    assert {job.spec.split.name for job in fake.jobs} == {"development"} and found.search.split[
        "name"
    ] == "holdout"
    for job in fake.jobs[:4]:
        assert library.fetch(job)[1].fold.test.stop < last.fold.test.start


def test_nested_searches_see_only_what_stands_before_their_test_block() -> None:
    found, library = planned("split=walk_forward", "tune.nested=true", *words("random")), LIBRARY
    starts = []
    for block in found.search.blocks:
        arm = found.search.arms[0]
        last = make_pair(trial_overrides(arm, [], block.final), library, None)[0]
        outer = last.at(0, block.tests[0])
        test = library.fetch(outer)[1].fold.test
        inner = make_pair(trial_overrides(arm, [], block.search), library, None)[0]
        parts = [library.fetch(inner.at(0, fold))[1].fold for fold in block.folds]
        gap = inner.spec.split.knobs["gap"]
        assert all(
            one.test.stop == test.start - gap or one.test.stop <= test.start - gap for one in parts
        )
        assert all(
            one.train.stop + gap <= one.validation.start
            and one.validation.stop + gap <= one.test.start
            for one in parts
        )
        starts.append(test.start)
    assert starts == sorted(starts) and len(starts) == 3


def test_reviews_keep_their_test_part_closed_and_refit_on_both_parts() -> None:
    text = ["task=sentiment", "data.train=200", "data.test=60", "task.vocabulary=100"]
    found, library = planned(*text, "tune.trials=2"), LIBRARY
    (block,) = found.search.blocks

    def rows(*more: str) -> dict[str, np.ndarray]:
        job = make_pair([*small(*text), *more, "twin=false"], library, None)[0]
        return {part: found.numpy() for part, found in library.fetch(job)[1].rows.items()}

    plain, closed = rows(*block.final), rows(*block.search)
    refit = rows(*block.final, "split.refit=true")
    assert (
        not set(closed["test"]) & set(plain["test"]) and (closed["train"] == plain["train"]).all()
    )
    assert (
        set(refit["train"]) == set(plain["train"]) | set(plain["validation"])
        and (refit["test"] == plain["test"]).all()
    )
    assert not set(refit["train"]) & set(refit["test"]) and len(block.folds) == 3


def test_a_refit_of_prices_trains_up_to_the_test_part() -> None:
    for split in (["split=holdout"], ["split=walk_forward", "fold=1"]):
        words = [*small(), *split, "twin=false"]
        plain, refit = (
            LIBRARY.fetch(make_pair([*words, *more], LIBRARY, None)[0])[1].fold
            for more in ([], ["split.refit=true"])
        )
        assert (
            refit.train == range(plain.validation.stop)
            and refit.test == plain.test
            and refit.train.stop < refit.test.start
        )
