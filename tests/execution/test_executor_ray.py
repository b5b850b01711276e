"""executor=ray on a cluster of two nodes, both on this machine: a worker killed -9, a run that
raises, one that diverges.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from helpers.execution import killer
from helpers.run import numbers, results, small, train
from helpers.store import fresh
from upgate.execution.ray import import_ray
from upgate.experiment.jobs import make_pair
from upgate.run.datasets import Datasets
from upgate.store.store import Store

pytestmark = [
    pytest.mark.skipif(
        find_spec("ray") is None, reason="ray is not installed: pip install 'upgate[ray]'"
    ),
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning"
    ),  # Ray leaves files and sockets of its processes to the garbage collector
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with a CPU each."""
    import_ray(None)
    from ray.cluster_utils import Cluster

    two = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    two.add_node(num_cpus=1)
    two.wait_for_nodes()
    yield two.address
    two.shutdown()


@pytest.mark.long
def test_two_nodes_answer_everything_and_tell_the_truth(
    cluster: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root, other = tmp_path / "ray" / "runs", tmp_path / "inline" / "runs"
    fresh(root)
    fresh(other)
    words = [
        "twin=false",
        "trainer.max_epochs=12",
        "data.start=2016",
        "task.target=level",
        "recipe=traditional",
    ]
    raising = make_pair([*small(*words, "optimizer.lr=0.01"), "seed=1"], Datasets(), None)[
        0
    ].spec.key
    (root / raising[:16] / "best.ckpt").mkdir(parents=True)  # its weights cannot be written
    sweep = ["optimizer.lr=0.01,1e6", "seed=0,1"]
    with killer(root, "traditional optimizer.lr=0.01 seed=0", 1) as killed:
        code, said = train(
            root, *words, *sweep, "executor=ray", f"executor.address='{cluster}'", sweep=True
        )
    told = " ".join(said.split())
    assert code == 1 and len(killed) == 1, told
    assert "optimizer.lr=0.01 seed=0: WorkerCrashedError of Ray's; it is tried once more" in told
    rows = {row.name: row for row in Store(root).rows() if not row.is_parent}
    assert {name.removeprefix("traditional "): row.status for name, row in rows.items()} == {
        "optimizer.lr=0.01 seed=0": "FINISHED",
        "optimizer.lr=0.01 seed=1": "FAILED",
        "optimizer.lr=1000000.0 seed=0": "FINISHED",
        "optimizer.lr=1000000.0 seed=1": "FINISHED",
    }
    assert said.count("failed traditional") == 1
    spans = sorted(
        (row.start.timestamp(), row.start.timestamp() + row.seconds) for row in rows.values()
    )
    assert any(
        second[0] < first[1] for first, second in pairwise(spans)
    )  # a node has one CPU: at the same time is on both
    train(other, *words, "optimizer.lr=0.01", "seed=0")
    name = "traditional optimizer.lr=0.01 seed=0"
    assert results(root)[name]["weights"] == results(other)[name]["weights"]
    assert numbers(results(root)[name]) == numbers(results(other)[name])
    out, err = capfd.readouterr()
    assert err == "" and all(
        "A worker died" in line for line in out.splitlines()
    )  # the raylet's one line on the kill
