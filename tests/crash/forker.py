"""Runs `atlas` in forks of one process that has imported it, so that a kill costs no import.

Run as a script in the folder of the commands. Every line of standard input is JSON: `argv` of the
command, `fault_point` to die at, and `log`, the file for its output. For each it prints the
fork's process id when it begins, and its exit code (as `subprocess` has it) when it ends.
"""

from __future__ import annotations

import json
import os
import sys
import traceback


def prepare():
    """Import what a run with a policy imports; start no thread and open nothing."""
    import aiohttp  # noqa: F401
    import polars  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch

    import flows.cli
    import flows.routing
    import flows.verbs.route
    import profiles.policies.policy_file
    import tasks.encoders
    import tasks.trajectory.walk  # noqa: F401

    torch.set_num_threads(1)
    return flows.cli.main


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
