"""What a command's run says of the code that ran."""

import pytest

from upgate.run import provenance
from upgate.run.provenance import KEEP_DIFF


def test_uncommitted_changes_are_a_hash_and_on_request_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = {"sha": "c0ffee", "diff": "+password = s3cret"}
    monkeypatch.setattr(provenance, "git_state", lambda: state)
    monkeypatch.delenv(KEEP_DIFF, raising=False)
    tags, texts = provenance.provenance()
    assert tags["upgate.git"] == "c0ffee" and len(tags["upgate.changed"]) == 16
    assert "s3cret" not in str(tags) + str(texts) and texts.keys() == {"versions.json"}
    monkeypatch.setenv(KEEP_DIFF, "1")
    assert provenance.provenance()[1]["uncommitted.diff"] == state["diff"]
    state["diff"] = ""
    tags, texts = provenance.provenance()
    assert tags["upgate.changed"] == "" and texts.keys() == {"versions.json"}
