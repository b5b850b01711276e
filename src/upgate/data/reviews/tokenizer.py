"""Reviews to token ids: a tokenizer, a flat corpus kept on disk, batches cut out of it.

A tokenizer is fitted on the training part only. It is the JSON of a Rust `tokenizers` Tokenizer,
with no step that looks across a blank: so the tokens of a text are those of the pieces between its
blanks, one after the other. `tokenize` relies on this: each different piece is encoded once.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from upgate.data.texts import say
from upgate.errors import UserError
from upgate.files import is_kept, write_atomic

Kind = Literal["words", "subwords"]
Keep = Literal["head", "tail", "both"]

PADDING, UNKNOWN = 0, 1
SPECIAL = ["[PAD]", "[UNK]"]

# A word keeps its 't: "don't" is one token, as frequent negations should be, and so is the "n't" of
# texts split beforehand, like SST's. The other short forms are tokens of their own: of the 30,000
# words of IMDb 28 have an apostrophe, not 1,393 like "movie's". Each mark is a token: ! and ? tell
# a mood. After NFKC the full-width ones of Chinese are the same tokens. Emoji are tokens, private
# ones too.
WORD = r"[\p{L}\p{M}\p{N}]+(?:'t\b)?|'(?:s|m|d|re|ve|ll)\b|[^\s\p{Cc}\p{Cf}]"


def cached_tokenizer(texts: Sequence[str], kind: Kind, size: int, folder: Path) -> str:
    """`fit_tokenizer`, kept in `folder` under the sha256 of all that decides the result.

    The rules of today's code and the library's version are part of it. A damaged file is made
    again. Raises UserError as `fit_tokenizer`, and if it cannot be stored.
    """
    unfitted, _, _ = KINDS[kind](size)
    key = _key(f"{tokenizers.__version__} {SPECIAL} {unfitted.to_str()}", texts, f"{size}")
    path = folder / f"{key}.tokenizer.json"
    if is_kept(path):
        return path.read_text("utf-8")
    fitted = fit_tokenizer(texts, kind, size)
    _store({path: lambda file: file.write(fitted.encode())})
    return fitted


def fit_tokenizer(texts: Sequence[str], kind: Kind, size: int) -> str:
    """The JSON of a tokenizer of at most `size` tokens, fitted on these texts only.

    PADDING and UNKNOWN are among the tokens. words: the most frequent lower-cased words, marks and
    single Chinese characters; of equally frequent ones the first by code point. subwords: byte-pair
    encoding over the UTF-8 bytes of lower-cased words that remember the blank before them, and of
    Chinese phrases; nothing is unknown to it. Both depend on the texts alone, not on threads,
    hashes or the machine. Raises UserError if `size` is too small for the fixed tokens.
    """
    tokenizer, trainer, least = KINDS[kind](size)
    if size < least:
        raise UserError(say("vocabulary_too_small", size=size, kind=kind, least=least))
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    fitted = json.loads(tokenizer.to_str())
    fitted["added_tokens"] = []  # else a review that holds the letters [PAD] would hold the token
    return json.dumps(fitted, ensure_ascii=False)


def _word_tokenizer(size: int) -> tuple[Tokenizer, Any, int]:
    tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence(_normalizers(characters=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, special_tokens=SPECIAL, show_progress=False
    )
    return tokenizer, trainer, len(SPECIAL) + 1


def _subword_tokenizer(size: int) -> tuple[Tokenizer, Any, int]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [*_normalizers(characters=False), normalizers.Prepend(" ")]
    )
    split = pre_tokenizers.Split(Regex(f" ?(?:{WORD})"), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    # Bytes, not characters: an alphabet of characters that must be cut is cut at random among the
    # equally rare (tokenizers 0.23).
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    return tokenizer, trainer, len(SPECIAL) + len(alphabet)


KINDS = {"words": _word_tokenizer, "subwords": _subword_tokenizer}


def _normalizers(characters: bool) -> list[Any]:
    # Not clean_text: it takes private characters, which shops use as emoji, and those newer than
    # its tables for control characters.
    bert = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=characters, strip_accents=False, lowercase=True
    )
    return [normalizers.Replace(Regex("[‘’´`]"), "'"), normalizers.NFKC(), bert]


def vocabulary_size(tokenizer: str) -> int:
    """The number of token ids, PADDING and UNKNOWN among them."""
    return int(Tokenizer.from_str(tokenizer).get_vocab_size())


@dataclass(frozen=True, eq=False)
class Corpus:
    """The tokens of n texts in sequence: those of text i are tokens[ends[i]:ends[i + 1]].

    Each text has at least one token.
    """

    # (total,); memory-mapped if it came from the cache: private, the file is never written
    tokens: NDArray[np.int32]
    ends: NDArray[np.int64]  # (n + 1,)

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each text, (n,) int64."""
        return torch.from_numpy(np.diff(self.ends))


