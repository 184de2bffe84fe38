"""What a simulated model does next: say something, or call the function it is offered.

The model has no memory, as a real endpoint has none: every turn it reads the question again, makes
the same sense of it, looks at the tool results in the conversation, and makes its next move.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.simulate import lookups
from tasks.simulate.solve.base import NO_ANSWER
from tasks.simulate.solve.choices import Choice
from tasks.simulate.solve.facts import Inquiry
from tasks.simulate.solve.programs import Task

if TYPE_CHECKING:
    from random import Random

    from tasks.simulate.knowledge import Knowledge
    from tasks.simulate.mind import Mind
    from tasks.simulate.parameters import SimulatedParameters
    from tasks.simulate.solve.base import Reading

MOST_PROGRAMS = 2
"""A program and one corrected version of it."""


@dataclass(frozen=True, slots=True)
class Move:
    """One turn.

    Attributes:
        answer: the final answer, a program's source for a programming question; None for a call.
        steps: sentences of working to show with it.
        arguments: of the function call; None for an answer.
        is_program: whether the answer is source code.
    """

    answer: str | None = None
    steps: tuple[str, ...] = ()
    arguments: dict[str, Any] | None = None
    is_program: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything a move depends on.

    Attributes:
        mind: the model's luck on this question.
        parameters: the model's skills.
        knowledge: what could be remembered.
        tool: calculator | python | search, or empty when no function was ever offered.
        may_call: whether a function is offered now.
        outputs: tool results so far, oldest first.
        question: the text, for careless queries.
    """

    mind: Mind
    parameters: SimulatedParameters
    knowledge: Knowledge
    tool: str
    may_call: bool
    outputs: tuple[str, ...]
    question: str


def next_move(understood: Reading | Inquiry | Task | None, turn: Turn) -> Move:
    """The next move of a model that understood the question so."""
    if understood is None:
        return Move(answer=NO_ANSWER, steps=("I cannot make out what is asked.",))
    if isinstance(understood, Task):
        return _write_function(understood, turn)
    if isinstance(understood, Inquiry):
        return _look_up(understood, turn, None)
    if isinstance(understood, Choice) and understood.inquiry is not None:
        return _look_up(understood.inquiry, turn, understood)
    return _work_out(understood, turn)


def failed(output: str) -> bool:
    """Whether a tool result tells of an error."""
    return re.search(r"^(?:\w*Error\b|Traceback)", output, re.MULTILINE) is not None


def _write_function(task: Task, turn: Turn) -> Move:
    mind, use = turn.mind, turn.parameters.tool_use.python
    right = mind.manages(turn.parameters.skills.code, task.load, "read")
    first = task if right else task.misread(mind.rng("misread"))
    tests = turn.tool == "python" and mind.uniform("tests") < use
    if not tests:
        return _program_answer(first.source())
    neat = mind.manages(use, -1.0, "write")
    done = len(turn.outputs)
    if done == 0 and turn.may_call:
        source = first.source() if neat else first.broken()
        return Move(arguments={"program": f"{source}\n{task.checks()}"})
    if not turn.outputs or not failed(turn.outputs[-1]):
        return _program_answer(
            (first if done < MOST_PROGRAMS else _fixed(task, first, mind, use)).source()
        )
    fixed = _fixed(task, first, mind, use)
    if done < MOST_PROGRAMS and turn.may_call:
        return Move(arguments={"program": f"{fixed.source()}\n{task.checks()}"})
    return _program_answer(fixed.source())


def _fixed(task: Task, first: Task, mind: Mind, use: float) -> Task:
    return task if mind.manages(use, 0.3, "fix") else first


def _program_answer(source: str) -> Move:
    return Move(answer=source, is_program=True)


def _work_out(understood: Reading, turn: Turn) -> Move:
    mind, skills = turn.mind, turn.parameters.skills
    skill = skills.of(understood.domain)
    right = mind.manages(skill, understood.load, "read")
    reading = understood if right else understood.misread(mind.rng("misread"))
    if turn.tool == "calculator":
        return _calculate(reading, turn)
    if turn.tool == "python":
        return _run_program(reading, turn)
    if turn.tool == "search" and _wastes(turn):
        return Move(arguments={"query": turn.question[:200]})
    return _by_head(reading, turn)


