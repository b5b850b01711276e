"""SST-2 with its phrases as one labelled table: GLUE's training phrases and the official validation
and test sentences.

python bench/sst2_phrases.py [data=../shared/data] [out=runs/sst2_phrases.parquet]
"""

import sys
from pathlib import Path

import pandas as pd

from upgate.cli.arguments import read_options


def main(words: list[str]) -> None:
    asked = read_options({"data": "../shared/data", "out": "runs/sst2_phrases.parquet"}, words)
    folder = Path(asked["data"]) / "sentiment"
    phrases = pd.read_parquet(folder / "sst2_glue.parquet")
    sentences = pd.read_parquet(folder / "sst2_sentence.parquet")
    kept = [phrases[phrases["split"] == "train"], sentences[sentences["split"] != "train"]]
    table = pd.concat(kept)[["split", "sentence", "label"]].astype({"label": int})
    Path(asked["out"]).parent.mkdir(parents=True, exist_ok=True)
    table.rename(columns={"sentence": "text"}).to_parquet(asked["out"], index=False)
    print(table["split"].value_counts().to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
