"""The studies of docs/results/studies.md and headline.md, on real data: each is one `upgate study`
command, and this runs those that are asked for.

python bench/study_results.py [page=headline] [studies=sst2-arms,mr-arms] [processes=1]
[data=../shared/data] [root=runs/studies] [out=docs/results]

Resumes. Writes <page>.md, and studies/<name>.html, the report page of each. Budgets are small, as
each command says, so that all are done in a few hours of one core: a verdict holds for its own
budget.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import wrap

from headline_beside import beside_har, lstm_alone

from upgate.cli.arguments import read_options
from upgate.serialization import from_json
from upgate.study.result import StudyResult
from upgate.study.text import format_score, metric_name, verdict_cells

Asked = Mapping[str, str]

TICKERS = (
    "data=prices data.path={data}/stock/us_daily_long_adj.parquet"
    " data.tickers=[AAPL,MSFT,XOM,KO,PG,GE,IBM,SPY] data.start=2012"
)
STOCK = f"task=stock {TICKERS} split=walk_forward model.hidden_size=32 trainer.max_epochs=4"
SST2 = "task=sentiment data=texts data.path={data}/sentiment/sst2_sentence.parquet"
CHINESE = (
    "task=sentiment data=texts data.path={data}/sentiment/chnsenticorp_split.parquet"
    " task.max_tokens=128 trainer.max_epochs=5"
)
IMDB = (
    "task=sentiment data=imdb data.path={data}/sentiment/imdb_50k.parquet data.subset=5000"
    " task.max_tokens=256 trainer.max_epochs=4"
)
ARMS = (  # the baseline, its optimizer alone changed, and the whole upgrade, which is asked about
    'study=arms "study.arms=[traditional,traditional optimizer=adamw,upgraded]"'
    " study.primary=upgraded study.rates=given"
)
ONE_LOOK = f"{ARMS} study.seeds=12 study.looks=[12]"
FIRST_LOOK = f"{ARMS} study.seeds=6 study.looks=[6,12] study.aa=false"  # of two
BOTH_LOOKS = FIRST_LOOK.replace("seeds=6", "seeds=12")
PANEL = (
    "task=stock data=prices data.path={data}/stock/us_daily_long_adj.parquet data.tickers=[AAPL,"
    "AMD,AMZN,DIS,GE,GOOGL,GSPC,IBM,IWM,JPM,KO,MCD,MSFT,NFLX,NVDA,PG,QQQ,SPY,WMT,XOM]"
    " data.start=2005 split=walk_forward split.folds=8 split.test=0.374 task.window=22"
    " model.hidden_size=32 model.num_layers=1 batch_size=256 trainer.max_epochs=4"
)
REFIT = "split.refit=true stopping=none"  # the validation part too, for a chosen number of steps
TEXTS = "task=sentiment data=texts data.path={data}/sentiment"
HEADLINE = {  # eight yearly test blocks of twenty tickers, and the defaults on texts
    "volatility-arms": f"{FIRST_LOOK} task.target=volatility task.features=market {PANEL}",
    "volatility-refit-arms": (
        f"{FIRST_LOOK} task.target=volatility task.features=market {PANEL} {REFIT}"
    ),
    "return-arms": f"{FIRST_LOOK} task.target=return {PANEL}",
    "sst2-arms": f"{ONE_LOOK} {SST2}",
    "mr-arms": f"{BOTH_LOOKS} {TEXTS}/mr_rt_polarity.parquet split.test=0.1",
    "chnsenticorp-arms": f"{BOTH_LOOKS} {TEXTS}/chnsenticorp_split.parquet task.max_tokens=128",
    "imdb-arms": (  # half the tokens and half the epochs of the defaults, on all reviews
        f"{FIRST_LOOK} {TEXTS}/imdb_50k.parquet task.max_tokens=256 trainer.max_epochs=4"
    ).replace("=texts", "=imdb"),
    "sst2-tuned-arms": f"{BOTH_LOOKS} study.tune=20 {SST2}",
    "phrases-arms": (  # made by bench/sst2_phrases.py
        f"{FIRST_LOOK} task=sentiment data=texts data.path=runs/sst2_phrases.parquet"
    ),
    "waimai-arms": (  # meals delivered, reviewed in Chinese: SophonPlus/ChineseNlpCorpus @ a0b781d
        f"{BOTH_LOOKS} task=sentiment data=texts data.path=runs/waimai_10k.csv"
    ),
}
SMALL = {  # name -> the words of its command; six seeds
    "volatility": f"study=pair task.target=volatility {STOCK}",
    "volatility-parts": f"study=parts task.target=volatility {STOCK}",
    "volatility-factorial": f"study=factorial task.target=volatility study.folds=[0] {STOCK}",
    "volatility-parts-fold": f"study=parts task.target=volatility study.folds=[0] {STOCK}",
    "chnsenticorp": f"study=pair {CHINESE}",
    "chnsenticorp-parts": f"study=parts {CHINESE}",
    "sst2": f"study=pair {SST2}",
    "sst2-parts": f"study=parts {SST2}",
    "return": f"study=pair task.target=return {STOCK}",
    "level": f"study=pair task.target=level {STOCK}",
    "imdb": f"study=pair {IMDB} trainer.precision=bf16-mixed",
}
TITLES = {
    "headline": "Three recipes: traditional, its optimizer alone changed, and upgraded",
    "studies": "Studies on real data",
}
INTROS = {
    "headline": (
        "Is the upgrade worth more than its optimizer? Three recipes, each at the learning rate of"
        " one search, on the same seeds. Effect: the arm's metric against the baseline's, over"
        " seeds and test data together. A verdict holds for the budget that its command says."
    ),
    "studies": (
        "Effect: the arm's metric against the baseline's, paired by seed and fold. A share is what"
        " a part brings to the whole difference (Shapley value); all shares add up to the whole."
        " Budgets are small, as each command says: a verdict holds for its own."
    ),
}
WIDTH = 150
PAGES = {
    "headline": HEADLINE,
    "studies": {name: f"{words} study.seeds=6" for name, words in SMALL.items()},
}


def command(name: str, asked: Asked) -> list[str]:
    """What is typed after `upgate`."""
    words = shlex.split(PAGES[asked["page"]][name].format(data=asked["data"]))
    return [
        "study",
        "--yes",
        *words,
        "threads=1",
        f"root={asked['root']}/{name.partition('-')[0]}",
    ]


def run(name: str, asked: Asked) -> int:
    """One study in a process of its own, and its page; the exit code."""
    folder = Path(asked["out"]) / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    words, upgate = command(name, asked), [sys.executable, "-m", "upgate.cli"]
    with (Path(asked["root"]) / f"{name}.log").open("w") as log:
        code = subprocess.run([*upgate, *words], stdout=log, stderr=subprocess.STDOUT).returncode
    print(f"{name}: exit code {code}", flush=True)
    if code == 0:
        page = folder / f"{name}.html"
        subprocess.run(
            [*upgate, "report", f"study={study_id(words)}", f"out={page}", words[-1]], check=True
        )
    return code


def root_of(words: list[str]) -> Path:
    return Path(words[-1].removeprefix("root="))


def study_id(words: list[str]) -> str:
    """The id that the command's study got: of the store's studies, the one with these words."""
    for path in root_of(words).glob("studies/*/study.json"):
        if json.loads(path.read_text())["words"] == words[2:]:
            return path.parent.name
    raise SystemExit(f"no study in {words[-1]} has the words {' '.join(words)}")


def result(name: str, asked: Asked) -> StudyResult | None:
    """What a finished study found; None where it is not done."""
    words = command(name, asked)
    for path in root_of(words).glob("studies/*/result.json"):
        found = from_json(StudyResult, path.read_text())
        if found.study.overrides == words[2:]:
            return found
    return None


def section(name: str, found: StudyResult, asked: Asked) -> list[str]:
    """A study as a table: A/A first, then the arms, the references, and each part's share."""
    study, shown = (
        found.study,
        shlex.join(word for word in command(name, asked) if not word.startswith("root=")),
    )
    arms = [("A/A", found.aa)] if found.aa else []
    arms += [(one.arm, one) for one in found.verdicts] + [
        (f"share of {one.arm}", one) for one in found.parts
    ]
    unit = "%" if study.unit == "%" else "points"
    rows = [f"| {arm} | {' | '.join(verdict_cells(study, one))} |" for arm, one in arms]
    rows += [
        f"| {reference} | {format_score(value)} | | | reference |"
        for reference, value in sorted(found.references.items())
    ]
    rows.insert(
        len(arms) - len(found.parts),
        f"| {study.baseline} | {format_score(found.baseline_score)} | | | baseline |",
    )
    runs = sum(len(keys) for keys in study.keys.values())
    return [
        f"## {name}\n\n`upgate {shown.replace(asked['data'], '../shared/data')}`\n",
        f"{found.sentence}\n",
        (
            f"{runs} runs, {found.seconds / 60:.0f} minutes of training; [the"
            f" page](studies/{name}.html).\n"
        ),
        (
            f"| arm | {metric_name(study)} | effect, {unit} [{100 * (1 - study.level):.1f}%"
            " interval] | Holm p | verdict |\n|---|--:|--:|--:|---|"
        ),
        *rows,
        "",
        *lstm_alone(found, root_of(command(name, asked))),
        *beside_har(found, root_of(command(name, asked))),
    ]


