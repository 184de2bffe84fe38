"""The steps and set pieces that programming questions are put together from."""

from __future__ import annotations

import math
from collections import Counter
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_VOWELS = "aeiouAEIOU"


class Step(NamedTuple):
    """One step of a chain: its topic (used once a chain), how texts say it, what it does."""

    topic: str
    texts: tuple[str, ...]
    run: Callable[[Any, int], Any]
    low: int = 2
    high: int = 9


class Piece(NamedTuple):
    """A whole task: what it takes, how texts say it, what it does (arguments, then k)."""

    arguments: tuple[str, ...]
    texts: tuple[str, ...]
    run: Callable[..., Any]
    low: int = 2
    high: int = 5


NUMBER_STEPS = (
    Step("keep", ("keeps only the even numbers", "drops every odd number"),
         lambda v, _: [x for x in v if x % 2 == 0]),
    Step("keep", ("keeps only the odd numbers", "drops every even number"),
         lambda v, _: [x for x in v if x % 2]),
    Step("keep", ("keeps only the numbers greater than {k}", ("discards numbers up to and "
         "including {k}")), lambda v, k: [x for x in v if x > k], 0, 12),
    Step("keep", ("keeps only the numbers smaller than {k}", "discards numbers of {k} or more"),
         lambda v, k: [x for x in v if x < k], 6, 30),
    Step("keep", ("keeps only the numbers divisible by {k}", "keeps only the multiples of {k}"),
         lambda v, k: [x for x in v if x % k == 0], 2, 5),
    Step("change", ("squares each number", "replaces each number by its square"),
         lambda v, _: [x * x for x in v]),
    Step("change", ("adds {k} to each number", "raises each number by {k}"),
         lambda v, k: [x + k for x in v]),
    Step("change", ("multiplies each number by {k}", "scales each number by a factor of {k}"),
         lambda v, k: [x * k for x in v]),
    Step("change", ("takes the absolute value of each number",),
         lambda v, _: [abs(x) for x in v]),
    Step("order", ("sorts the numbers in ascending order", "puts the smallest numbers first"),
         lambda v, _: sorted(v)),
    Step("order", ("sorts the numbers in descending order", "puts the largest numbers first"),
         lambda v, _: sorted(v, reverse=True)),
    Step("order", ("reverses the list", "turns the list around"), lambda v, _: v[::-1]),
    Step("unique", ("removes duplicates, keeping first occurrences", ("keeps each value only once, "
         "in order of first appearance")), lambda v, _: list(dict.fromkeys(v))),
    Step("part", ("drops the first {k} entries", "skips the first {k} entries"),
         lambda v, k: v[k:], 1, 3),
    Step("part", ("keeps at most the first {k} entries",), lambda v, k: v[:k], 2, 5),
)  # fmt: skip
NUMBER_ENDS = (
    Step("end", ("returns the resulting list", "gives back the list"), lambda v, _: v),
    Step("end", ("returns their sum", "returns the total"), lambda v, _: sum(v)),
    Step("end", ("returns how many are left", "returns the count"), lambda v, _: len(v)),
    Step("end", ("returns the largest one, or 0 if there is none",),
         lambda v, _: max(v, default=0)),
    Step("end", ("returns the smallest one, or 0 if there is none",),
         lambda v, _: min(v, default=0)),
    Step("end", ("returns the product (1 if there are none)",), lambda v, _: math.prod(v)),
)  # fmt: skip
TEXT_STEPS = (
    Step("turn", ("reverses it", "reads it backwards"), lambda v, _: v[::-1]),
    Step("case", ("converts it to upper case", "makes it upper case"), lambda v, _: v.upper()),
    Step("case", ("converts it to lower case", "makes it lower case"), lambda v, _: v.lower()),
    Step("case", ("swaps upper and lower case",), lambda v, _: v.swapcase()),
    Step("drop", ("removes all vowels", "strips out every vowel"),
         lambda v, _: "".join(c for c in v if c not in _VOWELS)),
    Step("space", ("removes all spaces", "strips out every space"),
         lambda v, _: v.replace(" ", "")),
    Step("space", ("replaces every space by an underscore",), lambda v, _: v.replace(" ", "_")),
    Step("part", ("drops the first {k} characters", "skips the first {k} characters"),
         lambda v, k: v[k:], 1, 4),
    Step("part", ("keeps every second character, starting with the first",),
         lambda v, _: v[::2]),
)  # fmt: skip
TEXT_ENDS = (
    Step("end", ("returns the resulting string", "gives back the string"), lambda v, _: v),
    Step("end", ("returns its length", "returns the number of characters"), lambda v, _: len(v)),
    Step("end", ("returns how many different characters it has",), lambda v, _: len(set(v))),
    Step("end", ("returns how many vowels it contains",),
         lambda v, _: sum(c in _VOWELS for c in v)),
    Step("end", ("returns whether it reads the same backwards",), lambda v, _: v == v[::-1]),
)  # fmt: skip
WORD_STEPS = (
    Step("keep", ("keeps only the words longer than {k} letters",),
         lambda v, k: [w for w in v if len(w) > k], 2, 5),
    Step("keep", ("keeps only the words of at most {k} letters",),
         lambda v, k: [w for w in v if len(w) <= k], 3, 6),
    Step("change", ("reverses each word", "spells each word backwards"),
         lambda v, _: [w[::-1] for w in v]),
    Step("change", ("capitalises each word",), lambda v, _: [w.capitalize() for w in v]),
    Step("change", ("converts each word to upper case",), lambda v, _: [w.upper() for w in v]),
    Step("order", ("sorts the words alphabetically", "puts the words in alphabetical order"),
         lambda v, _: sorted(v)),
    Step("order", ("reverses the order of the words",), lambda v, _: v[::-1]),
    Step("order", ("sorts the words by length, shortest first, keeping ties in order",),
         lambda v, _: sorted(v, key=len)),
    Step("unique", ("removes repeated words, keeping first occurrences",),
         lambda v, _: list(dict.fromkeys(v))),
)  # fmt: skip
WORD_ENDS = (
    Step("end", ("returns them joined by single spaces", ("joins them with spaces and returns "
         "that")), lambda v, _: " ".join(v)),
    Step("end", ("returns them joined by hyphens",), lambda v, _: "-".join(v)),
    Step("end", ("returns the list of words",), lambda v, _: v),
    Step("end", ("returns the number of words",), lambda v, _: len(v)),
    Step("end", ("returns their total number of letters",), lambda v, _: sum(map(len, v))),
    Step("end", ("returns the first letters as one string",),
         lambda v, _: "".join(w[0] for w in v)),
)  # fmt: skip


