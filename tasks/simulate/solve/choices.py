"""Reads choice questions: the options, and how the question singles one of them out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from tasks.simulate.solve.base import NO_ANSWER, Calculation, HeadWork
from tasks.simulate.solve.expressions import Expr, exact, num, op
from tasks.simulate.solve.words import symbolic

if TYPE_CHECKING:
    from random import Random

    from tasks.simulate.solve.base import Reading
    from tasks.simulate.solve.facts import Inquiry

_OPTION = re.compile(r"(?:(?<=\n)|(?<=  )|^)\(?([A-E])[).:] +(.+?)(?=  \(?[A-E][).:] |\n|$)")
_SUPERLATIVE = re.compile(r"\b(?:numbers?|values?) is the (largest|greatest|smallest|least)\b")
_ALPHABET = re.compile(r"\bcomes (first|last) in alphabetical order")
_MULTIPLE = re.compile(r"\b(?:divisible by|multiple of) (\d+)")
_SEQUENCE = re.compile(r"(?:comes next:|run|sequence|continue) (\d+(?:, \d+){3,})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with options.

    Attributes:
        options: their texts, A first.
        inner: the question as it would be asked without options; None where it is about them.
        inquiry: the fact to look up, when it is one.
        test: largest | smallest | prime | multiple | first | last, where it is about the options.
        number: of the multiple.
    """

    options: tuple[str, ...]
    inner: Reading | None = None
    inquiry: Inquiry | None = None
    test: str = ""
    number: int = 0

    @property
    def domain(self) -> str:
        """Always `choice`."""
        return "choice"

    @property
    def load(self) -> float:
        """That of the question inside; options help a little."""
        return 0.5 * self.inner.load - 0.2 if self.inner else 0.0

    def misread(self, rng: Random) -> Choice:
        """The inner question misread, or the wrong end of the scale."""
        if self.inner is not None:
            return replace(self, inner=self.inner.misread(rng))
        opposite = {"largest": "smallest", "smallest": "largest", "first": "last", "last": "first"}
        if self.test in opposite:
            return replace(self, test=opposite[self.test])
        return replace(self, test="multiple", number=self.number + rng.choice((1, -1, 2)))

    def solve(self) -> str:
        """The letter of the right option."""
        if self.inner is not None:
            return self.letter(self.inner.solve())
        place = self._singled_out()
        return NO_ANSWER if place is None else "ABCDE"[place]

    def letter(self, answer: str) -> str:
        """The option that says the same as an answer, or comes closest to it."""
        plain = [option.lower().removeprefix("the ") for option in self.options]
        wanted = answer.lower().removeprefix("the ")
        if wanted in plain:
            return "ABCDE"[plain.index(wanted)]
        try:
            goal = Fraction(answer)
        except (ValueError, ZeroDivisionError):
            return NO_ANSWER
        values = [_value(option) for option in self.options]
        distances = [abs(one - goal) if one is not None else None for one in values]
        near = [distance for distance in distances if distance is not None]
        return "ABCDE"[distances.index(min(near))] if near else NO_ANSWER

    def _singled_out(self) -> int | None:
        if self.test in ("first", "last"):
            chosen = min(self.options) if self.test == "first" else max(self.options)
            return self.options.index(chosen)
        values = [_value(option) for option in self.options]
        if self.test in ("prime", "multiple"):
            fits = (
                place for place, one in enumerate(values) if one is not None and self._fits(one)
            )
            return next(fits, None)
        known = [one for one in values if one is not None]
        if not known:
            return None
        return values.index(max(known) if self.test == "largest" else min(known))

    def _fits(self, value: Fraction) -> bool:
        number = int(value)
        if self.test == "multiple":
            return number % max(2, self.number) == 0
        return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """The inner question by head, or the options compared by eye."""
        if self.inner is not None:
            answer, steps = self.inner.by_head(rng, slip)
            return HeadWork(self.letter(answer), steps)
        hard = {"prime": 0.8, "multiple": 0.5, "largest": 0.55, "smallest": 0.55}.get(
            self.test, 0.1
        )
        steps = ["I compare the options one by one."]
        if rng.random() < slip * hard:
            return HeadWork(rng.choice("ABCDE"[: len(self.options)]), steps)
        return HeadWork(self.solve(), steps)

    def calculation(self) -> str | None:
        """The inner calculation, or the extreme of the options."""
        if self.inner is not None:
            return self.inner.calculation()
        if self.test not in ("largest", "smallest"):
            return None
        listed = ", ".join(option.replace("^", "**") for option in self.options)
        return f"{'max' if self.test == 'largest' else 'min'}({listed})"

    def program(self) -> str | None:
        """The inner program, or one over the options."""
        if self.inner is not None:
            return self.inner.program()
        if self.test in ("first", "last"):
            pick = "min" if self.test == "first" else "max"
            return f"options = {list(self.options)!r}\nprint({pick}(options))\n"
        listed = ", ".join(option.replace("^", "**") for option in self.options)
        head = f"options = [{listed}]\n"
        if self.test == "multiple":
            return f"{head}print([n for n in options if n % {self.number or 2} == 0][0])\n"
        if self.test == "prime":
            return f"{head}print([n for n in options if all(n % d for d in range(2, n))][0])\n"
        return f"{head}print({'max' if self.test == 'largest' else 'min'}(options))\n"

    def conclude(self, output: str) -> str:
        """The option that matches the output."""
        if self.inner is not None:
            return self.letter(self.inner.conclude(output))
        last = output.strip().splitlines()[-1:] or [NO_ANSWER]
        return self.letter(last[0].strip())


def _value(option: str) -> Fraction | None:
    found = symbolic(option) or (num(option) if re.fullmatch(r"-?\d+(?:\.\d+)?", option) else None)
    try:
        return None if found is None else exact(found)
    except ArithmeticError:
        return None


def split_options(text: str) -> tuple[str, tuple[str, ...]] | None:
    """(the question, its options), or None when the text offers none."""
    found = list(_OPTION.finditer(text))
    letters = "".join(match.group(1) for match in found)
    if len(found) < 2 or not "ABCDE".startswith(letters):
        return None
    return text[: found[0].start()].strip(), tuple(match.group(2).strip() for match in found)


def about_options(question: str, options: tuple[str, ...]) -> Choice | None:
    """A question about the options themselves, or about how a sequence goes on."""
    if match := _SEQUENCE.search(question):
        terms = [int(term) for term in match.group(1).split(", ")]
        return Choice(options, inner=Calculation("choice", _next_term(terms)))
    if match := _SUPERLATIVE.search(question):
        large = match.group(1) in ("largest", "greatest")
        return Choice(options, test="largest" if large else "smallest")
    if match := _ALPHABET.search(question):
        return Choice(options, test=match.group(1))
    if match := _MULTIPLE.search(question):
        return Choice(options, test="multiple", number=int(match.group(1)))
    return Choice(options, test="prime") if "prime" in question else None


def _next_term(terms: list[int]) -> Expr:
    steps = [after - before for before, after in pairwise(terms)]
    last = terms[-1]
    if len(set(steps)) == 1:
        return op("+", last, steps[-1])
    if terms[0] and all(after * terms[0] == before * terms[1] for before, after in pairwise(terms)):
        return op("*", last, Fraction(terms[1], terms[0]))
    return op("+", last, op("+", steps[-1], steps[-1] - steps[-2]))
