"""How questions are dressed: greetings, settings, asides and requests about the answer's form.

Every kind of question wears the same clothes, so that an encoder cannot tell the kinds apart by
them, and the settings speak of the same towns, people and companies as the look-ups do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from tasks.generate.item import Body
    from tasks.generate.world import World

_GREETINGS = (
    "Quick question.",
    "Please help with this.",
    "Here is one from a quiz night in {town}.",
    "{person} would like an answer to the following.",
    "A colleague at {company} is stuck on this.",
    "From the notice board of {town}.",
    "This came up over supper.",
    "For the school paper of {town}.",
    "One more for the list.",
    "Hello there.",
)
_SETTINGS = (
    "The setting is {town}, on the river {river}.",
    "{person}, who is an old friend of {friend}, brought this up.",
    "It was a grey morning in {town} and the ferry to {other} was late.",
    "The people at {company} argue about it every year.",
    "Nobody in {town} has found the answer yet.",
    "The notes of {person} mention it in passing.",
    "It was raining over the {river} that evening.",
    "{friend} read about it in {book}.",
)
_CLOSINGS = (
    "Thank you.",
    "Take your time.",
    "{person} is waiting for the reply.",
    "A short answer will do.",
    "Please be careful.",
    "Working may be shown.",
    "The editor in {town} needs it today.",
)
_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
_ROLES = {"other": "town", "friend": "person"}


def cast(rng: Random, world: World) -> dict[str, str]:
    """A name for every part a sentence may have: `{town}`, `{other}`, `{person}`, ..."""
    roles = (*world.by_kind, *_ROLES)
    return {role: world.pick(rng, _ROLES.get(role, role)).name for role in roles}


def dress(rng: Random, world: World, body: Body) -> str:
    """The whole text of a question: a greeting and a setting now and then, the form, a closing."""
    before, after = [], []
    if rng.random() < 0.35:
        before.append(rng.choice(_GREETINGS))
    if rng.random() < 0.3:
        before.append(rng.choice(_SETTINGS))
    if body.form and rng.random() < 0.8:
        after.append(body.form)
    if rng.random() < 0.2:
        after.append(rng.choice(_CLOSINGS))
    if before or after:
        parts = cast(rng, world)
        before = [sentence.format(**parts) for sentence in before]
        after = [sentence.format(**parts) for sentence in after]
    gap = "\n" if "\n" in body.text else " "
    sentences = (" ".join(before), body.text, " ".join(after))
    return gap.join(part for part in sentences if part)


def count(rng: Random, number: int) -> str:
    """A number as a text gives it: mostly digits, small ones now and then as a word."""
    if 2 <= number < len(_WORDS) and rng.random() < 0.4:
        return _WORDS[number]
    if number >= 10_000 and rng.random() < 0.5:
        return f"{number:,}"
    return str(number)


def join(parts: list[str], word: str = "and") -> str:
    """`a, b and c`."""
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def plain(value: float) -> str:
    """A number without a needless fraction: `12`, `3.5`."""
    return f"{value:.10f}".rstrip("0").rstrip(".")
