"""Four reviews in every form that labelled reviews come in."""

from pathlib import Path

import numpy as np
import pandas as pd

from upgate.data.reviews.table import Reviews

# Four reviews with what breaks readers: separators, quotes, a lone quote, Chinese. Every form below
# holds exactly these.
TEXTS = ['Dull, "very" dull; and slow', '"Superb" is the word', "不错，很好", 'A 5" screen, @home']
LABELS = [0, 1, 1, 0]
WORDS = ["negative", "positive", "positive", "negative"]
TABLE = pd.DataFrame({"text": TEXTS, "label": LABELS})
# Each as its source really writes it: name of the file, then its text.
FORMS = {
    "csv, quoted, label first": ("x.csv", """label,review
0,"Dull, ""very"" dull; and slow"
1,\"\"\"Superb"" is the word"
1,不错，很好
0,"A 5"" screen, @home"
"""),
    "csv, all quoted, BOM, CRLF": ("x.csv", """\ufeff"id","Comment","Sentiment"\r
"1","Dull, ""very"" dull; and slow","neg"\r
"2",\"\"\"Superb"" is the word","pos"\r
"3","不错，很好","pos"\r
"4","A 5"" screen, @home","neg"\r
"""),
    "csv with line breaks and commas inside quotes": ("x.csv", """text,label
"Dull,
""very"" dull; and
slow",0
\"\"\"Superb""
is the
word",1
不错，很好,1
"A 5"" screen,

@home",0
"""),
    "csv, backslashes": ("x.csv", r"""text,label
"Dull, \"very\" dull; and slow",0
"\"Superb\" is the word",1
不错，很好,1
"A 5\" screen, @home",0
"""),
    "csv without any quoting": ("x.csv", """sentiment,text
negative,Dull, "very" dull; and slow
positive,"Superb" is the word
positive,不错，很好
negative,A 5" screen, @home
"""),
    "glue": ("dev.tsv", """sentence\tlabel
Dull, "very" dull; and slow \t0
"Superb" is the word \t1
不错，很好 \t1
A 5" screen, @home \t0
"""),
    "reversed, CRLF": ("x.tsv", """label\tsentence\r
0\tDull, "very" dull; and slow\r
1\t"Superb" is the word\r
1\t不错，很好\r
0\tA 5" screen, @home\r
"""),
    "bert, an index, Chinese headers": ("x.tsv", """\t评论内容\t情感倾向
0\tDull, "very" dull; and slow\t消极
1\t"Superb" is the word\t正面
2\t不错，很好\t积极
3\tA 5" screen, @home\t负面
"""),
    "uci, no header, a next-line mark": ("x_labelled.txt", """Dull, "very" dull; and slow  \t0
"Superb" is the word  \t1
不错，很好\u3000\t1
A 5"\xa0screen, @home  \t0
"""),
    "financial phrasebank": ("Sentences.txt", """\ufeffDull, "very" dull; and slow@negative\r
"Superb" is the word@positive\r
不错，很好@positive\r
A 5" screen, @home@negative\r
"""),
    "sentiment140, no header, six columns": ("x.csv", """"0","1467810369","Mon","NO_QUERY","me","Dull, ""very"" dull; and slow"
"4","1467810672","Mon","NO_QUERY","me",\"\"\"Superb"" is the word"
"4","1467810917","Mon","NO_QUERY","me","不错，很好"
"0","1467811184","Mon","NO_QUERY","me","A 5"" screen, @home"
"""),  # noqa: E501
    "semicolons, html, minus one": ("x.csv", """polarity;content
-1;"Dull,<br /><br />""very"" dull; and slow"
+1;"&quot;Superb&quot; is the&nbsp;word"
+1;不错，很好
-1;"A 5&#34; <i>screen,</i>@home"
""".replace("+1", "1")),
}  # fmt: skip
FORMS["old Macintosh line ends"] = ("x.tsv", FORMS["glue"][1].replace("\n", "\r"))
SPLIT = pd.concat(
    [TABLE.assign(split="train"), TABLE.assign(split="validation"), TABLE.assign(split="test")],
    ignore_index=True,
)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(reviews: Reviews, table: pd.DataFrame = TABLE) -> bool:
    pd.testing.assert_frame_equal(reviews.table, table, check_dtype=False)
    assert reviews.table["label"].dtype == np.int64
    return (
        reviews.classes == ("negative", "positive")
        and reviews.hash() == Reviews(table, reviews.classes, "", {}).hash()
    )
