"""What Optuna does: tree-structured Parzen points, fANOVA, and a record of trials.

Optuna is imported where it is needed.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upgate.errors import UserError
from upgate.seeds import derive
from upgate.store.connect import first_line
from upgate.tune.space import Dimension, Values
from upgate.tune.texts import say
from upgate.tune.trial import COMPLETE, DIVERGED, PRUNED, Trial

FEWEST = 8  # trials from which on shares of variance are worth showing


def distribution(dim: Dimension) -> Any:
    from optuna import distributions

    if dim.kind == "choice":
        return distributions.CategoricalDistribution(dim.choices)
    if dim.kind == "int":
        return distributions.IntDistribution(int(dim.low), int(dim.high), log=dim.log)
    return distributions.FloatDistribution(dim.low, dim.high, log=dim.log)


def inside(space: Sequence[Dimension], values: Values) -> Values | None:
    """Values as Optuna takes them.

    The baseline's are moved to the nearest end where they are outside; None where an axis has no
    such value.
    """
    if any(math.isnan(dim.position(values.get(dim.key))) for dim in space):
        return None
    return {dim.key: dim.nearest(values[dim.key]) for dim in space}


def frozen_trial(space: Sequence[Dimension], trial: Trial, record: bool) -> Any:
    """A trial as Optuna's, lower is better; None for one that is not in this space.

    record: for the record, where a failed trial is FAIL. To the sampler it is as bad as a diverged
    one.
    """
    from optuna.trial import TrialState, create_trial

    params = inside(space, trial.values)
    if params is None and not record:
        return None
    failed = trial.state not in (COMPLETE, PRUNED, DIVERGED) and record
    state = TrialState.PRUNED if trial.state == PRUNED else TrialState.COMPLETE
    attributes = {
        "upgate.number": trial.number,
        "upgate.state": trial.state,
        "upgate.keys": json.dumps(trial.keys),
        "upgate.values": trial.values,
    }
    return create_trial(
        state=TrialState.FAIL if failed else state,
        value=None if failed else trial.loss,
        params=params or {},
        distributions={dim.key: distribution(dim) for dim in space} if params else {},
        user_attrs=attributes,
        intermediate_values={len(trial.losses): trial.loss} if trial.state == PRUNED else {},
    )


def tpe_points(
    space: Sequence[Dimension], seed: int, first: int, count: int, earlier: Sequence[Trial]
) -> list[Values]:
    """The points of one generation, from number `first` on.

    They depend on the trials of earlier generations alone.
    """
    import optuna

    _silence()
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=1,
        multivariate=True,
        constant_liar=True,
        seed=derive(seed, "tpe", first) % 2**32,
    )
    study = optuna.create_study(direction="minimize", sampler=sampler)
    frozen = [frozen_trial(space, trial, record=False) for trial in earlier]
    study.add_trials([trial for trial in frozen if trial is not None])
    distributions = {dim.key: distribution(dim) for dim in space}
    points = []
    for _ in range(count):
        params = study.ask(distributions).params
        points.append({dim.key: _as_typed(dim, params[dim.key]) for dim in space})
    return points


def _as_typed(dim: Dimension, value: Any) -> Any:
    return dim.short(value) if dim.kind == "float" else value


def axis_importance(
    space: Sequence[Dimension], seed: int, trials: Sequence[Trial]
) -> dict[str, float]:
    """Share of the variance of the score that each axis explains, by fANOVA.

    Empty where there are too few trials.
    """
    import optuna

    _silence()
    complete = [trial for trial in trials if trial.state == COMPLETE]
    kept = [trial for trial in complete if inside(space, trial.values) == trial.values]
    if len(kept) < FEWEST or len({trial.loss for trial in kept}) < 2:
        return {}
    study = optuna.create_study(direction="minimize")
    study.add_trials([frozen_trial(space, trial, record=False) for trial in kept])
    fanova = optuna.importance.FanovaImportanceEvaluator(seed=derive(seed, "fanova") % 2**32)
    shares = optuna.importance.get_param_importances(study, evaluator=fanova)
    return {key: float(share) for key, share in shares.items()}


class Record:
    """The trials in an Optuna storage, for its dashboard.

    A record only: the store holds the truth. One driver writes, each trial once.
    """

    def __init__(self, uri: str | None, root: Path) -> None:
        self.uri = uri or f"sqlite:///{root / 'optuna.db'}"
        self.lock = root / "optuna.lock"
        self._storage: Any = None

    def prepare(self) -> None:
        """Make the tables once, under a lock, before any worker starts.

        Raises UserError where the storage does not answer.
        """
        import optuna
        from filelock import FileLock

        _silence()
        with FileLock(self.lock):
            try:
                self._storage = optuna.storages.get_storage(self.uri)
            except Exception as error:  # the boundary to a service
                shown, why = self.uri.partition("://")[0], first_line(error)
                raise UserError(say("storage_away", scheme=shown, why=why)) from error

    def add(self, name: str, space: Sequence[Dimension], trials: Sequence[Trial]) -> None:
        """Add the trials that are new.

        A trial that failed before and has finished now is added again.
        """
        import optuna
        from filelock import FileLock

        with FileLock(self.lock):
            study = optuna.create_study(
                study_name=name, storage=self._storage, direction="minimize", load_if_exists=True
            )
            finished: dict[Any, bool] = {}  # number -> whether it is not only there as failed
            for stored in study.get_trials(deepcopy=False):
                number = stored.user_attrs.get("upgate.number")
                finished[number] = finished.get(number, False) or stored.state.name != "FAIL"
            for trial in trials:
                is_over = trial.state in (COMPLETE, PRUNED, DIVERGED)
                if trial.number not in finished or (is_over and not finished[trial.number]):
                    study.add_trial(frozen_trial(space, trial, record=True))


def _silence() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
