"""A simulated model: reads the question, truly attempts it, and errs as often as its skill says.

It sees what a provider's model would see, the messages and the functions of a request, and nothing
of pool, data set or reference. The same request gets the same reply: answers depend on (seed, model
name, question, and the request's seed when it samples).
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING

from tasks.call.base import ChatResponse, ToolCall, Usage
from tasks.simulate.behaviour import Move, Turn, next_move
from tasks.simulate.knowledge import Knowledge
from tasks.simulate.mind import Mind
from tasks.simulate.reply import SimulatedReply
from tasks.simulate.solve.understand import understand

if TYPE_CHECKING:
    from tasks.call.base import ChatRequest
    from tasks.simulate.parameters import SimulatedParameters

CHARS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
_TOOLS = {"calculator": "calculator", "python": "python", "search": "search"}
_OUTPUT_PREFIX = "Output of your program:"


class SimulatedModel:
    """One model.

    Args:
        name: the provider's name of it.
        parameters: its skills, its speed, its verbosity.
        seed: of all its draws, with `parameters.seed`.
        knowledge: what it could know by heart; nothing by default.
    """

    def __init__(
        self,
        name: str,
        parameters: SimulatedParameters,
        *,
        seed: int = 0,
        knowledge: Knowledge | None = None,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self._seed = seed * 1_000_003 + parameters.seed
        self._knowledge = knowledge or Knowledge()

    def complete(self, request: ChatRequest) -> SimulatedReply:
        """Answer one request. The same request gets the same reply, every time."""
        question = next((one.content for one in request.messages if one.role == "user"), "")
        sample = (request.seed or 0) + 1 if request.temperature > 0 else 0
        mind = Mind(self._seed, self.name, question, sample)
        turn = self._turn(request, question, mind)
        move = next_move(understand(question), turn)
        text = self._say(move, mind)
        calls = self._calls(move, request, len(turn.outputs))
        return self._reply(request, text, calls, mind, len(turn.outputs))

    def _turn(self, request: ChatRequest, question: str, mind: Mind) -> Turn:
        offered = next((one.name for one in request.functions if one.name in _TOOLS), "")
        used = (call.name for one in request.messages for call in one.tool_calls)
        tool = offered or next((name for name in used if name in _TOOLS), "")
        outputs = tuple(
            one.content
            for one in request.messages
            if one.role == "tool" or (one.role == "user" and one.content.startswith(_OUTPUT_PREFIX))
        )
        return Turn(
            mind=mind,
            parameters=self.parameters,
            knowledge=self._knowledge,
            tool=_TOOLS.get(tool, ""),
            may_call=bool(offered),
            outputs=outputs,
            question=question,
        )

    def _say(self, move: Move, mind: Mind) -> str:
        if move.answer is None:
            return ""
        if move.is_program:
            opening = "Here is the function." if mind.uniform("opening") < 0.5 else "This does it:"
            return f"{opening}\n\n```python\n{move.answer}```"
        shown = int(min(len(move.steps), 2 + 2 * self.parameters.verbosity))
        return "\n".join((*move.steps[:shown], f"Answer: {move.answer}"))

    def _calls(self, move: Move, request: ChatRequest, done: int) -> tuple[ToolCall, ...]:
        if move.arguments is None:
            return ()
        name = next(one.name for one in request.functions if one.name in _TOOLS)
        return (ToolCall(f"call-{done + 1}", name, json.dumps(move.arguments)),)

    def _reply(
        self,
        request: ChatRequest,
        text: str,
        calls: tuple[ToolCall, ...],
        mind: Mind,
        done: int,
    ) -> SimulatedReply:
        shown = _tokens(len(text) + sum(len(call.arguments) + 12 for call in calls))
        spread = math.exp(0.25 * mind.normal(f"verbosity {done}"))
        thought = int(shown * (self.parameters.verbosity * spread - 1.0))
        reasoning = max(0, thought)
        finish = "tool_calls" if calls else "stop"
        if shown + reasoning > request.max_output_tokens:
            reasoning = min(reasoning, request.max_output_tokens)
            shown = request.max_output_tokens - reasoning
            text, calls, finish = text[: shown * CHARS_PER_TOKEN], (), "length"
        speed = self.parameters.latency_s
        first = speed.median * math.exp(speed.sigma * mind.normal(f"latency {done}"))
        usage = Usage(
            input_tokens=_input_tokens(request),
            output_tokens=shown + reasoning,
            cached_input_tokens=0,
            reasoning_output_tokens=reasoning,
        )
        response = ChatResponse(
            text=text,
            usage=usage,
            tool_calls=calls,
            finish_reason=finish,
            response_model=self.name,
            response_id=_response_id(self.name, request),
        )
        return SimulatedReply(
            response, first + (shown + reasoning) / self.parameters.tokens_per_second
        )


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def _input_tokens(request: ChatRequest) -> int:
    chars = sum(
        len(one.content) + sum(len(call.name) + len(call.arguments) for call in one.tool_calls)
        for one in request.messages
    )
    chars += sum(
        len(one.name) + len(one.description) + len(json.dumps(dict(one.parameters)))
        for one in request.functions
    )
    return _tokens(chars) + TOKENS_PER_MESSAGE * len(request.messages)


def _response_id(name: str, request: ChatRequest) -> str:
    digest = hashlib.blake2b(name.encode(), digest_size=8)
    for message in request.messages:
        digest.update(message.content.encode("utf-8", "surrogatepass"))
    return f"sim-{digest.hexdigest()}"
