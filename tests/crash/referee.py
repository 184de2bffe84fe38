"""The provider of the crash tests, in a process of its own: it outlives the runs that are killed.

Run as a script: `referee.py FAULTS LATENCY_S`; prints its endpoint, then serves until stopped.
"""

from __future__ import annotations

import asyncio
import sys

from tasks.call.base import ChatResponse, Usage
from tasks.simulate.faults import Faults
from tasks.simulate.reply import SimulatedReply
from tasks.simulate.server import SimulatedServer


class Echo:
    """Answers with the length of the question, always after the same time."""

    def __init__(self, latency_s):
        self.latency_s = latency_s

    def complete(self, request):
        text = request.messages[-1].content
        response = ChatResponse(self.said(text), Usage(len(text) // 4 + 1, 10))
        return SimulatedReply(response, self.latency_s)

    def said(self, text):
        return f"Answer: {len(text)}"


class Doubter(Echo):
    """Says something else about every third length."""

    def said(self, text):
        return super().said(text) if len(text) % 3 else "Answer: 0"


def main():
    faults, latency_s = Faults.parse(sys.argv[1]), float(sys.argv[2])
    models = {name: Echo(latency_s) for name in ("first", "second")}
    models["doubter"] = Doubter(latency_s)
    server = SimulatedServer(models, faults=faults)
    asyncio.run(server.run_forever(lambda url: print(url, flush=True)))


if __name__ == "__main__":
    main()
