"""Logic puzzles with exactly one solution: orders, truth tellers, belongings, overlapping sets."""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING

from tasks.generate import names
from tasks.generate.item import Body
from tasks.generate.wording import cast, join

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

Honesty = dict[str, bool]
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def puzzle(rng: Random, world: World) -> Body:
    """One puzzle, of one of four forms."""
    form: Callable[[Random, dict[str, str]], Body] = rng.choices(
        (_order, _truth, _belongings, _sets), (4, 3, 3, 2)
    )[0]
    return form(rng, cast(rng, world))


def _order_clue(
    rng: Random, order: tuple[str, ...]
) -> tuple[str, Callable[[tuple[str, ...]], bool]]:
    a, b = rng.sample(order, 2)
    if order.index(a) > order.index(b):
        a, b = b, a
    last = len(order) - 1
    gap = order.index(b) - order.index(a)
    draw = rng.random()
    if draw < 0.4:
        forms = (f"{a} finished before {b}.", f"{b} came in after {a}.", f"{a} beat {b}.")
        return rng.choice(forms), lambda o: o.index(a) < o.index(b)
    if draw < 0.6 and gap == 1:
        text = rng.choice((f"{b} came directly after {a}.", f"{a} finished right before {b}."))
        return text, lambda o: o.index(b) == o.index(a) + 1
    if draw < 0.75:
        place = order.index(a)
        text = f"{a} came {'last' if place == last else ORDINALS[place]}."
        return text, lambda o: o[place] == a
    place = rng.choice([i for i in range(len(order)) if order[i] != b])
    text = f"{b} was not {'last' if place == last else ORDINALS[place]}."
    return text, lambda o: o[place] != b


def _order(rng: Random, parts: dict[str, str]) -> Body:
    size = rng.choice((4, 4, 5))
    order = tuple(rng.sample(names.FIRST_NAMES, size))
    left = list(permutations(order))
    clues: list[str] = []
    while len(left) > 1:
        text, holds = _order_clue(rng, order)
        kept = [one for one in left if holds(one)]
        if len(kept) < len(left):
            left, clues = kept, [*clues, text]
    event = rng.choice(("a race", "a swimming match", "a bicycle tour", "a spelling contest"))
    shown = join(rng.sample(order, size))
    intro = f"{shown} took part in {event} in {parts['town']}; there were no ties."
    rng.shuffle(clues)
    told = " ".join(clues)
    open_places = [i for i in range(size) if f"{order[i]} came {ORDINALS[i]}." not in told]
    place = rng.choice(open_places or range(size))
    last = place == size - 1 and rng.random() < 0.5
    question = f"Who came {'last' if last else ORDINALS[place]}?"
    return Body(" ".join((intro, *clues, question)), order[place], "exact", "Name one person.")


def _truth(rng: Random, parts: dict[str, str]) -> Body:
    while True:
        people = rng.sample(names.FIRST_NAMES, rng.choice((3, 3, 4)))
        clues = [_says(rng, speaker, people) for speaker in people]
        fits = _worlds(people, [holds for _, holds in clues])
        if len(fits) == 1:
            break
    honest = [name for name in people if fits[0][name]]
    liars = [name for name in people if not fits[0][name]]
    intro = f"In {parts['town']}, {join(people)} each either always tell the truth or always lie."
    text = " ".join((intro, *(text for text, _ in clues)))
    if len(honest) == 1 and rng.random() < 0.7:
        return Body(f"{text} Who is the only one telling the truth?", honest[0], "exact")
    if len(liars) == 1 and rng.random() < 0.7:
        return Body(f"{text} Who is the only liar?", liars[0], "exact")
    return Body(f"{text} How many of them are liars?", str(len(liars)), "numeric")


def _worlds(people: list[str], claims: list[Callable[[Honesty], bool]]) -> list[Honesty]:
    fits = []
    for values in product((True, False), repeat=len(people)):
        honest = dict(zip(people, values, strict=True))
        if all(claim(honest) == honest[who] for claim, who in zip(claims, people, strict=True)):
            fits.append(honest)
    return fits


