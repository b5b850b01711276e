"""Hydra's other words: they become what Hydra makes of them, or one sentence says why not."""

from pathlib import Path
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from helpers.config import refusal
from upgate.config.choices import EXPERIMENT, choices, conf_dir
from upgate.config.compose import compose
from upgate.config.words import expand, plain_words
from upgate.errors import UserError
from upgate.study.options import OWN, read_study_options
from upgate.tasks.sentiment.article import review_studies
from upgate.tasks.stock.article import price_studies
from upgate.tune.options import OWN as TUNE
from upgate.tune.options import read_tune_options

SHIPPED = choices(EXPERIMENT)
DATA = ["data.path=mine.csv"]  # of the files that leave it to the command line


def single(*words: str, config_dir: str | None = None) -> list[str]:
    (only,) = expand(words, False, config_dir)
    return only


def hydras(*words: str) -> dict[str, Any]:
    """Hydra's own composition of our `conf/`, resolved."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose("config", list(words))
        if config.task.name == "sentiment":  # whose version of the recipe ours takes by itself
            config = hydra.compose("config", [*words, "recipe=sentiment/upgraded"])
    made: Any = OmegaConf.to_container(config, resolve=True)
    return dict(made)


def ours(*words: str) -> dict[str, Any]:
    return compose(single(*words))


@pytest.mark.parametrize("own", [[], ["init=he", "clip=value", "task.window=20"]])
@pytest.mark.parametrize("name", SHIPPED)
def test_an_experiment_is_what_hydra_makes_of_its_file(name: str, own: list[str]) -> None:
    words = [f"+experiment={name}", *(DATA if name.startswith("own") else []), *own]
    if name == "volatility" and own:  # clip=value leaves the file's clip.max_norm out
        assert "max_norm" not in ours(*words)["clip"]
        words.remove("clip=value")
    if "reviews" in name or "texts" in name:
        words = [word for word in words if word != "task.window=20"]
    assert ours(*words) == hydras(*words)


def test_the_articles_settings_are_those_that_its_study_judges() -> None:
    prices = [word for word in price_studies([])["level"] if word != "study=pair"]
    assert compose(single("+experiment=article")) == compose(["task=stock", *prices])
    (reviews,) = review_studies(["task=sentiment"]).values()
    assert compose(single("+experiment=article_reviews")) == compose(reviews)


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        (["++seed=3"], ["seed=3"]),
        (["++optimizer=adam"], ["optimizer=adam"]),
        (["+trainer.limit_train_batches=5"], ["trainer.limit_train_batches=5"]),
        (["seed=1", "~clip"], ["seed=1", "clip=none"]),
        (["~clip=norm"], ["clip=none"]),
        (["~regularization"], ["regularization=none"]),
        (["~regularization.dropout"], ["regularization=[none]"]),
        (["~stopping", "~averaging"], ["stopping=none", "averaging=none"]),
        (["+experiment=rmsprop", "seed=4"], ["task=stock", "optimizer=rmsprop", "seed=4"]),
        (
            ["+experiment=volatility", "~clip"],
            ["task=stock", "task.target=volatility", "clip=none"],
        ),
    ],
    ids=" ".join,
)
def test_what_a_word_stands_for(words: list[str], plain: list[str]) -> None:
    assert single(*words) == plain and compose(plain)


def test_one_of_several_regularizers_is_removed_and_the_others_keep_their_values(
    tmp_path: Path,
) -> None:
    (tmp_path / EXPERIMENT).mkdir()
    (tmp_path / EXPERIMENT / "three.yaml").write_text(
        "defaults:\n  - override /regularization: [l1, dropout, l2]\n"
        "regularization: {l1: {lam: 0.5}, dropout: {p: 0.25}}\n"
    )
    words = ["+experiment=three", "~regularization.dropout"]
    (made,) = expand(words, False, str(tmp_path))
    assert made == ["regularization.l1.lam=0.5", "regularization=[l1,l2]"]
    (made,) = expand([*words, "~regularization=l1"], False, str(tmp_path))
    assert made == ["regularization=[l2]"]


def test_a_sweep_over_experiments_and_pluses() -> None:
    jobs = expand(["+experiment=article,rmsprop", "++seed=0,1", "~stopping"], True)
    assert [compose(job)["seed"] for job in jobs] == [0, 1, 0, 1]
    assert [compose(job)["optimizer"]["name"] for job in jobs] == ["adamw"] * 2 + ["rmsprop"] * 2
    assert all("stopping=none" in job for job in jobs)


def test_an_experiment_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / EXPERIMENT).mkdir()
    file = tmp_path / EXPERIMENT / "mine.yaml"
    file.write_text(
        "# @package _global_\ndefaults:\n  - override /optimizer: adam\n  - _self_\n"
        'optimizer: {lr: 1e-4, betas: [0.8, 0.9]}\nroot: runs/${seed}, "mine"\n'
        "data:\n  path: ???\n"
    )
    words = ["+experiment=mine", "seed=7", "data=prices", "data.path=x.csv"]
    made = compose(single(*words, config_dir=str(tmp_path)), str(tmp_path))
    assert (made["root"], made["optimizer"]["lr"]) == ('runs/7, "mine"', 1e-4)
    assert made["optimizer"]["betas"] == [0.8, 0.9]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("defaults: [base]\n", "base in defaults is not understood; give '- override /GROUP:"),
        ("defaults:\n  - optimizer: adam\n", "in defaults is not understood"),
        ("# @package optimizer\nlr: 1\n", "an experiment is of package _global_, not optimizer"),
        ("- 1\n", "it must hold keys and values"),
        ("a: [\n", "cannot be read: "),
        ("optimzer: {lr: 1}\n", "+experiment=mine: unknown key optimzer.lr=1, did you mean"),
        ("defaults:\n  - override /optimizer: adm\n", "+experiment=mine: optimizer=adm is not a"),
        ("optimizer: {name: adam}\n", "a choice is made by its group, as in optimizer=adam"),
    ],
)
def test_a_file_that_cannot_be_is_one_sentence(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / EXPERIMENT).mkdir()
    (tmp_path / EXPERIMENT / "mine.yaml").write_text(text)
    assert told in refusal("+experiment=mine", extra=str(tmp_path))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("+experiment=artcle", "is not an experiment, did you mean 'article'?"),
        ("experiment=article", "is for upgate study; a file of words is +experiment=article"),
        ("+experiment=", "is not an experiment; there is article"),
        ("+optimizer.lr=1", "is read is there already; give optimizer.lr=1"),
        ("++sead=1", "unknown key sead=1, did you mean 'seed'?"),
        ("+trainer.limit=1", "unknown key trainer.limit=1"),
        ("~optimizer", "no run is without its optimizer; give another one, such as optimizer=sgd"),
        ("~schedule", "such as schedule=constant"),
        ("~clip=value", "~clip=value: the choice is clip=norm"),
        ("~regularization.l1", "l1 is not selected; there is regularization=[dropout]"),
        ("~seed", "a value cannot be taken away, for something reads it; give another, as in"),
        ("~clip.max_nrm", "~clip.max_nrm: unknown key clip.max_nrm, did you mean"),
        ("hydra.run.dir=x", "root=DIR"),
        ("hydra.sweep.dir=x", "root=DIR"),
        ("+hydra.launcher.n_jobs=2", "choose one, as in hydra/launcher=NAME"),
        ("~hydra.sweeper", "a plugin is chosen by hydra/launcher=NAME or hydra/sweeper=NAME"),
        ("hydra.searchpath=[x]", "--config-dir DIR"),
        ("hydra.job.chdir=true", "does not run the job"),
        ("hydra/job_logging=none", "Hydra logs nothing"),
    ],
)
def test_what_is_not_obeyed_is_refused_in_one_sentence(word: str, told: str) -> None:
    assert told in refusal(word)


def test_two_words_for_one_thing_are_refused() -> None:
    assert "both set clip" in refusal("clip=norm", "~clip")
    assert "both set seed" in refusal("seed=1", "++seed=2")
    assert "-m" in refusal("+experiment=article,rmsprop")


@pytest.mark.parametrize("name", SHIPPED)
def test_studies_and_searches_take_an_experiment_too(name: str) -> None:
    words = [f"+experiment={name}", *(DATA if name.startswith("own") else [])]
    for own, read in ((OWN, read_study_options), (TUNE, read_tune_options)):
        assert compose(read([*plain_words(words, None, own)])[1]) == ours(*words)


def test_a_studys_own_words_stay() -> None:
    words = ["study.seeds=6", "+experiment=volatility", "~clip", "experiment=article"]
    plain = plain_words(words, None, OWN)
    assert set(plain) == {"study.seeds=6", "experiment=article", "task=stock", "clip=none",
                          "task.target=volatility"}  # fmt: skip
    with pytest.raises(UserError, match=r"give study\.seeds=6"):
        plain_words(["+study.seeds=6"], None, OWN)