def _shift(text: str, k: int) -> str:
    def moved(c: str) -> str:
        if not (c.isascii() and c.isalpha()):
            return c
        base = ord("a") if c.islower() else ord("A")
        return chr((ord(c) - base + k) % 26 + base)

    return "".join(map(moved, text))


def _balanced(text: str, _k: int) -> bool:
    depth = 0
    for c in text:
        depth += 1 if c == "(" else -1
        if depth < 0:
            return False
    return depth == 0


def _longest_run(values: list[int], _k: int) -> int:
    best = run = 1
    for before, after in pairwise(values):
        run = run + 1 if after > before else 1
        best = max(best, run)
    return best


def _commonest(text: str, _k: int) -> str:
    counts = Counter(c for c in text.lower() if c.isalpha())
    return min(counts, key=lambda c: (-counts[c], c))


PIECES = (
    Piece(("text",), ("run-length encodes a string, so that `aab` becomes `a2b1`",
          ("replaces each run of equal characters in a string by the character and the run's "
          "length")), lambda t, _: "".join(f"{c}{len(list(g))}" for c, g in groupby(t))),
    Piece(("text",), (("shifts each letter of a string {k} places forward in the alphabet, "
          "wrapping around and keeping case and other characters"),
          "applies a Caesar shift of {k} to the letters of a string, leaving everything else"),
          _shift, 1, 20),
    Piece(("numbers",), (("cuts a list into consecutive chunks of {k} (the last may be shorter) "
          "and returns the list of chunks"),),
          lambda v, k: [v[i : i + k] for i in range(0, len(v), k)], 2, 4),
    Piece(("numbers",), ("rotates a list to the left by {k} places and returns it",
          "moves the first {k} entries of a list to its end and returns the list"),
          lambda v, k: v[k:] + v[:k], 1, 3),
    Piece(("number",), ("returns the sum of the decimal digits of a whole number",
          "adds up the digits of a non-negative whole number and returns the result"),
          lambda n, _: sum(map(int, str(n)))),
    Piece(("numbers",), ("returns the list of running totals of a list of numbers",
          "returns the cumulative sums of a list of numbers"), lambda v, _: list(accumulate(v))),
    Piece(("numbers",), (("returns the differences between neighbouring numbers of a list, each "
          "number minus the one before"),),
          lambda v, _: [b - a for a, b in pairwise(v)]),
    Piece(("brackets",), ("returns whether the round brackets in a string are balanced",
          ("tells whether each round bracket in a string is properly opened and closed, returning "
          "True or False")), _balanced),
    Piece(("numbers",), ("returns the second largest distinct number of a list",),
          lambda v, _: sorted(set(v))[-2] if len(set(v)) > 1 else v[0]),
    Piece(("numbers", "others"), (("returns the sorted list of numbers that occur in both lists, "
          "without duplicates"),), lambda a, b, _: sorted(set(a) & set(b))),
    Piece(("numbers", "others"), (("interleaves two lists, one entry of each in turn, then appends "
          "whatever is left of the longer one"),),
          lambda a, b, _: [x for p in zip(a, b, strict=False) for x in p]
          + a[len(b):] + b[len(a):]),
    Piece(("numbers",), (("returns the length of the longest strictly increasing run of neighbours "
          "in a list"),), _longest_run),
    Piece(("text",), (("returns the most frequent letter of a string in lower case, the "
          "alphabetically first one in a tie"),), _commonest),
    Piece(("numbers",), ("returns the largest sum of {k} neighbouring numbers in a list",),
          lambda v, k: max(sum(v[i : i + k]) for i in range(len(v) - k + 1)), 2, 4),
    Piece(("text",), ("returns the longest word of a string, the first one in a tie",),
          lambda t, _: max(t.split(), key=len)),
)  # fmt: skip
