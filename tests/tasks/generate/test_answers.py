"""Gold answers are right: derived a second time, without the generator's own arithmetic."""

import datetime
import json
import math
import re
from itertools import islice, permutations, product
from random import Random

import pytest
import sympy

from tasks.generate import algebra, bignum, choices, dates, logic, lookups, programs, scenes, tables
from tasks.generate.corpus import STATEMENTS, passages
from tasks.generate.wording import cast
from tasks.generate.world import build_world

WORLD = build_world(5)


def _made(kind, number=150, seed=1):
    rng = Random(seed)
    return [kind(rng, WORLD) for _ in range(number)]


def _integers(text):
    return [int(one.replace(",", "")) for one in re.findall(r"\d{1,3}(?:,\d{3})+|\d+", text)]


def test_equations_in_symbols_have_the_given_solution():
    checked = 0
    for body in _made(algebra.equation, 300):
        found = re.search(r"(?:Solve for|value of) ([a-z])(?::| satisfies) (.+?)[.?]$", body.text)
        if found is None:
            continue
        name, text = found.groups()
        left, right = re.sub(r"(\d)([a-z(])", r"\1*\2", text).split(" = ")
        difference = sympy.sympify(f"({left}) - ({right})")
        assert 0 == difference.subs(sympy.Symbol(name), int(body.reference)), body.text
        checked += 1
    assert checked > 20


def test_quadratics_have_the_given_roots():
    checked = 0
    for body in _made(algebra.equation, 400):
        found = re.search(
            r"(larger|smaller|greatest|least) (?:solution|root) of (.+ = -?\d+)", body.text
        )
        if found is None:
            continue
        which, text = found.groups()
        text = re.sub(r"(\d)([a-z])", r"\1*\2", text.replace("²", "**2").replace("^", "**"))
        left, right = text.split(" = ")
        roots = sympy.solve(sympy.sympify(f"({left}) - ({right})"))
        expected = max(roots) if which in ("larger", "greatest") else min(roots)
        assert expected == int(body.reference), body.text
        checked += 1
    assert checked > 15


def test_big_number_answers_agree_with_a_fresh_computation():
    forms = {
        r"product of|Multiply \S+ by \S+\.|^Compute \S+ × \S+\.": lambda n: n[0] * n[1],
        r"mod|remainder": lambda n: n[0] % n[1],
        r"greatest common|largest whole": lambda n: math.gcd(*n),
        r"least common|smallest positive": lambda n: math.lcm(*n),
    }
    checked = 0
    for body in _made(bignum.big_number, 300):
        if "digits" in body.text or "then" in body.text or "Add" in body.text:
            continue
        for pattern, compute in forms.items():
            if re.search(pattern, body.text):
                assert str(compute(_integers(body.text))) == body.reference, body.text
                checked += 1
    assert checked > 80


def test_weekdays_agree_with_the_calendar():
    checked = 0
    for body in _made(dates.date_or_unit, 300):
        found = re.search(r"(\d{4}-\d\d-\d\d)", body.text)
        if found and "day of the week" in body.text:
            day = datetime.date.fromisoformat(found.group(1))
            assert f"{day:%A}" == body.reference
            checked += 1
    assert checked > 5


def test_spans_of_days_agree_with_ordinal_numbers():
    checked = 0
    for body in _made(dates.date_or_unit, 500):
        days = re.findall(r"\d{4}-\d\d-\d\d", body.text)
        if len(days) == 2:
            first, second = (datetime.date.fromisoformat(day).toordinal() for day in days)
            assert str(second - first) == body.reference
            checked += 1
    assert checked > 3


def test_column_totals_agree_with_the_printed_table():
    checked = 0
    for body in _made(tables.table_question, 300):
        found = re.search(r"Add up the column (\w+)\.", body.text)
        rows = [line.strip("| ").split(" | ") for line in body.text.split("\n") if "|" in line]
        if found and rows:
            place = rows[0].index(found.group(1))
            assert str(sum(int(row[place]) for row in rows[2:])) == body.reference
            checked += 1
    assert checked > 2


def test_orders_are_the_only_ones_that_fit_their_clues():
    words = {word: place for place, word in enumerate(logic.ORDINALS)}
    checked = 0
    for body in _made(logic.puzzle, 200):
        if "took part" not in body.text:
            continue
        people = re.findall(r"[A-Z][a-z]+", body.text.split(" took part")[0])
        fitting = [order for order in permutations(people) if _order_fits(body.text, order, words)]
        asked = re.search(r"Who came (\w+)\?", body.text).group(1)
        assert 1 == len(fitting), body.text
        assert fitting[0][-1 if asked == "last" else words[asked]] == body.reference
        checked += 1
    assert checked > 30


