"""Numbers written in English words, up to the trillions."""

from __future__ import annotations

import re

_SMALL = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_UNITS = {word: number for number, word in enumerate(_SMALL.split())}
_DECADES = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * number for number, word in enumerate(_DECADES.split(), start=2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def read_words(text: str) -> int | None:
    """The number a text spells out (`forty-two`, `one hundred and five`).

    None when it spells none, or several.
    """
    runs: list[list[str]] = [[]]
    for word in re.findall(r"[a-z]+|[^a-z\s-]", text.lower()):
        if word in _UNITS or word in _TENS or word in _SCALES or word == "hundred":
            runs[-1].append(word)
        elif word == "and" and runs[-1] and runs[-1][-1] in {"hundred", *_SCALES}:
            continue
        elif runs[-1]:
            runs.append([])
    values = [_value(run) for run in runs if run]
    distinct = {value for value in values if value is not None}
    return distinct.pop() if len(distinct) == 1 and None not in values else None


def _value(run: list[str]) -> int | None:
    total, group, last = 0, 0, 1000
    for word in run:
        if word in _SCALES:
            total, group, last = total + max(group, 1) * _SCALES[word], 0, 1000
        elif word == "hundred":
            group, last = max(group, 1) * 100, 100
        else:
            number = _UNITS[word] if word in _UNITS else _TENS[word]
            # `twenty one` adds up; `one two` is two numbers.
            if not (last >= 100 or (20 <= last <= 90 and 0 < number < 10)):
                return None
            group, last = group + number, number
    return total + group
