"""`upgate schema [GROUP] [out=FILE]`."""

import json
from collections.abc import Sequence

from upgate.cli.arguments import read_pairs
from upgate.cli.conf_schema import conf_schema
from upgate.output import output_path, write_output


def schema_command(words: Sequence[str], config_dir: str | None) -> int:
    """Print the schema, or write it. Raises UserError."""
    group = words[0] if words and "=" not in words[0] else None
    out = read_pairs(words[group is not None :], ("out",)).get("out")
    path = output_path(out) if out else None
    text = json.dumps(conf_schema(group, config_dir), indent=2, ensure_ascii=False)
    if path is None:
        print(text)
    else:
        write_output(path, f"{text}\n")
        print(f"wrote {out}")
    return 0