def _order_fits(text, order, words):
    at = {name: place for place, name in enumerate(order)}
    words = words | {"last": len(order) - 1}
    checks = [
        *(at[a] < at[b] for a, b in re.findall(r"(\w+) finished before (\w+)", text)),
        *(at[a] < at[b] for a, b in re.findall(r"(\w+) beat (\w+)", text)),
        *(at[b] < at[a] for a, b in re.findall(r"(\w+) came in after (\w+)", text)),
        *(at[b] + 1 == at[a] for a, b in re.findall(r"(\w+) came directly after (\w+)", text)),
        *(at[a] + 1 == at[b] for a, b in re.findall(r"(\w+) finished right before (\w+)", text)),
        *(at[a] != words[w] for a, w in re.findall(r"(\w+) was not (\w+)\.", text)),
        *(at[a] == words[w] for a, w in re.findall(r"([A-Z]\w+) came (\w+)\.", text)),
    ]
    return all(checks)


def test_liar_puzzles_have_exactly_one_solution():
    checked = 0
    for body in _made(logic.puzzle, 200):
        if "always lie" not in body.text:
            continue
        intro, *_ = body.text.split(" each either")
        people = re.findall(r"[A-Z][a-z]+", intro.split(", ", 1)[1])
        assert 1 == _liar_solutions(body.text, people), body.text
        checked += 1
    assert checked > 25


def _liar_solutions(text, people):
    said = re.findall(
        r'(?:(\w+) says(?: that|:)|According to (\w+),) "?(.+?)\.', text.split("always lie.")[1]
    )
    return sum(
        all(
            _claim(claim, dict(zip(people, values, strict=True)))
            == dict(zip(people, values, strict=True))[one or two]
            for one, two, claim in said
        )
        for values in product((True, False), repeat=len(people))
    )


def _claim(claim, honest):
    names = [name for name in re.findall(r"[A-Z]\w+", claim) if name in honest]
    truths = [honest[name] for name in names]
    if "same kind" in claim:
        return truths[0] == truths[1]
    if "at least one" in claim:
        return not all(truths)
    if "exactly one" in claim:
        return sum(truths) == 1
    if "both" in claim:
        return not any(truths)
    return not truths[0] if "liar" in claim else truths[0]


def test_hidden_tests_hold_for_the_examples_shown_in_the_text():
    for body in _made(programs.program, 120):
        reference = json.loads(body.reference)
        shown = re.findall(r"`(\w+\([^`]*\))` returns `([^`]*)`", body.text)
        for call, expected in shown:
            assert f"assert {call} == {expected}" in reference["tests"]
        assert all(
            one.startswith(f"assert {reference['entry_point']}(") for one in reference["tests"]
        )
        assert 7 == len(reference["tests"])


def test_every_fact_a_look_up_needs_is_told_in_the_corpus():
    told = " ".join(passage.text for passage in passages(WORLD, 5))
    missing = [
        (entity.name, relation)
        for group in WORLD.by_kind.values()
        for entity in group
        for relation, value in entity.facts.items()
        if not any(
            form.format(x=entity.name, v=value) in told
            for form in STATEMENTS[entity.kind, relation]
        )
    ]

    assert [] == missing


def test_look_up_answers_are_facts_of_the_world():
    values = {
        value for group in WORLD.by_kind.values() for one in group for value in one.facts.values()
    }
    for body in _made(lookups.look_up):
        accepted = json.loads(body.reference) if body.reference[0] == "[" else [body.reference]
        assert accepted[0] in values


def test_choice_questions_have_five_distinct_options_and_one_key():
    for body in _made(choices.choice):
        options = re.findall(r"(?:^|\n|  )\(?([A-E])[).:] (.+?)(?=  \(?[A-E]|\n|$)", body.text)
        assert list("ABCDE") == [letter for letter, _ in options], body.text
        assert 5 == len({text for _, text in options}), body.text
        assert body.reference in "ABCDE"


def test_multiples_among_options_are_unique():
    checked = 0
    for body in _made(choices.choice, 400):
        found = re.search(r"(?:divisible by|multiple of) (\d+)\?", body.text)
        if found is None:
            continue
        options = dict(re.findall(r"([A-E])[).:] (\d+)", body.text))
        fits = [one for one, text in options.items() if int(text) % int(found.group(1)) == 0]
        assert [body.reference] == fits, body.text
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("seed", range(40))
def test_machines_turn_out_what_their_numbers_say(seed):
    sentences, answer = scenes.output(Random(seed), cast(Random(seed), WORLD))
    words = [
        "zero",
        *[
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ],
    ]
    text = " ".join(sentences)
    for value, word in enumerate(words[1:], 1):
        text = re.sub(rf"\b{word}\b", str(value), text)
    total = math.prod(_integers(text)[:4])
    rest = _integers(text)[4:]

    if "fail inspection" in text:
        total -= rest[0]
    if "packed" in text:
        total //= rest[0]
    assert total == answer
    assert list(islice(sentences, 1))