def tokenize(
    tokenizer: str,
    texts: Sequence[str],
    max_tokens: int,
    folder: Path | None,
    keep: Keep = "head",
) -> Corpus:
    """At most `max_tokens` token ids of each text; UNKNOWN alone where no token is known.

    keep: of a longer text the first ones (head), the last ones (tail), or a quarter from its head
    and the rest from its tail (both), as Sun et al. 2019 (arXiv:1905.05583) found best for IMDb.

    They are kept in `folder` under the sha256 of all inputs, and read from there memory-mapped;
    without a folder they stay in memory. Damaged ones are made again. Raises UserError if they
    cannot be stored.
    """
    if folder is None:
        return _encode(tokenizer, texts, max_tokens, keep)
    key = _key(tokenizer, texts, f"{max_tokens} {keep}")
    tokens, ends = folder / f"{key}.tokens.npy", folder / f"{key}.ends.npy"
    if not all([is_kept(tokens), is_kept(ends)]):
        corpus = _encode(tokenizer, texts, max_tokens, keep)
        _store(
            {
                tokens: lambda file: np.save(file, corpus.tokens),
                ends: lambda file: np.save(file, corpus.ends),
            }
        )
    # "c": torch warns of arrays that must not be written.
    return Corpus(np.load(tokens, mmap_mode="c"), np.load(ends))


def _store(files: Mapping[Path, Callable[[BinaryIO], object]]) -> None:
    """Write files of one folder, each with its hash. Raises UserError where that cannot be."""
    for path, write in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, write, hashed=True)
        except OSError as error:
            raise UserError(
                say(
                    "tokens_unwritable", folder=str(path.parent), cause=f"{error.strerror or error}"
                )
            ) from error


def _encode(tokenizer: str, texts: Sequence[str], max_tokens: int, keep: Keep) -> Corpus:
    """Encode each different piece between blanks once.

    IMDb's 11.6 million pieces are 410,000 different ones.
    """
    pieces = list({piece for text in texts for piece in text.split(" ")})
    encoded = Tokenizer.from_str(tokenizer).encode_batch_fast(pieces, add_special_tokens=False)
    ids = dict(zip(pieces, (piece.ids for piece in encoded), strict=True))

    def encode(text: str) -> NDArray[np.int32]:
        found = chain.from_iterable(map(ids.__getitem__, text.split(" ")))
        tokens = cut_text(list(found), max_tokens, keep)
        known = max(tokens, default=UNKNOWN) > UNKNOWN
        return np.array(tokens if known else [UNKNOWN], np.int32)

    parts = [encode(text) for text in texts]
    return Corpus(np.concatenate(parts), np.cumsum([0, *map(len, parts)], dtype=np.int64))


def token_spans(
    tokenizer: str, texts: Sequence[str], max_tokens: int, keep: Keep = "head"
) -> list[list[tuple[int, int]]]:
    """Where each of the tokens that `tokenize` keeps of a text stands in it: (start, end).

    In order; several tokens of one character, such as bytes or those of ½, have the same place.
    """
    fitted = Tokenizer.from_str(tokenizer)

    def find(text: str) -> list[tuple[int, int]]:
        places, ids, start = [], [], 0
        for piece in text.split(" "):
            encoded = fitted.encode(piece, add_special_tokens=False)
            places += [(start + first, start + last) for first, last in encoded.offsets]
            ids += encoded.ids
            start += len(piece) + 1
        kept = cut_text(list(range(len(ids))), max_tokens, keep)
        known = max((ids[i] for i in kept), default=UNKNOWN) > UNKNOWN
        return [places[i] for i in kept] if known else [(0, len(text))]

    return [find(text) for text in texts]


def cut_text(tokens: list[int], most: int, keep: Keep) -> list[int]:
    """At most so many of a text's tokens."""
    if len(tokens) <= most:
        return tokens
    head = {"head": most, "tail": 0, "both": most // 4}[keep]
    return tokens[:head] + tokens[len(tokens) - (most - head) :]


def _key(tokenizer: str, texts: Sequence[str], limit: str) -> str:
    def parts() -> Iterator[bytes]:
        yield f"{limit} {len(tokenizer)} ".encode()
        for text in (tokenizer, *texts):
            content = text.encode()
            # so that no two lists of texts run together to the same bytes
            yield f"{len(content)} ".encode()
            yield content

    digest = hashlib.sha256()
    for part in parts():
        digest.update(part)
    return digest.hexdigest()


def token_batches(corpus: Corpus, labels: Tensor) -> Callable[[Tensor], dict[str, Tensor]]:
    """A function of rows (B,) -> {"x": (B, T), "lengths": (B,), "y": (B,), "row": (B,)}, int64.

    T is the batch's longest; to the right of a shorter text there is PADDING.
    """
    tokens, ends = torch.from_numpy(corpus.tokens), torch.from_numpy(corpus.ends)

    def batch(rows: Tensor) -> dict[str, Tensor]:
        start = ends[rows]
        lengths = ends[rows + 1] - start
        step = torch.arange(int(lengths.max()))  # (T,)
        # Beyond a text's end: the next text's tokens.
        x = tokens[(start[:, None] + step).clamp_(max=len(tokens) - 1)]
        x = x.long().masked_fill_(step >= lengths[:, None], PADDING)
        return {"x": x, "lengths": lengths, "y": labels.index_select(0, rows), "row": rows}

    return batch
