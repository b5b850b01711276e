"""Does `model.skip=reference` help reviews? On validation parts only.

python bench/skip_reviews.py [corpora=generated,SST-2,MR] [seeds=0,1] [processes=1]
[data=../shared/data/sentiment] [file=runs/skip-reviews.jsonl]
resumes; prints a table in Markdown

The LSTM trains on its own loss either way, so one training gives both numbers: of the LSTM alone,
and of its sum with the linear model. The two weights of the sum are fitted on the same validation
part, which flatters the sum's loss by about 1 / n, for n reviews.
"""

import sys
from itertools import product
from pathlib import Path
from statistics import fmean

from trainings import Words, measure

from upgate.cli.arguments import read_options

FILES = {"SST-2": "sst2_sentence", "MR": "mr_rt_polarity", "ChnSentiCorp": "chnsenticorp_split"}
RECIPES = ("traditional", "upgraded")


def command(corpus: str, recipe: str, seed: str, folder: Path) -> Words:
    """The overrides of a run, at the default budget."""
    path = folder / f"{FILES.get(corpus, '')}.parquet"
    source = ("data=texts", f"data.path={path}") if corpus in FILES else ("data=reviews",)
    run = ("model.skip=reference", f"recipe={recipe}", f"seed={seed}", "threads=1")
    return ("task=sentiment", *source, *run)


def main(words: list[str]) -> None:
    asked = {
        "corpora": "generated,SST-2,MR",
        "seeds": "0,1",
        "processes": "1",
        "data": "../shared/data/sentiment",
        "file": "runs/skip-reviews.jsonl",
    }
    asked = read_options(asked, words)
    seeds, rows = asked["seeds"].split(","), list(product(asked["corpora"].split(","), RECIPES))
    listed = {row: [command(*row, seed, Path(asked["data"])) for seed in seeds] for row in rows}
    commands = [words for several in listed.values() for words in several]
    metrics = measure(commands, Path(asked["file"]), int(asked["processes"]))
    print("| corpus | recipe | linear: loss | LSTM: loss | sum: loss | linear | LSTM | sum |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for (corpus, recipe), several in listed.items():
        cells = [
            f"{fmean(metrics[words][f'val/{model}{key}'] for words in several):.4f}"
            for key, model in product(("loss", "accuracy"), ("nb_logistic/", "lstm/", ""))
        ]
        print(f"| {corpus} | {recipe} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
