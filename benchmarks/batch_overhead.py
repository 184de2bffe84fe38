"""What a batch run costs beside the calls themselves, in time and in memory.

    python -m benchmarks.batch_overhead            # both parts
    python -m benchmarks.batch_overhead --time     # or one of them
    python -m benchmarks.batch_overhead --memory

Time: 2,000 requests of 50 ms at concurrency 32 to a server in another process, by a bare aiohttp
loop and by a whole `route` (reading, deciding, claiming, calling, settling, committing), in turn.
A round in which the bare loop alone takes more than 1.15 x ideal says that something else uses the
machine; it is printed, repeated and not counted, whatever route took in it.
Memory: peak of a process that routes 10,000 and 100,000 rows through in-process models.

Exits 1 where a claim does not hold: time <= 1.20 x ideal and <= 1.15 x the bare loop (medians),
memory of the large backlog < 1.30 x that of the small one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REQUESTS, LATENCY_S, CONCURRENCY = 2_000, 0.050, 32
IDEAL_S = REQUESTS * LATENCY_S / CONCURRENCY
ROUNDS, MOST_ROUNDS = 3, 9
DISTURBED = 1.15
SMALL, LARGE = 10_000, 100_000

SERVER = """
import asyncio, sys
from tasks.call.base import ChatResponse, Usage
from tasks.simulate.reply import SimulatedReply
from tasks.simulate.server import SimulatedServer

