"""What the terminal says: in English wherever it is kept, in another language where it is shown.

A message is a str, and that is its English. So what is raised, stored, compared or sent to another
process is the same in every language; `shown` alone knows the language of the terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "en", "zh": "zh-Hans"}  # language -> the lang attribute of a page
ENGLISH = "en"
WORD = "language="  # what a command line begins the name of one with
TERMINAL = ContextVar("TERMINAL", default=ENGLISH)  # the language in which messages are shown

Texts = Mapping[str, Mapping[str, str]]  # key -> language -> text


class Message(str):
    """A text with its translations. texts: language -> text with `{fields}`, English at least.

    values: of the fields; a message among them is translated too.
    """

    texts: Mapping[str, str]
    values: Mapping[str, str | int]

    def __new__(cls, texts: Mapping[str, str], values: Mapping[str, str | int]) -> "Message":
        message = super().__new__(cls, texts[ENGLISH].format(**values))
        message.texts, message.values = texts, values
        return message

    def __reduce__(self) -> tuple[type["Message"], tuple[Any, ...]]:
        return Message, (self.texts, self.values)

    def in_language(self, language: str) -> str:
        """The text, in English where this language has none."""
        values = {
            name: in_language(value, language) if isinstance(value, str) else value
            for name, value in self.values.items()
        }
        return self.texts.get(language, self.texts[ENGLISH]).format(**values)


class Messages:
    """The messages of a file: `say("seed")`, `say("title", id=...)`.

    The file is read when the first is needed. A key that it has not raises KeyError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, key: str, /, **values: str | int) -> Message:
        return Message(load_texts(self.path)[key], values)

    def of(self, prefix: str, name: str) -> str:
        """The message for a name that data or a user's own code may have made; else the name."""
        key = f"{prefix}_{name.replace(' ', '_')}"
        return self(key) if key in load_texts(self.path) else name


say = Messages(Path(__file__).with_name("translations.yaml"))


def joined(parts: Sequence[str], separator: str = "list") -> Message:
    """Parts in a row. separator: the key of what stands between them."""
    values = {f"part{i}": part for i, part in enumerate(parts)}
    fields = [f"{{{name}}}" for name in values]
    return Message({lang: text.join(fields) for lang, text in say(separator).texts.items()}, values)


def shown(text: str) -> str:
    """The text in the language of the terminal; as it is, unless it is a message."""
    return in_language(text, spoken())


def in_language(text: str, language: str) -> str:
    """The text in a language; as it is, unless it is a message."""
    return text.in_language(language) if isinstance(text, Message) else text


def spoken() -> str:
    """The language of the terminal."""
    return TERMINAL.get()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Show messages in this language until the end of the context."""
    before = TERMINAL.set(language)
    try:
        yield
    finally:
        TERMINAL.reset(before)


@cache
def load_texts(path: Path) -> Texts:
    """A file of texts: for each key one text per language, with the same `{fields}`."""
    import yaml  # `upgate --version` needs none

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast
    texts: Texts = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return texts
