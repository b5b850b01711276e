"""What is said of a newcomer's files, in English where it is raised and in Chinese where shown."""

from pathlib import Path

import pytest

from upgate.data.prices.reader import read_prices
from upgate.data.reviews.reader import read_reviews
from upgate.errors import UserError
from upgate.messages import in_language

BARS = "Date,Open,High,Low,Close\n2020-01-02,1,2,1,1.5\n"
CASES = {
    "bars.csv": (
        f"{BARS}foo,1,2,1,1.5\n2020-01-06,1,2,1,1.5\n",
        ", row 3, bars foo: no date, or not in the form of the others"
        "; data.bad=drop drops such rows",
        "，第 3 行，bars foo：没有日期，或日期的写法与其他行不同；data.bad=drop 去掉这样的行",
    ),
    "close.csv": (
        "Date,Open,High,Low\n2020-01-02,1,2,1\n",
        " is no table of daily prices: it has no column for close, only "
        "'Date', 'Open', 'High', 'Low'",
        " 不是每日价格的表：缺少列 close，只有 'Date', 'Open', 'High', 'Low'",
    ),
    "empty.csv": ("", " is empty", " 是空的"),
    "database.csv": (
        "SQLite format 3\0",
        " is neither text, parquet nor feather, but an SQLite database; save it as csv",
        " 不是文本、parquet 或 feather，而是 SQLite 数据库；请存为 csv",
    ),
    "bytes.csv": (
        "\xff\x81 \x8d\x8f\x90\x9d\n" * 9,
        " is not UTF-8, and its encoding is not known; save it as UTF-8",
        " 不是 UTF-8，编码也无法识别；请存为 UTF-8",
    ),
    "reviews.csv": (
        "a,b\nhello,1\nbye,2\n",
        " has no column of texts, only 'a', 'b'; name it with data.text=..."
        ", and that of labels with data.label=...",
        " 中没有文本列，只有 'a', 'b'；请用 data.text=... 指定，标签列用 data.label=... 指定",
    ),
    "reviews_cut.csv": (
        "id,text,label\n1,good,1\n2,bad,0\n3,good,1\n4,a, b,1\n5,fine,1\n",
        ", row 5: it has 4 cells, not 3: put texts with separators or line breaks in quotes"
        "; data.bad=drop drops such rows",
        "，第 5 行：它有 4 个单元格，而不是 3 个：含有分隔符或换行的文本要放在引号里"
        "；data.bad=drop 去掉这样的行",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_cannot_be_read_is_refused_in_both_languages(name: str, tmp_path: Path) -> None:
    content, english, chinese = CASES[name]
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    read = read_reviews if name.startswith("reviews") else read_prices
    with pytest.raises(UserError) as refused:
        read(path)
    (sentence,) = refused.value.args
    assert sentence == f"{path}{english}"
    assert in_language(sentence, "zh") == f"{path}{chinese}"
