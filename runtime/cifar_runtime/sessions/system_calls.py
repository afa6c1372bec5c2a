"""A filter of system calls for a process that runs a foreign model: Linux' seccomp, through ctypes, without a package.

What it refuses fails with "operation not permitted" in native code too: sockets, programs, other processes, and files
opened for writing, made, renamed or removed. It is a list of what is refused, not of what is allowed, since the
interpreters' needs change; it lessens what a model that breaks out can do, and is no sandbox. Elsewhere than on Linux
on x86-64 and AArch64 there is none.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst and include/uapi/linux/{seccomp,filter,bpf_common}.h.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class _Machine(NamedTuple):
    audit_arch: int
    seccomp: int  # the number of the call that installs the filter
    column: int  # of the tables below


_MACHINES: Mapping[str, _Machine] = {
    "x86_64": _Machine(0xC000003E, 317, 0),
    "aarch64": _Machine(0xC00000B7, 277, 1),
}
# Each call's number on x86-64 and on AArch64; None where that has no such call.
_Calls = Mapping[str, tuple[int | None, int | None]]
_PROGRAMS: _Calls = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
}
_PROCESSES: _Calls = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
}
_SOCKETS: _Calls = {"socket": (41, 198), "socketpair": (53, 199)}
_KERNEL: _Calls = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "io_uring_setup": (425, 425),  # opens files and sockets past any filter
    "keyctl": (250, 219),
    "mount": (165, 40),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "request_key": (249, 218),
    "setns": (308, 268),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_FILES: _Calls = {
    "chmod": (90, None),
    "chown": (92, None),
    "creat": (85, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, None),
    "lchown": (94, None),
    "link": (86, None),
    "linkat": (265, 37),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "open_by_handle_at": (304, 265),
    "removexattr": (197, 14),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "rmdir": (84, None),
    "setxattr": (188, 5),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "truncate": (76, 45),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}
# Refused by one of its arguments. The flags of openat2 lie in memory, which a filter cannot read, so that it does not
# exist here, nor does clone3: the C library then calls clone.
_OPEN, _OPENAT, _OPENAT2 = (2, None), (257, 56), (437, 437)
_CLONE, _CLONE3, _TGKILL = (56, 220), (435, 435), (234, 131)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE_THREAD = 0x10000
_X32 = 0x40000000  # the other way to number x86-64's calls

# Classic BPF: load a word, jump if equal, if not below, if a bit is set, return.
_LOAD, _EQUAL, _NOT_BELOW, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_NO_NEW_PRIVS, _SET_MODE_FILTER, _ALL_THREADS = 38, 1, 1


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def forbid_system_calls(*, files: bool) -> str | None:
    """Refuses this process, all its threads, what a model in it has no use for, for ever.

    Args:
        files: whether files can be written no more, besides sockets, programs and other processes.

    Returns:
        None where that is so; else why Linux refuses the filter. An empty string: this system has none.
    """
    machine = _MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    if machine is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        return ""
    steps = list(_steps(machine, files=files))
    instructions = (_Instruction * len(steps))(*steps)
    program = _Program(len(steps), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return os.strerror(ctypes.get_errno())
    failed = libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))
    if failed > 0:
        return "one of its threads has another filter"
    return os.strerror(ctypes.get_errno()) if failed else None


def _steps(machine: _Machine, *, files: bool) -> Iterator[_Instruction]:
    """The filter: it reads a call's number, then compares it with each that is refused."""
    yield _Instruction(_LOAD, 0, 0, _ARCH_AT)
    yield _Instruction(_EQUAL, 1, 0, machine.audit_arch)
    yield _refused(errno.EPERM)
    yield _Instruction(_LOAD, 0, 0, _NUMBER_AT)
    if machine.column == 0:
        yield _Instruction(_NOT_BELOW, 0, 1, _X32)
        yield _refused(errno.EPERM)
    for calls in (_PROGRAMS, _PROCESSES, _SOCKETS, _KERNEL, *([_FILES] if files else [])):
        for numbers in calls.values():
            yield from _unless(numbers[machine.column], [_refused(errno.EPERM)])
    yield from _unless(_CLONE3[machine.column], [_refused(errno.ENOSYS)])
    yield from _unless(_CLONE[machine.column], _argument(0, _ANY_BIT, _CLONE_THREAD, allowed=True))
    yield from _unless(_TGKILL[machine.column], _argument(0, _EQUAL, os.getpid(), allowed=True))
    if files:
        yield from _unless(_OPENAT2[machine.column], [_refused(errno.ENOSYS)])
        for numbers, place in ((_OPEN, 1), (_OPENAT, 2)):
            refused = _argument(place, _ANY_BIT, _WRITING, allowed=False)
            yield from _unless(numbers[machine.column], refused)
    yield _Instruction(_RETURN, 0, 0, _ALLOW)


def _refused(error: int) -> _Instruction:
    return _Instruction(_RETURN, 0, 0, _ERRNO | error)


def _unless(number: int | None, steps: list[_Instruction]) -> Iterator[_Instruction]:
    """Passes ``steps`` by, unless the call is this one; they end the filter."""
    if number is not None:
        yield _Instruction(_EQUAL, 0, len(steps), number)
        yield from steps


def _argument(place: int, test: int, operand: int, *, allowed: bool) -> list[_Instruction]:
    """Ends the filter by the low half of an argument (little-endian): whether it passes the test decides."""
    return [
        _Instruction(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place),
        _Instruction(test, *((1, 0) if allowed else (0, 1)), operand),
        _refused(errno.EPERM),
        _Instruction(_RETURN, 0, 0, _ALLOW),
    ]
