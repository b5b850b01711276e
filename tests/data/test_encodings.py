"""Encodings are told by the characters that they give; an unknown one is refused."""

import pytest

from upgate.data.encodings import decode
from upgate.errors import UserError

TEXTS = {
    "gb18030": ("房间很偏僻，态度差，失望", "日期,股票代码,名称,收盘价,最高价", "早餐一般 太远了"),
    "big5hkscs": ("房間很髒，態度差，失望", "日期,成交股數,成交金額,開盤價,最高價"),
    "cp932": ("部屋が汚くて最悪でした", "日付,始値,高値,安値,終値,出来高"),
    "euc_jp": ("部屋が汚くて最悪でした", "日付,始値,高値,安値,終値,出来高"),
    "cp949": (
        "영화가 정말 재미있었다",
        "날짜,종가,시가,고가,저가,거래량",
        "연기가 별로였고 지루했습니다",
    ),
    "cp1251": ("Очень хороший отель, понравилось", "Дата,Цена,Откр.,Макс.,Мин.,Объём"),
    "koi8_r": ("Очень хороший отель, понравилось",),
    "cp866": ("Ужасный сервис и грязный номер",),
    "cp1253": ("Πολύ καλό ξενοδοχείο, μας άρεσε",),
    "cp1255": ("המלון היה מצוין ונקי מאוד",),
    "cp1256": ("الفندق كان رائعا والخدمة جيدة",),
    "cp874": ("โรงแรมนี้ดีมาก อาหารอร่อย",),
    "cp1250": ("Bardzo dobry hotel, polecam każdemu, świetna obsługa", "špatný hotel, žádný"),
    "cp1254": ("Çok güzel bir otel, hizmet iyiydi ama yatak rahatsızdı",),
    "latin-1": (
        *("Très bon hôtel, déjeuner copieux à côté", "Sehr schönes Zimmer, die Größe überzeugt"),
        *("El niño comió mañana, habitación pequeña", "Hótelið var mjög gott og þjónustan góð"),
        *("a café", "only 5 £"),
    ),
    "utf-8": ("Größe 房间",),
    "utf-8-sig": ("Größe 房间",),
    "utf-16": ("Größe 房间",),
    "utf-32": ("Größe 房间",),
}


@pytest.mark.parametrize(
    ("encoding", "text"), [(name, text) for name, texts in TEXTS.items() for text in texts]
)
def test_text_of_any_country_is_read_right(encoding, text):
    assert decode(f"text,label\n{text},1\n".encode(encoding), "x.csv") == f"text,label\n{text},1\n"


def test_what_may_be_two_texts_is_refused():
    hungarian = "Nagyon jó szálloda, kiváló ételek, őszintén".encode("cp1250")
    with pytest.raises(UserError, match=r"^x.csv is not UTF-8, and its encoding is not known"):
        decode(hungarian, "x.csv")


def test_one_damaged_byte_of_utf_8_is_named_by_its_line():
    with pytest.raises(UserError, match=r"x.csv, line 2: byte 0xff is no UTF-8"):
        decode("Größe\n".encode() + b"\xff\n" + "schön über".encode(), "x.csv")
