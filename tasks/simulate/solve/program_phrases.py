"""What programming questions say, and the Python that does it, rightly and with a usual mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """One step: how it is said, the line that does it, the line that nearly does."""

    pattern: re.Pattern[str]
    code: str
    slip: str = ""


@dataclass(frozen=True, slots=True)
class PieceOfCode:
    """A whole task: how it is said, the body, bodies with a mistake; {a}, {b} are arguments."""

    pattern: re.Pattern[str]
    body: str
    slips: tuple[str, ...]


def _step(said: str, code: str, slip: str = "") -> Phrase:
    return Phrase(re.compile(said, re.IGNORECASE), code, slip)


def _keep(said: str, condition: str, slip: str = "") -> Phrase:
    line = "result = [x for x in result if {}]"
    return _step(said, line.format(condition), line.format(slip) if slip else "")


def _each(said: str, value: str, slip: str = "") -> Phrase:
    line = "result = [{} for x in result]"
    return _step(said, line.format(value), line.format(slip) if slip else "")


_UNIQUE = "result = list(dict.fromkeys(result))"
_K = r"(?P<k>\d+)"
STEPS: dict[str, tuple[Phrase, ...]] = {
    "numbers": (
        _keep(r"only the even numbers|drops every odd", "x % 2 == 0", "x % 2"),
        _keep(r"only the odd numbers|drops every even", "x % 2 == 1", "x % 2 == 0"),
        _keep(rf"numbers greater than {_K}", "x > {k}", "x >= {k}"),
        _keep(rf"discards numbers up to and including {_K}", "x > {k}", "x >= {k}"),
        _keep(rf"numbers smaller than {_K}", "x < {k}", "x <= {k}"),
        _keep(rf"discards numbers of {_K} or more", "x < {k}", "x <= {k}"),
        _keep(rf"(?:divisible by|multiples of) {_K}", "x % {k} == 0", "x % {k}"),
        _each(r"squares each number|by its square", "x * x", "x * 2"),
        _each(rf"adds {_K} to each", "x + {k}", "x + {near}"),
        _each(rf"raises each number by {_K}", "x + {k}", "x * {k}"),
        _each(rf"multiplies each number by {_K}", "x * {k}", "x + {k}"),
        _each(rf"by a factor of {_K}", "x * {k}", "x ** {k}"),
        _each(r"absolute value of each", "abs(x)", "-x"),
        _step(r"ascending order|smallest numbers first", "result = sorted(result)",
              "result = sorted(result, reverse=True)"),
        _step(r"descending order|largest numbers first", "result = sorted(result, reverse=True)",
              "result = sorted(result)"),
        _step(r"reverses the list|turns the list around", "result = result[::-1]",
              "result = sorted(result, reverse=True)"),
        _step(r"removes duplicates|each value only once", _UNIQUE, "result = sorted(set(result))"),
        _step(rf"(?:drops|skips) the first {_K} entries", "result = result[{k}:]",
              "result = result[{near}:]"),
        _step(rf"at most the first {_K} entries", "result = result[:{k}]",
              "result = result[:{near}]"),
    ),
    "text": (
        _step(r"reverses it|reads it backwards", "result = result[::-1]"),
        _step(r"(?:converts|makes) it (?:to )?upper case", "result = result.upper()",
              "result = result.title()"),
        _step(r"(?:converts|makes) it (?:to )?lower case", "result = result.lower()"),
        _step(r"swaps upper and lower case", "result = result.swapcase()",
              "result = result.upper()"),
        _step(r"(?:removes|strips out) (?:all|every) vowels?",
              "result = ''.join(c for c in result if c.lower() not in 'aeiou')",
              "result = ''.join(c for c in result if c not in 'aeio')"),
        _step(r"(?:removes|strips out) (?:all|every) spaces?", "result = result.replace(' ', '')",
              "result = result.strip()"),
        _step(r"every space by an underscore", "result = result.replace(' ', '_')",
              "result = result.replace(' ', '_', 1)"),
        _step(rf"(?:drops|skips) the first {_K} characters", "result = result[{k}:]",
              "result = result[{near}:]"),
        _step(r"every second character", "result = result[::2]", "result = result[1::2]"),
    ),
    "words": (
        _keep(rf"words longer than {_K}", "len(x) > {k}", "len(x) >= {k}"),
        _keep(rf"words of at most {_K}", "len(x) <= {k}", "len(x) < {k}"),
        _each(r"reverses each word|each word backwards", "x[::-1]"),
        _each(r"capitalises each word", "x.capitalize()", "x.upper()"),
        _each(r"each word to upper case", "x.upper()", "x.capitalize()"),
        _step(r"alphabetically|alphabetical order", "result = sorted(result)",
              "result = sorted(result, key=str.lower)"),
        _step(r"reverses the order of the words", "result = result[::-1]",
              "result = sorted(result, reverse=True)"),
        _step(r"sorts the words by length", "result = sorted(result, key=len)",
              "result = sorted(result, key=len, reverse=True)"),
        _step(r"removes repeated words", _UNIQUE, "result = sorted(set(result))"),
    ),
}  # fmt: skip
ENDS: dict[str, tuple[Phrase, ...]] = {
    "numbers": (
        _step(r"returns the resulting list|gives back the list", "return result"),
        _step(r"returns their sum|returns the total", "return sum(result)", "return len(result)"),
        _step(r"returns how many are left|returns the count", "return len(result)",
              "return len(result) - 1"),
        _step(r"returns the largest one", "return max(result, default=0)", "return max(result)"),
        _step(r"returns the smallest one", "return min(result, default=0)", "return min(result)"),
        _step(r"returns the product",
              "product = 1\n    for x in result:\n        product *= x\n    return product",
              "product = 0\n    for x in result:\n        product *= x\n    return product"),
    ),
    "text": (
        _step(r"returns the resulting string|gives back the string", "return result"),
        _step(r"returns its length|the number of characters", "return len(result)",
              "return len(result) - 1"),
        _step(r"how many different characters", "return len(set(result))", "return len(result)"),
        _step(r"how many vowels", "return sum(c.lower() in 'aeiou' for c in result)",
              "return sum(c in 'aeio' for c in result)"),
        _step(r"whether it reads the same backwards", "return result == result[::-1]",
              "return result == sorted(result)"),
    ),
    "words": (
        _step(r"joined by single spaces|joins them with spaces", "return ' '.join(result)",
              "return ''.join(result)"),
        _step(r"joined by hyphens", "return '-'.join(result)", "return ' '.join(result)"),
        _step(r"returns the list of words", "return result"),
        _step(r"returns the number of words", "return len(result)", "return len(set(result))"),
        _step(r"total number of letters", "return sum(len(x) for x in result)",
              "return len(' '.join(result))"),
        _step(r"first letters as one string", "return ''.join(x[0] for x in result)",
              "return ' '.join(x[0] for x in result)"),
    ),
}  # fmt: skip


def _piece(said: str, body: str, *slips: str) -> PieceOfCode:
    return PieceOfCode(re.compile(said, re.IGNORECASE), body, slips)


_RUNS = (
    "result, place = '', 0\nwhile place < len({a}):\n    end = place\n"
    "    while end < len({a}) and {a}[end] == {a}[place]:\n        end += 1\n"
    "    result += {a}[place] + str(end - place)\n    place = end\nreturn result"
)
_SHIFT = (
    "result = ''\nfor c in {a}:\n    if c.isalpha():\n"
    "        base = ord('a') if c.islower() else ord('A')\n"
    "        c = chr((ord(c) - base + {k}) % 26 + base)\n    result += c\nreturn result"
)
_BRACKETS = (
    "depth = 0\nfor c in {a}:\n    depth += 1 if c == '(' else -1\n    if depth < 0:\n"
    "        return False\nreturn depth == 0"
)
_INCREASING = (
    "best = run = 1\nfor i in range(1, len({a})):\n"
    "    run = run + 1 if {a}[i] > {a}[i - 1] else 1\n"
    "    best = max(best, run)\nreturn best"
)
_COMMON = (
    "letters = [c for c in {a}.lower() if c.isalpha()]\n"
    "return min(sorted(set(letters)), key=lambda c: -letters.count(c))"
)
PIECES: tuple[PieceOfCode, ...] = (
    _piece(r"run-length encodes|each run of equal characters", _RUNS,
           _RUNS.replace("    place = end", "    place = end + 1"),
           _RUNS.replace("str(end - place)", "str(end - place - 1)")),
    _piece(rf"(?:letter of a string|Caesar shift of) {_K}", _SHIFT,
           _SHIFT.replace(" % 26", ""), _SHIFT.replace("+ {k}", "- {k}")),
    _piece(rf"consecutive chunks of {_K}",
           "return [{a}[i:i + {k}] for i in range(0, len({a}), {k})]",
           "return [{a}[i:i + {k}] for i in range(0, len({a}) - {k} + 1, {k})]",
           "return [{a}[i:i + {k}] for i in range(len({a}))]"),
    _piece(rf"(?:to the left by|moves the first) {_K}", "return {a}[{k}:] + {a}[:{k}]",
           "return {a}[-{k}:] + {a}[:-{k}]", "return {a}[{near}:] + {a}[:{near}]"),
    _piece(r"sum of the decimal digits|adds up the digits",
           "return sum(int(digit) for digit in str({a}))",
           "return len(str({a}))", "return sum(int(digit) for digit in str({a})[1:])"),
    _piece(r"running totals|cumulative sums",
           "result, total = [], 0\nfor x in {a}:\n    total += x\n    result.append(total)\n"
           "return result",
           "result, total = [], 0\nfor x in {a}:\n    result.append(total)\n    total += x\n"
           "return result"),
    _piece(r"differences between neighbouring",
           "return [{a}[i + 1] - {a}[i] for i in range(len({a}) - 1)]",
           "return [{a}[i] - {a}[i + 1] for i in range(len({a}) - 1)]",
           "return [abs({a}[i + 1] - {a}[i]) for i in range(len({a}) - 1)]"),
    _piece(r"round brackets? in a string|round bracket", _BRACKETS,
           "return {a}.count('(') == {a}.count(')')"),
    _piece(r"second largest distinct", "return sorted(set({a}))[-2]",
           "return sorted({a})[-2] if {a}.count(max({a})) < 1 else sorted({a})[-1]",
           "return sorted(set({a}))[1]"),
    _piece(r"occur in both lists", "return sorted(set({a}) & set({b}))",
           "return sorted(set({a}) | set({b}))", "return sorted(set({b}) - set({a}))"),
    _piece(r"interleaves two lists",
           "result = []\nfor x, y in zip({a}, {b}):\n    result += [x, y]\n"
           "return result + {a}[len({b}):] + {b}[len({a}):]",
           "result = []\nfor x, y in zip({a}, {b}):\n    result += [x, y]\nreturn result",
           "return {a} + {b}"),
    _piece(r"longest strictly increasing run", _INCREASING,
           _INCREASING.replace("best = run = 1", "best = run = 0"),
           _INCREASING.replace("else 1", "else 0")),
    _piece(r"most frequent letter", _COMMON,
           _COMMON.replace("sorted(set(letters))", "sorted(set(letters), reverse=True)"),
           _COMMON.replace("{a}.lower()", "{a}")),
    _piece(rf"largest sum of {_K} neighbouring",
           "return max(sum({a}[i:i + {k}]) for i in range(len({a}) - {k} + 1))",
           "return sum(sorted({a})[-{k}:])",
           "return max(sum({a}[i:i + {k}]) for i in range(len({a}) - {k}))"),
    _piece(r"longest word of a string", "return max({a}.split(), key=len)",
           "return sorted({a}.split(), key=len)[-1]", "return max({a}.split())"),
)  # fmt: skip
