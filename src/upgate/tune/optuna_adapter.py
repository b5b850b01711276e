"""What Optuna is asked: tree-structured Parzen points, fANOVA, and its record of trials. Optuna is imported where it is needed."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upgate.errors import UserError
from upgate.seeds import derive
from upgate.store.connect import first_line
from upgate.tune.space import Dimension
from upgate.tune.trial import COMPLETE, DIVERGED, PRUNED, Trial

FEWEST = 8  # trials from which on shares of variance are worth a look


def distribution(dim: Dimension) -> Any:
    from optuna import distributions

    if dim.kind == "choice":
        return distributions.CategoricalDistribution(dim.choices)
    if dim.kind == "int":
        return distributions.IntDistribution(int(dim.low), int(dim.high), log=dim.log)
    return distributions.FloatDistribution(dim.low, dim.high, log=dim.log)


def inside(space: Sequence[Dimension], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Values as Optuna takes them: the baseline's are moved to the nearest end where they lie outside; None where one is not there."""
    if any(math.isnan(dim.place(values.get(dim.key))) for dim in space):
        return None
    return {dim.key: dim.nearest(values[dim.key]) for dim in space}


def frozen_trial(space: Sequence[Dimension], trial: Trial, record: bool) -> Any:
    """A trial in Optuna's words, lower is better; None for one that has no place in this space.

    To the sampler a failed trial is as bad as a diverged one; in the record it is FAIL.
    """
    from optuna.trial import TrialState, create_trial

    params = inside(space, trial.values)
    if params is None and not record:
        return None
    failed = trial.state not in (COMPLETE, PRUNED, DIVERGED) and record
    state = (
        TrialState.FAIL
        if failed
        else TrialState.PRUNED
        if trial.state == PRUNED
        else TrialState.COMPLETE
    )
    told = {
        "upgate.number": trial.number,
        "upgate.state": trial.state,
        "upgate.keys": json.dumps(trial.keys),
        "upgate.values": trial.values,
    }
    return create_trial(
        state=state,
        value=None if failed else trial.loss,
        params=params or {},
        distributions={dim.key: distribution(dim) for dim in space} if params else {},
        user_attrs=told,
        intermediate_values={len(trial.losses): trial.loss} if trial.state == PRUNED else {},
    )


def tpe_points(
    space: Sequence[Dimension], seed: int, first: int, count: int, told: Sequence[Trial]
) -> list[dict[str, Any]]:
    """The points of one generation, that with number `first` on, from the trials of earlier generations alone."""
    import optuna

    _quiet()
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=1,
        multivariate=True,
        constant_liar=True,
        seed=derive(seed, "tpe", first) % 2**32,
    )
    study = optuna.create_study(direction="minimize", sampler=sampler)
    study.add_trials(
        [one for trial in told if (one := frozen_trial(space, trial, record=False)) is not None]
    )
    asked = {dim.key: distribution(dim) for dim in space}
    found = [study.ask(asked).params for _ in range(count)]
    return [
        {dim.key: dim.short(one[dim.key]) if dim.kind == "float" else one[dim.key] for dim in space}
        for one in found
    ]


def importance(space: Sequence[Dimension], seed: int, trials: Sequence[Trial]) -> dict[str, float]:
    """Share of the variance of the score that each axis explains, by fANOVA; empty where there is too little to say so."""
    import optuna

    _quiet()
    kept = [
        trial
        for trial in trials
        if trial.state == COMPLETE and inside(space, trial.values) == trial.values
    ]
    if len(kept) < FEWEST or len({trial.loss for trial in kept}) < 2:
        return {}
    study = optuna.create_study(direction="minimize")
    study.add_trials([frozen_trial(space, trial, record=False) for trial in kept])
    judge = optuna.importance.FanovaImportanceEvaluator(seed=derive(seed, "fanova") % 2**32)
    return {
        key: float(share)
        for key, share in optuna.importance.get_param_importances(study, evaluator=judge).items()
    }


class Record:
    """The trials in an Optuna storage, for its dashboard: a record, the truth is the store. One driver writes, each trial once."""

    def __init__(self, uri: str | None, root: Path) -> None:
        self.uri = uri or f"sqlite:///{root / 'optuna.db'}"
        self.lock = root / "optuna.lock"
        self._storage: Any = None

    def prepare(self) -> None:
        """Make the tables once, under a lock, before any worker starts. Raises UserError where the storage does not answer."""
        import optuna
        from filelock import FileLock

        _quiet()
        with FileLock(self.lock):
            try:
                self._storage = optuna.storages.get_storage(self.uri)
            except Exception as error:  # the boundary to a service
                shown, why = self.uri.partition("://")[0], first_line(error)
                raise UserError(
                    f"tune.storage={shown}://... does not answer ({why}); start it, or leave tune.storage out"
                ) from error

    def add(self, name: str, space: Sequence[Dimension], trials: Sequence[Trial]) -> None:
        """Add what is not there yet; a trial that failed before and has finished now is added as that."""
        import optuna
        from filelock import FileLock

        with FileLock(self.lock):
            study = optuna.create_study(
                study_name=name, storage=self._storage, direction="minimize", load_if_exists=True
            )
            there = study.get_trials(deepcopy=False)
            known = {
                one.user_attrs.get("upgate.number"): False
                for one in there
                if one.state.name == "FAIL"
            }
            known |= {
                one.user_attrs.get("upgate.number"): True
                for one in there
                if one.state.name != "FAIL"
            }
            for trial in trials:
                over = trial.state in (COMPLETE, PRUNED, DIVERGED)
                if trial.number not in known or (over and not known[trial.number]):
                    study.add_trial(frozen_trial(space, trial, record=True))


def _quiet() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
