"""Runs `atlas` in forks of one process that has imported it, so that a kill costs no import.

Run as a script in the folder of the commands. Every line of standard input is JSON: `argv` of the
command, `fault_point` to die at, and `log`, the file for its output. For each it prints the
fork's process id when it begins, and its exit code (as `subprocess` has it) when it ends.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

IMPORTED = (
    "aiohttp", "polars", "pyarrow.parquet", "flows.routing", "flows.verbs.route",
    "profiles.policies.policy_file", "tasks.encoders", "tasks.trajectory.walk",
)  # fmt: skip


def prepare():
    """Import what a run with a policy imports; start no thread and open nothing."""
    for name in IMPORTED:
        importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)
    return importlib.import_module("flows.cli").main


def run(main, command):
    """Become the command; never returns."""
    import warehouse.fault_points as fault_points

    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    code = 70
    try:
        fault_points._trigger = fault_points._Trigger(command["fault_point"])
        code = main(command["argv"])
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve():
    main = prepare()
    for line in sys.stdin:
        process = os.fork()
        if not process:
            run(main, json.loads(line))
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
