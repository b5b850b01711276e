"""Bombs and links in archives are refused in one sentence; what people zip is read."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile

import pandas as pd
import pytest

from helpers.files import arrow_files
from upgate.data import archives
from upgate.data.prices.reader import read_prices
from upgate.data.reviews.reader import read_reviews
from upgate.errors import UserError

BARS = b"Date,Open,High,Low,Close,Volume\n2019-10-22,60,61,59,60.5,9\n2019-10-23,60,61,59,60,9\n"
TEXTS = b"text,label\nfine,1\nawful,0\n"


@pytest.fixture
def small_bounds(monkeypatch):
    """Bounds that a test can reach: 1 MiB, or 20 times the packed size."""
    monkeypatch.setattr(archives, "FREE", 1 << 20)
    monkeypatch.setattr(archives, "RATIO", 20)


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def make_tar(path, *infos):
    with tarfile.open(path, "w:gz") as tar:
        for info, content in infos:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def entry(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


BOMB = b"a" * (4 << 20)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("read", [read_prices, read_reviews])
def test_compressed_bombs(tmp_path, small_bounds, pack, read):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(pack(BOMB))
    with pytest.raises(UserError, match="unpacks to more than 1 MiB") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_prices, read_reviews])
def test_archives_of_bombs(tmp_path, small_bounds, read):
    tar = make_tar(tmp_path / "x.tar.gz", (entry("train.csv"), BOMB))
    zipped = make_zip(tmp_path / "x.zip", {"train.csv": BOMB})
    nested = make_zip(tmp_path / "y.zip", {"train.csv.gz": gzip.compress(BOMB)})
    for path in (tar, zipped, nested):
        with pytest.raises(UserError, match="unpacks to more than 1 MiB"):
            read(path)


def test_a_zip_that_lies_about_its_size(tmp_path, small_bounds):
    path = make_zip(tmp_path / "x.zip", {"train.csv": BOMB})
    real, said = len(BOMB).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(real, said))
    with pytest.raises(UserError):
        read_prices(path)


def test_bombs_of_columns(tmp_path, small_bounds):
    frame = pd.DataFrame({"text": ["x" * 1000] * 4000, "label": [0, 1] * 2000})
    path = tmp_path / "x.parquet"
    frame.assign(number=range(4000)).to_parquet(path, compression="gzip", use_dictionary=False)
    for name, content in arrow_files(frame, rows=4000).items():
        if not name.startswith("None"):
            (tmp_path / name).write_bytes(content)
    for path in tmp_path.iterdir():
        for read in (read_prices, read_reviews):
            with pytest.raises(UserError, match="unpacks to more than 1 MiB"):
                read(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path, kind):
    link = entry("train.csv", kind, "/etc/passwd")
    path = make_tar(tmp_path / "x.tar.gz", (entry("test.csv"), TEXTS), (link, b""))
    for read in (read_prices, read_reviews):
        with pytest.raises(UserError, match=r"holds train\.csv, a link or a device"):
            read(path)


def test_links_in_a_zip(tmp_path):
    info = zipfile.ZipInfo("train.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    for read in (read_prices, read_reviews):
        with pytest.raises(UserError, match=r"holds train\.csv, a link or a device"):
            read(tmp_path / "x.zip")


def test_zipped_and_compressed_prices_are_read(tmp_path):
    (tmp_path / "AAA.csv").write_bytes(BARS)
    plain = read_prices(tmp_path / "AAA.csv")
    make_zip(tmp_path / "AAA.zip", {"AAA.csv": BARS, "__MACOSX/._AAA.csv": b"\0"})
    make_tar(tmp_path / "x.tar.gz", (entry("AAA.csv"), BARS))
    (tmp_path / "AAA.csv.xz").write_bytes(lzma.compress(BARS))
    (tmp_path / "AAA.csv.bz2").write_bytes(bz2.compress(BARS))
    for name in ("AAA.zip", "x.tar.gz", "AAA.csv.xz", "AAA.csv.bz2"):
        assert read_prices(tmp_path / name).hash() == plain.hash(), name


FOREIGN = {
    "a workbook of Excel": b"\xd0\xcf\x11\xe0" + bytes(99),
    "a PDF": b"%PDF-1.7\n",
    "a feather file of version 1": b"FEA1\0\0\0\0",
    "a pickle": b"\x80\x04\x95" + bytes(20),
    "a picture": b"\x89PNG\r\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_files_are_named(tmp_path, kind):
    path = tmp_path / "x.csv"
    path.write_bytes(FOREIGN[kind])
    for read in (read_prices, read_reviews):
        with pytest.raises(UserError, match=f"neither text, parquet nor feather, but {kind}"):
            read(path)


def test_a_path_from_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path))
    (tmp_path / "AAA.csv").write_bytes(BARS)
    (tmp_path / "x.csv").write_bytes(TEXTS)
    assert len(read_prices("~/AAA.csv").table) == 2
    assert len(read_reviews("~/x.csv").table) == 2