def write(asked: Asked) -> None:
    """The page of all studies that are done."""
    page = asked["page"]
    made = f"Made by `python bench/study_results.py page={page}` (resumes). {INTROS[page]}\n"
    lines = [f"# {TITLES[page]}\n", *wrap(made, WIDTH), ""]
    for name in PAGES[asked["page"]]:
        if found := result(name, asked):
            lines += section(name, found, asked)
    (Path(asked["out"]) / f"{asked['page']}.md").write_text("\n".join(lines), encoding="utf-8")


def main(words: list[str]) -> None:
    asked = {
        "page": "headline",
        "studies": "",
        "processes": "1",
        "data": "../shared/data",
        "root": "runs/studies",
        "out": "docs/results",
    }
    asked = read_options(asked, words)
    names = asked["studies"] or ",".join(PAGES[asked["page"]])
    Path(asked["root"]).mkdir(parents=True, exist_ok=True)
    lanes: dict[Path, list[str]] = {}  # studies that share runs go one after the other
    for name in names.split(","):
        lanes.setdefault(root_of(command(name, asked)), []).append(name)
    with ThreadPoolExecutor(int(asked["processes"])) as pool:
        list(pool.map(lambda lane: [run(name, asked) for name in lane], lanes.values()))
    write(asked)


if __name__ == "__main__":
    main(sys.argv[1:])
