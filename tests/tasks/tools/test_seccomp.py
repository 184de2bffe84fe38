"""The filter's verdicts, by running its instructions here as the kernel would."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from tasks.tools.seccomp import (
    ALLOW,
    ARCHITECTURES,
    DENIED,
    DENY,
    KILL_PROCESS,
    MISSING,
    build_filter,
    has_filter,
)

X86, ARM = ARCHITECTURES["x86_64"], ARCHITECTURES["aarch64"]


def judge(code: bytes, number: int, audit: int, arguments: tuple[int, ...] = ()) -> int:
    """Run a classic BPF program over one `struct seccomp_data`."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, audit, 0, *padded)
    lines = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator, at = 0, 0
    for _ in range(len(lines)):
        operation, yes, no, value = lines[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x06:
            return value
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[operation]
            at += yes if holds else no
    raise AssertionError("the filter does not end in a verdict")


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_listed_call_is_denied_and_nothing_else_is(arch) -> None:
    code = build_filter(arch.machine)
    denied = {numbers[arch.column] for numbers in DENIED.values()} - {None}
    by_argument = {number[arch.column] for number in ((56, 220), (435, 435), (16, 29), (53, 199))}

    for number in range(600):
        if number in by_argument:
            continue
        expected = DENY if number in denied else ALLOW
        assert expected == judge(code, number, arch.audit)


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_clone_makes_threads_and_no_processes(arch) -> None:
    code = build_filter(arch.machine)
    clone = (56, 220)[arch.column]
    thread, process, namespace = 0x3D0F00, 0x01200011, 0x10000000

    assert judge(code, clone, arch.audit, (thread,)) == ALLOW
    assert judge(code, clone, arch.audit, (process,)) == DENY
    assert judge(code, clone, arch.audit, (namespace,)) == DENY
    assert judge(code, 435, arch.audit) == MISSING


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_socket_pairs_stay_inside_the_process(arch) -> None:
    code = build_filter(arch.machine)
    socketpair = (53, 199)[arch.column]

    assert judge(code, socketpair, arch.audit, (1,)) == ALLOW
    assert judge(code, socketpair, arch.audit, (2,)) == DENY


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_nothing_is_typed_into_a_terminal(arch) -> None:
    code = build_filter(arch.machine)
    ioctl = (16, 29)[arch.column]

    assert judge(code, ioctl, arch.audit, (0, 0x5412)) == DENY
    assert judge(code, ioctl, arch.audit, (0, 0x541C)) == DENY
    assert judge(code, ioctl, arch.audit, (0, 0x5401)) == ALLOW


def test_calls_of_another_architecture_kill() -> None:
    assert judge(build_filter("x86_64"), 0, 0x40000003) == KILL_PROCESS
    assert judge(build_filter("x86_64"), 0, ARM.audit) == KILL_PROCESS
    assert judge(build_filter("aarch64"), 0, X86.audit) == KILL_PROCESS


def test_x32_calls_kill() -> None:
    assert judge(build_filter("x86_64"), 0x40000000 + 57, X86.audit) == KILL_PROCESS


def test_only_known_processors_have_a_filter() -> None:
    assert has_filter("x86_64")
    assert has_filter("aarch64")
    assert not has_filter("riscv64")


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0),
        ("/usr/include/asm-generic/unistd.h", 1),
    ],
)
def test_numbers_equal_the_kernel_headers(header: str, column: int) -> None:
    if not Path(header).exists():
        pytest.skip(f"no kernel headers here ({header})")
    text = Path(header).read_text()
    numbers = {
        match[1]: int(match[2])
        for match in re.finditer(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    }

    checked = 0
    for name, values in DENIED.items():
        if name in numbers and values[column] is not None:
            assert numbers[name] == values[column], name
            checked += 1
    assert checked > 50
