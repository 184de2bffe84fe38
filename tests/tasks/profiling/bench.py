"""A labelled set, a pool that a test rewrites, and a client that counts what it is asked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from tasks.call.base import ChatResponse, Usage
from tasks.embedder import cached_embedder
from tasks.profiling.planning import ProfileJob, plan_profile
from tasks.profiling.profile import run_profile

TOOLS = {"none": {}, "calculator": {}}


class Silent:
    """Progress that nobody watches, but whose notes are kept."""

    def __init__(self):
        self.notes = []

    def start(self, total, already_done, max_cost):
        pass

    def advance(self, rows, cost_usd):
        pass

    def note(self, text):
        self.notes.append(text)

    def finish(self):
        pass


class Counting:
    """Answers every question with the number that its model is told to, and counts."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = Counter()
        self.judged = 0
        self.fail = set()

    async def complete(self, request):
        pair = f"{request.origin.model}@@{request.origin.tool}"
        if request.origin.tool == "judge":
            self.judged += 1
            return ChatResponse("Fine.\nVERDICT: CORRECT", Usage(50, 5))
        self.asked[pair] += 1
        if pair in self.fail:
            from tasks.call.errors import Fate, RowError

            raise RowError("refused", error_type="content_filter", fate=Fate.REFUSED)
        text = f"Answer: {self.answers[request.origin.model]}"
        return ChatResponse(text, Usage(100, 10, cached_input_tokens=40))


class Bench:
    """Profiles one labelled set under one folder, as often as a test likes."""

    def __init__(self, folder, rows=8, grader="numeric"):
        self.folder = folder
        self.root = folder / "data"
        self.answers = {"a": 1, "b": 2}
        self.models = {key: {} for key in self.answers}
        self.tools = {key: dict(tool) for key, tool in TOOLS.items()}
        self.questions = [
            {"query_id": f"q{n}", "text": f"What is {n} minus {n - 1}?", "dataset": "sums",
             "split": "train" if n < rows * 3 // 4 else "test", "reference": "1",
             "grader": grader}
            for n in range(rows)
        ]  # fmt: skip
        self.client = Counting(self.answers)
        self.progress = Silent()

    def write(self):
        """The pool file and the questions, as they are now."""
        import yaml

        models = {
            key: {
                "provider": "scripted",
                "name": f"model-{key}",
                "prices": {"input_usd": "1", "output_usd": "2"},
                "limits": {"max_output_tokens": 100},
                "parameters": {"answer": "x"},
            }
            | changed
            for key, changed in self.models.items()
        }
        pool = {"name": "test", "models": models, "tools": self.tools}
        (self.folder / "pool.yaml").write_text(yaml.safe_dump(pool), encoding="utf-8")
        lines = "".join(json.dumps(row) + "\n" for row in self.questions)
        (self.folder / "labelled.jsonl").write_text(lines, encoding="utf-8")

    def plan(self, **changed):
        self.write()
        settings = {"clusters": 2, "chunk_size": 5, "encoder": "hashing"} | changed
        job = ProfileJob(
            questions=str(self.folder / "labelled.jsonl"),
            pool=self.folder / "pool.yaml",
            root=self.root,
            **settings,
        )
        return plan_profile(job, env={})

    def run(self, *, stop=None, publish="latest", reason="test", **changed):
        """Plan and run; the client counts from nothing."""
        planned = self.plan(**changed)
        self.client.asked.clear()
        self.client.judged = 0
        embedder = cached_embedder(self.root, "hashing")
        return asyncio.run(
            run_profile(
                planned,
                env={},
                embedder=lambda: embedder,
                progress=self.progress,
                stop=stop,
                publish=publish,
                reason=reason,
                clients=dict.fromkeys(self.models, self.client),
            )
        )

    @property
    def asked(self):
        """Calls of the last run by pair."""
        return dict(self.client.asked)
