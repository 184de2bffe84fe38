"""The system calls a model-written program may not make, as a classic BPF filter.

The filter is generated here, instruction by instruction, so that no system library is needed.
It is a deny list: a program may compute, read, write inside its own file systems and start
threads; it may not start processes, open sockets, look into other processes, change mounts or
namespaces, or reach the corners of the kernel that escapes come from. RLIMIT_NPROC does nothing
for root, so this filter is what stops a fork bomb.

Layout of the data a filter sees (`struct seccomp_data`, seccomp(2)): 32-bit system call number
at 0, 32-bit architecture at 4, 64-bit arguments from 16.
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARG0_AT, _ARG1_AT = 0, 4, 16, 24

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
DENY = 0x00050000 | errno.EPERM
MISSING = 0x00050000 | errno.ENOSYS

_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000
_AF_UNIX = 1
_TERMINAL_INJECTIONS = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: typing into the terminal the sandbox was started from."""


class Architecture(NamedTuple):
    """One processor the filter is written for."""

    machine: str
    """As `platform.machine()` calls it."""
    audit: int
    """AUDIT_ARCH_* of <linux/audit.h>."""
    column: int
    """Column of `DENIED`."""


ARCHITECTURES = {
    "x86_64": Architecture("x86_64", 0xC000003E, 0),
    "aarch64": Architecture("aarch64", 0xC00000B7, 1),
}

_CLONE, _CLONE3, _IOCTL, _SOCKETPAIR = (56, 220), (435, 435), (16, 29), (53, 199)

DENIED: dict[str, tuple[int | None, int | None]] = {
    # Processes. Threads are made by `clone` with CLONE_THREAD, judged by its flags.
    "fork": (57, None),
    "vfork": (58, None),
    # Network. `socketpair` within the process is judged by its family: asyncio needs it.
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    # Other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    # Mounts and namespaces.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Kernel machinery.
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "lookup_dcookie": (212, 18),
    # Memory that the address-space limit does not count.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    # The machine itself.
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "iopl": (172, None),
    "ioperm": (173, None),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
}
"""Name to number on (x86_64, aarch64), None where the architecture has no such call."""


def has_filter(machine: str) -> bool:
    """Whether there is a filter for this processor (`platform.machine()`)."""
    return machine in ARCHITECTURES


def build_filter(machine: str) -> bytes:
    """The filter for one architecture, in the form `bwrap --seccomp FD` reads.

    Args:
        machine: `platform.machine()`; one of `ARCHITECTURES`.

    Raises:
        KeyError: there is no filter for this architecture; ask `has_filter` first.
    """
    arch = ARCHITECTURES[machine]
    lines = [
        _line(_LOAD, _ARCH_AT),
        _line(_IF_EQUAL, arch.audit, yes=1),
        _line(_RETURN, KILL_PROCESS),
        _line(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        # The x32 twin of every call would walk past a filter that compares numbers.
        lines += [_line(_IF_AT_LEAST, _X32_BIT, no=1), _line(_RETURN, KILL_PROCESS)]
    for numbers in DENIED.values():
        number = numbers[arch.column]
        if number is not None:
            lines += [_line(_IF_EQUAL, number, no=1), _line(_RETURN, DENY)]
    # clone3 hides its flags behind a pointer; told that it is missing, libc falls back to clone.
    lines += [_line(_IF_EQUAL, _CLONE3[arch.column], no=1), _line(_RETURN, MISSING)]
    lines += _judge_by_argument(_CLONE[arch.column], _ARG0_AT, _threads_only())
    lines += _judge_by_argument(_SOCKETPAIR[arch.column], _ARG0_AT, _unix_only())
    lines += _judge_by_argument(_IOCTL[arch.column], _ARG1_AT, _no_injection())
    lines.append(_line(_RETURN, ALLOW))
    return b"".join(lines)


def _line(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One `struct sock_filter`: code, jump if true, jump if false, value."""
    return struct.pack("=HBBI", code, yes, no, value)


def _judge_by_argument(number: int, argument_at: int, verdict: list[bytes]) -> list[bytes]:
    """For one system call, load an argument and let `verdict`, which ends in returns, decide."""
    return [
        _line(_IF_EQUAL, number, no=len(verdict) + 1),
        _line(_LOAD, argument_at),
        *verdict,
    ]


def _threads_only() -> list[bytes]:
    return [_line(_IF_BITS, _CLONE_THREAD, no=1), _line(_RETURN, ALLOW), _line(_RETURN, DENY)]


def _unix_only() -> list[bytes]:
    return [_line(_IF_EQUAL, _AF_UNIX, no=1), _line(_RETURN, ALLOW), _line(_RETURN, DENY)]


def _no_injection() -> list[bytes]:
    first, second = _TERMINAL_INJECTIONS
    return [
        _line(_IF_EQUAL, first, yes=1),
        _line(_IF_EQUAL, second, no=1),
        _line(_RETURN, DENY),
        _line(_RETURN, ALLOW),
    ]
