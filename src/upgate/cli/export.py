"""`upgate export`: a run's network as a file that other programs load without this package."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from upgate.cli.help import version_line
from upgate.cli.predict import CHECKPOINT, fetch_file, find_run
from upgate.cli.texts import say
from upgate.errors import UserError
from upgate.messages import joined, shown
from upgate.model.export.network import Network
from upgate.model.export.write import CHECKED, FORMATS, TOLERANCE, export
from upgate.output import output_path, write_output
from upgate.run.checkpoint import open_checkpoint
from upgate.store.open import open_store
from upgate.store.record import Row


def export_command(words: Mapping[str, str]) -> int:
    """Write a stored run's network, and beside it what prepares its inputs; return the exit code.

    words: run=<latest, a run id or the start of a key>, to=<onnx or torch>, out=..., root=...
    Raises UserError, and leaves no file, where the file's outputs are not the network's own.
    """
    form = FORMATS[words["to"]]
    form.check()
    store = open_store(words.get("root"))
    row = find_run(store, words["run"])
    path = Path(words.get("out", f"{row.task}-{row.key[:8]}{form.suffix}"))
    if path.suffix != form.suffix:
        raise UserError(say("must_end_in", path=str(path), suffix=form.suffix))
    beside = path.with_name(f"{path.name}.json")
    for place in (path, beside):
        output_path(place)
    task, checkpoint = open_checkpoint(partial(fetch_file, store, row)(CHECKPOINT))
    network = task.export(checkpoint)
    content, difference = export(network, form)
    about = describe_file(row, network, form.about) | {"largest_difference": difference}
    write_output(beside, json.dumps(about, ensure_ascii=False, indent=1))
    write_output(path, content)
    own = {"key": row.key[:8], "name": row.name}
    print(shown(say("exported", path=str(path), beside=beside.name, **own)))
    sizes = joined([f"{batch} x {other}" for batch, other in CHECKED])
    bounds = {"difference": f"{difference:.1g}", "tolerance": f"{TOLERANCE:g}"}
    print(shown(say("read_again", sizes=sizes, **bounds)))
    return 0


def describe_file(row: Row, network: Network, form: Mapping[str, object]) -> dict[str, Any]:
    """Of what the file is, what goes in and comes out, and what prepares it."""
    return {
        "made_by": version_line(),
        "run": row.run_id,
        "key": row.key,
        "name": row.name,
        "task": row.task,
        "trained_on": row.tags.get("upgate.source"),
        **form,
        "inputs": [port.to_dict() for port in network.inputs],
        "output": network.output.to_dict(),
        **network.about,
    }