class Echo:
    def complete(self, request):
        text = request.messages[-1].content
        return SimulatedReply(ChatResponse(f"Answer: {len(text)}", Usage(len(text) // 4, 10)), %s)

server = SimulatedServer({"echo": Echo()})
asyncio.run(server.run_forever(lambda url: print(url, flush=True)))
"""
POOL = """\
name: overhead
models:
  echo:
    provider: openai
    endpoint: {url}
    name: echo
    prices: {{input_usd: "1", output_usd: "2"}}
    limits: {{concurrency: {concurrency}, max_output_tokens: 64}}
tools:
  none: {{kind: none}}
"""
LOCAL_POOL = """\
name: memory
models:
  local:
    provider: scripted
    name: local
    prices: {input_usd: "1", output_usd: "2"}
    parameters: {answer: "Answer: 42"}
tools:
  none: {kind: none}
"""


class Silent:
    """Progress that nobody watches."""

    def start(self, total, already_done, max_cost):
        pass

    def advance(self, rows, cost_usd):
        pass

    def note(self, text):
        pass

    def finish(self):
        pass


def question(row):
    return f"Question number {row}: how many letters has this sentence, blanks left out?"


def write_backlog(path, rows):
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            file.write(json.dumps({"custom_id": f"row-{row}", "prompt": question(row)}) + "\n")


async def bare_loop(url):
    """The same calls with nothing around them; seconds."""
    import aiohttp

    turn = asyncio.Semaphore(CONCURRENCY)
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(row):
            body = {
                "model": "echo",
                "messages": [{"role": "user", "content": question(row)}],
                "max_tokens": 64,
            }
            async with turn, session.post(f"{url}/chat/completions", json=body) as reply:
                return await reply.json()

        began = time.perf_counter()
        await asyncio.gather(*(call(row) for row in range(REQUESTS)))
        return time.perf_counter() - began


def route_backlog(folder, name, router, concurrency):
    """A whole route of folder/backlog.jsonl; its seconds from reading to the last commit."""
    from tasks.route import RouteJob, prepare, route

    job = RouteJob(
        backlog=str(folder / "backlog.jsonl"),
        pool=folder / "pool.yaml",
        root=folder / "data",
        router=router,
        concurrency=concurrency,
        name=name,
    )
    began = time.perf_counter()
    report = asyncio.run(route(prepare(job, env=os.environ), env=os.environ, progress=Silent()))
    seconds = time.perf_counter() - began
    assert report.state == "complete", report
    return seconds


def measure_time():
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        code = SERVER % LATENCY_S
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                url = server.stdout.readline().strip()
                return compare(folder, url)
            finally:
                server.terminate()


def compare(folder, url):
    (folder / "pool.yaml").write_text(POOL.format(url=url, concurrency=CONCURRENCY))
    write_backlog(folder / "backlog.jsonl", 64)
    # Imports and the first connection are paid once a run, not once a request: warm them up.
    route_backlog(folder, "warm-up", "fixed:echo@@none", 2 * CONCURRENCY)
    write_backlog(folder / "backlog.jsonl", REQUESTS)
    rounds = []
    for number in range(MOST_ROUNDS):
        loop = asyncio.run(bare_loop(url))
        ours = route_backlog(folder, f"r{number}", "fixed:echo@@none", 2 * CONCURRENCY)
        rounds.append((loop, ours))
        if len(undisturbed(rounds)) == ROUNDS:
            break
    counted = undisturbed(rounds)
    if len(counted) < ROUNDS:
        print("  this machine is busy: every round counts, and the ratios to ideal say little")
        counted = rounds
    for loop, ours in rounds:
        if (loop, ours) not in counted:
            print(f"  not counted: bare {loop / IDEAL_S:.3f} x, route {ours / IDEAL_S:.3f} x ideal")
    bare, routed = zip(*counted, strict=True)
    ratios = [ours / loop for loop, ours in counted]
    to_ideal, to_bare = statistics.median(routed) / IDEAL_S, statistics.median(ratios)
    print(f"{REQUESTS:,} requests of {LATENCY_S * 1000:.0f} ms at concurrency {CONCURRENCY}")
    print(f"  ideal N·L/C        {IDEAL_S:.3f} s")
    print(f"  bare aiohttp loop  {seconds(bare)}   {statistics.median(bare) / IDEAL_S:.3f} x ideal")
    print(f"  atlas route        {seconds(routed)}   {to_ideal:.3f} x ideal   {to_bare:.3f} x bare")
    return [
        ("time <= 1.20 x ideal", to_ideal <= 1.20),
        ("time <= 1.15 x bare loop", to_bare <= 1.15),
    ]


def undisturbed(rounds):
    """Rounds in which the machine had nothing else to do, by the bare loop's time alone."""
    return [(loop, ours) for loop, ours in rounds if loop <= DISTURBED * IDEAL_S]


def seconds(times):
    return f"{statistics.median(times):.3f} s (min {min(times):.3f}, max {max(times):.3f})"


def measure_memory():
    peaks = {}
    for rows in (SMALL, LARGE):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.batch_overhead", "--peak-of", str(rows)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks[rows], took = (float(word) for word in done.stdout.split())
        print(f"  {rows:>7,} rows  peak {peaks[rows]:.0f} MiB  {rows / took:,.0f} rows/s")
    ratio = peaks[LARGE] / peaks[SMALL]
    print(f"  ratio {ratio:.3f}")
    return [("memory of the large backlog < 1.30 x the small one's", ratio < 1.30)]


def peak_of(rows):
    """Route `rows` rows in this process; print its peak memory in MiB and its seconds."""
    import resource

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "pool.yaml").write_text(LOCAL_POOL)
        write_backlog(folder / "backlog.jsonl", rows)
        took = route_backlog(folder, "run", "fixed:local@@none", 64)
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, took)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak-of", type=int)
    chosen = parser.parse_args()
    if chosen.peak_of:
        peak_of(chosen.peak_of)
        return 0
    both = chosen.time == chosen.memory
    claims = measure_time() if both or chosen.time else []
    if both or chosen.memory:
        print("memory of a whole run, in-process models")
        claims += measure_memory()
    for claim, holds in claims:
        print(f"  {'holds ' if holds else 'MISSED'}  {claim}")
    return 0 if all(holds for _, holds in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
