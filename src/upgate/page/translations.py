"""What pages say, in English and Chinese: files of texts, each next to the code that says them.

A file holds, for each key, one text per language with the same `{fields}`.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from upgate.errors import did_you_mean, not_a_choice
from upgate.messages import LANGUAGES, Texts, in_language, load_texts

PAGE = Path(__file__).with_name("translations.yaml")


class Translator:
    """The texts of one language: `w("seed")`, `w("title", id=...)`.

    Files are read when the first text is needed. A key that no file has raises KeyError; a key in
    two files raises ValueError. Another language than `LANGUAGES` raises UserError.
    """

    def __init__(self, language: str, *paths: Path) -> None:
        if language not in LANGUAGES:
            suggestion = did_you_mean(language, LANGUAGES)
            raise not_a_choice(f"report.language={language}", suggestion)
        self.language = language
        self.html_language = LANGUAGES[language]
        self._paths = (PAGE, *paths)

    def __call__(self, key: str, **values: str | int) -> str:
        return merged(self._paths)[key][self.language].format(**values)

    def of(self, text: str) -> str:
        """A text that the terminal says too, in this language, where it is a message."""
        return in_language(text, self.language)

    def extended(self, path: Path) -> "Translator":
        """This translator with the texts of one more file, unless it has them."""
        if path in self._paths:
            return self
        return Translator(self.language, *self._paths[1:], path)

    def sentences(self, *texts: str) -> str:
        """Sentences in a row; Chinese puts no space between them. Empty ones are left out."""
        return (" " if self.language == "en" else "").join(text for text in texts if text)


@cache
def merged(paths: tuple[Path, ...]) -> Texts:
    """The texts of all files. Raises ValueError where two files have one key."""
    texts: dict[str, Mapping[str, str]] = {}
    for path in paths:
        more = load_texts(path)
        if twice := texts.keys() & more.keys():
            raise ValueError(f"{path} repeats the keys {', '.join(sorted(twice))}")
        texts.update(more)
    return texts
