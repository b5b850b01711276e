"""The texts of reports: those of `translations.yaml` beside this file."""

from pathlib import Path

from upgate.page.translations import Translator

TEXTS = Path(__file__).with_name("translations.yaml")


def report_translator(language: str) -> Translator:
    """Raises UserError for a language that there is no column for."""
    return Translator(language, TEXTS)
