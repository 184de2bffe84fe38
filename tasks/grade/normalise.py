"""One normal form of short texts, for `exact` and `token_f1`.

SQuAD's (Rajpurkar et al. 2016): lower case, no punctuation, no articles, single blanks. Two
additions, because `-2` must not equal `2`, nor `1.5` equal `15`: inside numbers the sign, the
decimal point and the signs `/ : -` stay, and thousands separators go. Accents on Latin letters go.
"""

from __future__ import annotations

import json
import re
import unicodedata

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ACCENTS = re.compile(r"[\u0300-\u036f]")
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_KEPT = re.compile(r"(?<![^\s(\[$€£¥])-(?=\.?\d)|(?<=\d)[-.:/,](?=\d)|(?<!\d)\.(?=\d)")


def normalise(text: str) -> str:
    """The normal form; of a text that is nothing but punctuation or an article, itself."""
    folded = _ACCENTS.sub("", unicodedata.normalize("NFD", text.casefold()))
    folded = unicodedata.normalize("NFC", _DASHES.sub("-", folded))
    folded = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), folded)
    kept = {match.start() for match in _KEPT.finditer(folded)}
    bare = "".join(
        character
        for at, character in enumerate(folded)
        if at in kept or not _is_punctuation(character)
    )
    return " ".join(_ARTICLES.sub(" ", bare).split()) or " ".join(folded.split())


def accepted_answers(reference: str) -> list[str]:
    """The accepted strings of a reference: a JSON list of strings, or the reference itself."""
    if reference.lstrip().startswith("["):
        try:
            values = json.loads(reference)
        except ValueError:
            return [reference]
        if isinstance(values, list) and values and all(isinstance(v, str) for v in values):
            return values
    return [reference]


def _is_punctuation(character: str) -> bool:
    # Symbols that ASCII counts as punctuation ($, +, <, …) go as in SQuAD; ² and € are kept.
    if character.isascii():
        return not (character.isalnum() or character.isspace())
    return unicodedata.category(character).startswith("P")
