"""The language of the terminal: how it is chosen, what it changes, and what it never does."""

import io
import sys
from pathlib import Path

import pytest

from upgate.cli.entry import main
from upgate.cli.language import choose_language

ENVIRONMENTS = {  # by POSIX the first that is set and not empty decides
    "en": ({}, {"LANG": "C.UTF-8"}, {"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}),
    "zh": ({"LANG": "zh_CN.UTF-8"}, {"LC_MESSAGES": "zh_TW", "LANG": "C"}, {"LC_ALL": "zh"},
           {"LC_ALL": "", "LANG": "zh_CN.UTF-8"}),
}  # fmt: skip


@pytest.mark.parametrize("language", ENVIRONMENTS)
def test_the_environment_names_the_language(language: str) -> None:
    for environment in ENVIRONMENTS[language]:
        assert choose_language([], environment) == language
        assert choose_language(["runs", "language=zh"], environment) == "zh"
        assert choose_language(["language=en", "runs"], environment) == "en"


def test_english_where_the_output_cannot_show_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, language in (("ascii", "en"), ("latin-1", "en"), ("gbk", "zh")):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        assert choose_language([], {"LANG": "zh_CN"}) == language


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("rns language=zh", "没有 upgate rns 这条命令，是否指 'runs'？"),
        ("language=zh runs", "x 处没有存储；请先训练：make train task=stock，或给出 root=..."),
        ("runs limt=3 language=zh", "未知的键 limt，是否指 'limit'？"),
        ("tune --y language=zh", "这里没有 --y 这个选项，是否指 '--yes'？"),
        ("train task=stok language=zh", "task=stok 不在可选之列，是否指 'stock'？"),
        ("train task=stock clip.max_norm=x clip=norm language=zh", "clip.max_norm=x 的值应为：数"),
        (
            "train clip.max_value=1 language=zh",
            "clip.max_value=1：clip=norm 的设置有：max_norm；max_value 属于 clip=value",
        ),
        ("train seed language=zh", "无法读取 seed；请写成 key=value，例如 seed=..."),
        ("train hydra.mode=x language=zh", "hydra.mode=x 不用于 Upgate：-m 运行所有组合"),
        (
            "train trainer.num_nodes=2 language=zh",
            "不能设置 trainer.num_nodes：一次运行在一台机器上训练",
        ),
        ("train data=prices language=zh", "缺少 data.path；请给它一个值，例如 data.path=..."),
        ("export run=latest to=x language=zh", "没有 to=x 这种格式；可用的有 onnx、torch"),
        ("study study=arms study.tune=x language=zh", "study.tune=x 的值应为：整数"),
        ("report study=x out=/ language=zh", "out=/ 是文件夹；请给出一个文件"),
        ("tune task=stock fold=1 language=zh", "搜索中不能给 fold=1；请用 tune.folds=3"),
        (
            "tune search=grid tune.trials=3 language=zh",
            "tune.trials 不能用于 search=grid，后者的试验次数等于网格的点数；"
            "请设置 tune.per_axis 或 tune.only",
        ),
        (
            "train task=stock layerwise=independent clip=norm language=zh",
            "layerwise=independent 在反向传播中更新，来不及得知 clip=norm 所需的整个梯度的范数；"
            "请同时用 clip=layer 或 clip=value，或用 layerwise=joint",
        ),
        ("judge data.path=x metric=a group=b baseline=c language=zh", "data.path=x 不是文件"),
        ("language=en language=zh", "language=en 和 language=zh 都设置了 language；请只给一个"),
    ],
)
def test_an_error_is_said_in_the_language_that_the_command_names(
    words: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    own = ["root=x"] if "runs" in words and "limt" not in words else []
    assert main([*words.split(), *own]) == 2
    assert capsys.readouterr().err == f"upgate: {sentence}\n"
