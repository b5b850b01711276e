"""A judgement as people see it: the findings with their sentence, picture, page and JSON."""

from dataclasses import asdict
from functools import cached_property
from html import escape

from upgate.page.translations import Translator
from upgate.referee.judgement import Findings, combined_dict, json_records
from upgate.referee.page import judgement_page
from upgate.referee.picture import forest_svg
from upgate.referee.text import judgement_sentence
from upgate.referee.texts import TEXTS
from upgate.serialization import to_json


class Judgement(Findings):
    """The answer to a question. A notebook shows the sentence, the picture and the table."""

    @property
    def sentence(self) -> str:
        return self.say("en")

    def say(self, language: str) -> str:
        """The finding and what it stands on. Raises UserError for a language not there."""
        return judgement_sentence(self, Translator(language, TEXTS))

    @cached_property
    def figure(self) -> str:
        """The effects with their intervals and one dot per unit, as one SVG."""
        return forest_svg(self)

    def page(self, language: str = "en") -> str:
        """One HTML file, without network or script."""
        return judgement_page(self, language)

    def _repr_html_(self) -> str:
        table = self.verdicts.to_html(index=False, float_format="{:.4g}".format)
        return f"<p>{escape(self.sentence)}</p>{self.figure}{table}"

    def to_json(self) -> str:
        """Everything as JSON: question, sentence, verdicts, reliability, differences."""
        return to_json(
            {
                "question": asdict(self.question),
                "design": self.design,
                "smallest_effect": self.smallest_effect,
                "sentence": self.sentence,
                "verdicts": json_records(self.verdicts),
                "reliability": json_records(self.reliability),
                "differences": {arm.name: arm.differences for arm in self.arms},
                "datasets": {
                    arm.name: combined_dict(arm.combined) for arm in self.arms if arm.combined
                },
            }
        )