def _says(rng: Random, speaker: str, people: list[str]) -> tuple[str, Callable[[Honesty], bool]]:
    a, b = rng.sample([name for name in people if name != speaker], 2)
    claim, holds = rng.choice(
        [
            (f"{a} is a liar", lambda h: not h[a]),
            (f"{a} tells the truth", lambda h: h[a]),
            (f"{a} and {b} are of the same kind", lambda h: h[a] == h[b]),
            (f"at least one of {a} and {b} is a liar", lambda h: not (h[a] and h[b])),
            (f"exactly one of {a} and {b} tells the truth", lambda h: h[a] != h[b]),
            (f"both {a} and {b} are liars", lambda h: not (h[a] or h[b])),
        ]
    )
    form = rng.choice(("{0} says that {1}.", '{0} says: "{1}."', "According to {0}, {1}."))
    return form.format(speaker, claim), holds


_BELONGINGS = (
    ("pet", ("parrot", "tortoise", "rabbit", "terrier", "ferret"), "owns the {}"),
    ("instrument", ("violin", "trumpet", "harp", "clarinet", "drum"), "plays the {}"),
    ("house", ("red house", "green house", "white house", "yellow house", "blue house"),
     "lives in the {}"),
    ("drink", ("tea", "cider", "coffee", "lemonade", "milk"), "drinks {}"),
)  # fmt: skip


def _belongings(rng: Random, parts: dict[str, str]) -> Body:
    size = rng.choice((3, 4, 4))
    people = rng.sample(names.FIRST_NAMES, size)
    noun, things, phrase = rng.choice(_BELONGINGS)
    chosen = rng.sample(things, size)
    owner = dict(zip(chosen, people, strict=True))
    left = [dict(zip(chosen, order, strict=True)) for order in permutations(people)]
    clues: list[str] = []
    while len(left) > 1:
        text, kept = _belonging_clue(rng, phrase, owner, left)
        if len(kept) < len(left):
            left, clues = kept, [*clues, text]
    rng.shuffle(clues)
    told = " ".join(clues)
    untold = [thing for thing in chosen if f"{owner[thing]} {phrase.format(thing)}" not in told]
    asked = rng.choice(untold or chosen)
    intro = (
        f"{join(people)} from {parts['town']} each have a different {noun}: {join(sorted(chosen))}."
    )
    question = f"Who {phrase.format(asked)}?"
    return Body(" ".join((intro, *clues, question)), owner[asked], "exact", "Name one person.")


def _belonging_clue(
    rng: Random, phrase: str, owner: dict[str, str], left: list[dict[str, str]]
) -> tuple[str, list[dict[str, str]]]:
    thing = rng.choice(list(owner))
    said = phrase.format(thing)
    verb, rest = said.split(" ", 1)
    base = verb[:-1]
    draw = rng.random()
    if draw < 0.15:
        who = owner[thing]
        return f"{who} {said}.", [one for one in left if one[thing] == who]
    others = [name for name in owner.values() if name != owner[thing]]
    if draw < 0.7 or len(others) < 3:
        who = rng.choice(others)
        return f"{who} does not {base} {rest}.", [one for one in left if one[thing] != who]
    a, b = rng.sample(others, 2)
    kept = [one for one in left if one[thing] not in (a, b)]
    return f"Neither {a} nor {b} {said}.", kept


def _sets(rng: Random, parts: dict[str, str]) -> Body:
    group = rng.choice(("pupils", "members of a club", "workers", "visitors", "households"))
    first, second = rng.sample(("chess", "tennis", "rowing", "singing", "painting", "archery"), 2)
    both, only_a, only_b, none = (rng.randint(2, 60) for _ in range(4))
    total = both + only_a + only_b + none
    a, b = both + only_a, both + only_b
    options = (
        (
            (
                f"Of {total} {group} in {parts['town']}, {a} like {first}, {b} like {second} "
                f"and {both} "
                f"like both. How many like neither?"
            ),
            none,
        ),
        (
            (
                f"Of {total} {group} in {parts['town']}, {a} like {first}, {b} like {second} "
                f"and {none} "
                f"like neither. How many like both?"
            ),
            both,
        ),
        (
            (
                f"In {parts['town']}, {a} {group} like {first}, {b} like {second} and {both} "
                "like both. "
                f"How many like exactly one of the two?"
            ),
            only_a + only_b,
        ),
        (
            (
                f"In {parts['town']}, {a} {group} like {first}, {b} like {second} and {both} "
                "like both. "
                f"How many like at least one of the two?"
            ),
            only_a + only_b + both,
        ),
    )
    text, answer = rng.choice(options)
    return Body(text, str(answer), "numeric", "Answer with a single number.")
