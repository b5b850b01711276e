"""Bytes to text: UTF-8 and UTF-16 by their form, older encodings by the characters they give.

A wrong encoding rarely fails, it gives other characters. So each candidate's text is judged by the
share of its non-ASCII characters that are the commonest of the candidate's language.
"""

import codecs
import re

from upgate.data.texts import say
from upgate.errors import UserError

MARKS = (  # in this order: UTF-32's mark begins with UTF-16's
    *((mark, "utf-32") for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    *((mark, "utf-16") for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)
CJK_MARKS = "，。！？、：；（）「」…“”　"
SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行"
    "所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日很房间酒店服务"
    "差满意吃味送餐买书电非常比较感觉态度失望环境早住价格便宜太点再快员让给真"
    "期盘收最高低成交量额涨跌幅代码名称股票易证券"
)
TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行"
    "所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日很房間酒店服務"
    "差滿意吃味送餐買書電非常比較感覺態度失望環境早住價格便宜太點再快員讓給真"
    "期盤收最高低成交量額漲跌幅代碼名稱股票易證券數"
)
KANA = "".join(map(chr, (*range(0x3041, 0x3097), *range(0x30A1, 0x30FD))))
JAPANESE = f"{KANA}日付始値高安終出来銘柄"
KOREAN = (
    "이다는을가에고의은를지하한로기도사어서자리나인있그아라니해게만들정대수일시전스좋았않없요무너음보여습면안주오"
    "것같네영화최재미말진짜날짜종저거래량변동"
)
# In the order in which equal shares are believed. Letters that a neighbour's code page has in the
# place of another language's are left out, such as the Icelandic ones where Turkish has its own.
SEVERAL_BYTES = {
    "gb18030": SIMPLIFIED + CJK_MARKS,
    "big5hkscs": TRADITIONAL + CJK_MARKS,
    "cp932": JAPANESE + CJK_MARKS,
    "euc_jp": JAPANESE + CJK_MARKS,
    "cp949": KOREAN + CJK_MARKS,
}
PUNCTUATION = "’‘“”„–—…«»°€£§®™©·•\xa0"
LATIN = {
    "cp1252": "éèêëàâçùûüïîôöäßñáíóúãõœæøåðþÉÈÀÇÖÄÜÁÓÑÅØ",
    "cp1250": "ąćęłńóśźżčďěňřšťůžáéíýőűöüăâîşţŻŁŚČŠŽŘ",
    "cp1254": "ğışçöüİŞÇÖÜâ",
}
OTHER_SCRIPTS = {
    "cp1251": "оеаинтсрвлкмдпу",
    "koi8_r": "оеаинтсрвлкмдпу",
    "cp866": "оеаинтсрвлкмдпу",
    "cp1253": "αοιετσνηυρπκμλςάέήίόύώ",
    "cp1255": "יוהלאמרתבשנםד",
    "cp1256": "اليمنوتربةدعسفهكح",
    "cp874": "านรอกเงมยลวดทส่้ีัิ",
}
# Running Chinese has 30 to 50% of such characters, text of another encoding 2 to 4%.
SHARE_OF_SEVERAL, SHARE_OF_ONE = 0.15, 0.5
CLEARLY = 1.1  # the best share over the second's, where their texts differ
SAMPLE = 200_000  # bytes that are judged


def decode(content: bytes, where: str) -> str:
    """The text of a file. Raises UserError for a damaged line, and for an unknown encoding."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise UserError(
                    say(
                        "damaged_encoding",
                        where=where,
                        encoding=encoding.upper(),
                        byte=f"{error.start:,}",
                    )
                ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _check_damage(content, error, where)
    found = find_encoding(content)
    if found is None:
        raise UserError(say("unknown_encoding", where=where))
    # Windows-1252 has holes; what is left of it is repaired where texts are cleaned.
    return content.decode("latin-1" if found == "cp1252" else found, errors="replace")


def _check_damage(content: bytes, error: UnicodeDecodeError, where: str) -> None:
    """Raise UserError where most of the content is UTF-8 and some bytes are not."""
    high = len(re.findall(rb"[\x80-\xff]", content))
    wrong = len(content) - len(content.decode("utf-8", "ignore").encode())
    if wrong < high / 4:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            say("odd_byte", where=where, line=line, byte=f"{content[error.start]:#x}")
        ) from error


def find_encoding(content: bytes) -> str | None:
    """The encoding whose text looks like its language, None where none clearly does.

    Letters with accents stand singly among ASCII ones, letters of other scripts in runs.
    """
    sample = content[:SAMPLE].rpartition(b"\n")[0] if len(content) > SAMPLE else content
    runs = re.findall(rb"[\x80-\xff]+", sample)
    if not runs:
        sample, runs = content, re.findall(rb"[\x80-\xff]+", content)
    several = {name: _share(sample, name, common) for name, common in SEVERAL_BYTES.items()}
    if max(several.values()) >= SHARE_OF_SEVERAL:
        return _best(sample, several)
    latin = sum(len(run) == 1 for run in runs) > len(runs) / 2
    one_byte = LATIN if latin else OTHER_SCRIPTS
    one = {name: _share(sample, name, common + PUNCTUATION) for name, common in one_byte.items()}
    return _best(sample, one) if max(one.values()) >= SHARE_OF_ONE else None


def _share(content: bytes, encoding: str, common: str) -> float:
    """The share of the non-ASCII characters that are among the common ones; 0 for no such text."""
    errors = "strict" if encoding in SEVERAL_BYTES else "replace"
    try:
        text = content.decode(encoding, errors)
    except UnicodeDecodeError:
        return 0.0
    # The marks that open a Spanish sentence are a common letter of Polish.
    odd = re.sub(r"[\x00-\x7f]|(?<!\w)[¿¡]", "", text)
    known = set(common)
    return sum(character in known for character in odd) / max(len(odd), 1)


def _best(content: bytes, shares: dict[str, float]) -> str | None:
    """The largest share's name; None where a second gives another text that is as good."""
    best, second = sorted(shares, key=lambda name: -shares[name])[:2]
    if shares[best] >= CLEARLY * shares[second]:
        return best
    texts = [content.decode(name, "replace") for name in (best, second)]
    if texts[0] == texts[1]:
        return best
    if "cp1252" in (best, second):
        # Letters of Spanish, French and Italian that are also Central European ones; Czech and
        # Polish have others beside these.
        latin, other = texts if best == "cp1252" else texts[::-1]
        own = {a for a, b in zip(latin, other, strict=True) if a != b}
        return "cp1252" if own <= set("ñèêãò£") else None
    return None