def _wastes(turn: Turn) -> bool:
    """Whether a model calls a tool that cannot help, once."""
    idle = 0.5 * (1.0 - turn.parameters.tool_use.of(turn.tool))
    return turn.may_call and not turn.outputs and turn.mind.uniform("waste") < idle


def _ignores(turn: Turn) -> bool:
    """Whether a model forgets the tool it has."""
    idle = 0.4 * (1.0 - turn.parameters.tool_use.of(turn.tool))
    return turn.mind.uniform("ignore") < idle


def _by_head(reading: Reading, turn: Turn) -> Move:
    slip = 1.0 - turn.parameters.skills.mental
    answer, steps = reading.by_head(turn.mind.rng("head"), slip)
    if answer == NO_ANSWER and isinstance(reading, Choice):
        answer = turn.mind.rng("guess").choice("ABCDE"[: len(reading.options)])
    return Move(answer=answer, steps=tuple(steps))


def _calculate(reading: Reading, turn: Turn) -> Move:
    expression = reading.calculation()
    if expression is None or _ignores(turn):
        return _by_head(reading, turn)
    if turn.outputs:
        output = turn.outputs[-1]
        if failed(output):
            return _by_head(reading, turn)
        return Move(answer=reading.conclude(output), steps=("The calculator gives the result.",))
    if not turn.may_call:
        return _by_head(reading, turn)
    if not turn.mind.manages(turn.parameters.tool_use.calculator, -0.8, "call"):
        expression = mistyped(expression, turn.mind.rng("mistype"))
    return Move(arguments={"expression": expression, "kind": "numeric", "precision": 15})


def mistyped(expression: str, rng: Random) -> str:
    """An expression typed wrongly: brackets forgotten, a digit dropped, two digits swapped."""
    bare = re.sub(r"(?<![a-z])[()]", "", expression) if "(" in expression else expression
    if bare != expression and bare.count("(") == bare.count(")") and rng.random() < 0.6:
        return bare
    places = [match.start() for match in re.finditer(r"\d(?=[1-9])", expression)]
    if not places:
        return f"{expression} + 1"
    place = rng.choice(places)
    swapped = (
        f"{expression[:place]}{expression[place + 1]}{expression[place]}{expression[place + 2 :]}"
    )
    return swapped if swapped != expression else expression[:place] + expression[place + 1 :]


def _run_program(reading: Reading, turn: Turn) -> Move:
    mind, use = turn.mind, turn.parameters.tool_use.python
    program = reading.program()
    if program is None or _ignores(turn):
        return _by_head(reading, turn)
    neat = mind.manages(use, -0.8, "write")
    crashes = not neat and mind.uniform("crash") < 0.5
    done = len(turn.outputs)
    if not neat and not crashes:
        program = reading.misread(mind.rng("bug")).program() or program
    if done == 0 and turn.may_call:
        return Move(arguments={"program": crashing(program) if crashes else program})
    if not turn.outputs or (failed(turn.outputs[-1]) and done >= MOST_PROGRAMS):
        return _by_head(reading, turn)
    if failed(turn.outputs[-1]):
        if turn.may_call and mind.manages(use, 0.0, "fix"):
            return Move(arguments={"program": program})
        return _by_head(reading, turn)
    answer = reading.conclude(turn.outputs[-1])
    return Move(answer=answer, steps=("The program printed the result.",))


def crashing(program: str) -> str:
    """A program with a misspelt name in its last line that does something."""
    head, found, tail = program.rpartition("print(")
    return f"{head}pritn({tail}" if found else f"{program}\n)"


def _look_up(asked: Inquiry, turn: Turn, options: Choice | None) -> Move:
    value, query, steps = lookups.pursue(asked, turn)
    if query is not None:
        return Move(arguments={"query": query})
    if options is not None:
        letter = options.letter(value) if value else NO_ANSWER
        if letter == NO_ANSWER:
            letter = turn.mind.rng("guess").choice("ABCDE"[: len(options.options)])
        return Move(answer=letter, steps=steps)
    return Move(answer=value or NO_ANSWER, steps=steps)
