"""What MLflow's own pages show of a run: its description, who made it, and by which code."""

from pathlib import Path

import pytest
import torch

from helpers.run import train
from upgate.run import provenance
from upgate.run.console_tables import summarize
from upgate.run.note import escape
from upgate.run.result import read_result
from upgate.store.record import PARAMETERS
from upgate.store.store import Store


def test_a_run_says_on_its_page_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["upgate", "train", "cache=s3://me:s3cret@host/a", "seed=0"])
    monkeypatch.setattr(provenance, "code_commit", lambda: "c0ffee")
    monkeypatch.setattr("upgate.execution.driver.code_commit", lambda: "c0ffee")
    root = tmp_path / "runs"
    assert train(root, "twin=false", "trainer.max_epochs=1")[0] == 0
    store = Store(root)
    (row,) = [one for one in store.rows() if not one.is_parent]
    alone = store.client.get_run(row.run_id).data.tags["mlflow.note.content"]
    assert escape(summarize(read_result(row, root))) in alone and "twin" not in alone
    assert train(root, "trainer.max_epochs=1")[0] == 0  # its twin comes later
    scores = {
        one.tags["upgate.recipe"]: one.metrics["test/mse_ratio"]
        for one in store.rows()
        if not one.is_parent
    }
    change = 100 * (scores["upgraded"] / scores["traditional"] - 1)
    found = f"{change:+.2f}% to" if abs(change) >= 0.005 else "within 0.01% of"
    names = {one.name for one in store.rows() if one.is_parent}  # what each command found
    assert names == {
        "compare upgraded seed=0",
        f"{found} its twin: upgraded seed=0",
    }
    for row in store.rows():
        run = store.client.get_run(row.run_id)
        tags = run.data.tags
        assert tags["mlflow.user"] == run.info.user_id == provenance.user()
        assert tags["mlflow.source.git.commit"] == "c0ffee"
        assert tags["mlflow.source.type"] == "LOCAL"
        source = tags["mlflow.source.name"]
        assert source.startswith("upgate train cache=s3://") and "s3cret" not in source
        if not row.is_parent:
            note, recipe = tags["mlflow.note.content"], row.tags["upgate.recipe"]
            lines = note.splitlines()
            cells = [len(line.split(" | ")) for line in lines if line.startswith("|")]
            assert len(cells) > 4 and len(set(cells)) == 1
            assert any(line.startswith(f"| {recipe} seed=0") for line in lines)
            assert f"{int(row.tags[PARAMETERS]):,} trained parameters" == lines[-1]
            assert recipe == "traditional" or any("difference" in line for line in lines)
            kept = torch.load(root / row.key[:16] / "best.ckpt", weights_only=True)["state_dict"]
            net = [value.numel() for name, value in kept.items() if name.startswith("net.")]
            assert int(row.tags[PARAMETERS]) == sum(net)


def test_markdown_shows_a_text_as_it_is() -> None:
    assert escape("a_b | *c*\n<d>") == r"a\_b \| \*c\* \<d\>"
