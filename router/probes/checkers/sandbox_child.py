"""Runs code that a model wrote, then tests of it. A program of its own (`python -I -S`), which imports the standard library
alone.

Before the code runs it gives up: CPU time, memory, files and processes beyond its limits; on Linux, by seccomp, sockets, other
programs, further processes and signals, and, by Landlock where the kernel has it, all files but Python's own and those of its
folder. An audit hook refuses the same again, and is all there is on other systems. Code that sets out to break Python itself
may get round the hook, and code that reads the frames above it may claim to have passed.

It reads {"code", "tests", "cpu_s", "memory_bytes", "file_bytes", "token", "pipe"} from its input, and writes the token and
"passed", "failed" or "open: reason" into the pipe.
"""

import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys
import sysconfig
from collections.abc import Callable

EPERM = 1
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_KILL, SECCOMP_ERRNO, SECCOMP_ALLOW = 0x80000000, 0x00050000 | EPERM, 0x7FFF0000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
X32 = 0x40000000

# System calls that are refused, with their numbers on x86_64 and aarch64; 0 where there is none.
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_DENIED = """
socket 41 198, connect 42 203, bind 49 200, socketpair 53 199, io_uring_setup 425 425
clone 56 220, fork 57 0, vfork 58 0, clone3 435 435, execve 59 221, execveat 322 281
kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240
pidfd_open 434 434, pidfd_send_signal 424 424, pidfd_getfd 438 438, ptrace 101 117, prlimit64 302 261
process_vm_readv 310 270, process_vm_writev 311 271, unshare 272 97, setns 308 268, mount 165 40
bpf 321 280, userfaultfd 323 282, keyctl 250 219, add_key 248 217
"""
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ = (1 << 2) | (1 << 3)
_ACCESS_OF_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1}  # from version 3 on also truncating

_REFUSED = """
socket. subprocess. os.exec os.fork os.posix_spawn os.spawn os.system os.kill pty. ctypes. sys.addaudithook resource.
signal.pthread_kill mmap. syslog. webbrowser. http. urllib. ftplib. smtplib.
"""
_ON_FILES = """
os.remove os.rename os.rmdir os.mkdir os.link os.symlink os.chmod os.chown os.truncate os.utime os.setxattr os.listdir os.scandir
os.chdir shutil.rmtree shutil.move shutil.copyfile
"""
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")  # shared ones, which modules of Python need
_MODULES = ("ctypes", "_ctypes", "_posixsubprocess", "_socket", "_multiprocessing", "_winapi")


def main() -> None:
    """Reads the work, closes the sandbox, runs it, and writes what came of it."""
    work = json.loads(sys.stdin.buffer.read())
    pipe, token = int(work["pipe"]), str(work["token"]).encode()
    try:
        close(work["cpu_s"], work["memory_bytes"], work["file_bytes"])
    except OSError as exc:
        os.write(pipe, token + b"open: " + str(exc).encode()[:200])
        return
    outcome = b"passed" if passes(work["code"], work["tests"]) else b"failed"
    os.write(pipe, token + outcome)


def passes(code: str, tests: str) -> bool:
    """Return True if neither the code nor the tests raise."""
    namespace: dict[str, object] = {"__name__": "answer"}
    with contextlib.suppress(BaseException):  # SystemExit and KeyboardInterrupt are the code's, too
        exec(compile(code, "answer", "exec"), namespace)
        exec(compile(tests, "tests", "exec"), namespace)
        return True
    return False


def close(cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """Gives up everything that the code must not have.

    Raises:
        OSError: the system refuses a part without which the code could reach the network or other processes.
    """
    set_limits(cpu_s, memory_bytes, file_bytes)
    folder = os.path.realpath(os.getcwd())
    readable = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    libraries = {path for path in _LIBRARIES if os.path.isdir(path)}
    if sys.platform == "linux":
        close_kernel(folder, readable | libraries)
    for name in [name for name in sys.modules if name.partition(".")[0] in _MODULES]:
        del sys.modules[name]
    sys.addaudithook(_hook(folder, (folder, *readable, "/dev/null", "/dev/urandom")))


def set_limits(cpu_s: int, memory_bytes: int, file_bytes: int) -> None:
    """Limits of the process."""
    limits = [
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ]
    for name, value in limits:
        with contextlib.suppress(ValueError):  # macOS has no limit of the address space
            resource.setrlimit(name, (value, value))


def close_kernel(folder: str, readable: set[str]) -> None:
    """Lets the Linux kernel refuse files outside, sockets, programs, processes and signals.

    Raises:
        OSError: the kernel has no filter of system calls, or the machine is not known.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    _landlock(libc, folder, readable)
    _seccomp(libc)


def _checked(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _landlock(libc: ctypes.CDLL, folder: str, readable: set[str]) -> None:
    """Leaves only the folder, and for reading Python's own files. Kernels older than 5.13 do not have it."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return
    access = _ACCESS_OF_VERSION.get(version, (1 << 15) - 1)
    ruleset = _checked(libc.syscall(_LANDLOCK_CREATE, struct.pack("Q", access), 8, 0), "landlock_create_ruleset")
    for path, allowed in [
        (folder, access),
        *((path, _READ) for path in readable),
        ("/dev/null", _READ | 2),
        ("/dev/urandom", 4),
    ]:
        if not os.path.isdir(path):
            allowed &= (1 << 1) | (1 << 2)
        handle = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
        _checked(libc.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, handle), 0), "landlock_add_rule")
        os.close(handle)
    _checked(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _seccomp(libc: ctypes.CDLL) -> None:
    """Lets each denied system call fail with EPERM."""
    if platform.machine() not in _MACHINES:
        raise OSError(EPERM, f"no filter of system calls for {platform.machine()}")
    column, machine = _MACHINES[platform.machine()]
    denied = [int(call.split()[1 + column]) for call in _DENIED.replace("\n", ",").split(",") if call.strip()]
    filters = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, machine), (RETURN, 0, 0, SECCOMP_KILL), (LOAD, 0, 0, 0)]
    filters += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, SECCOMP_ERRNO)]
    for number in filter(None, denied):
        filters += [(EQUAL, 0, 1, number), (RETURN, 0, 0, SECCOMP_ERRNO)]
    filters.append((RETURN, 0, 0, SECCOMP_ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *item) for item in filters))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(filters), ctypes.addressof(code)))
    _checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0), "seccomp")


def _hook(folder: str, readable: tuple[str, ...]) -> Callable[[str, tuple[object, ...]], None]:
    """An audit hook that refuses the network, other programs, and files outside."""
    refused, on_files = tuple(_REFUSED.split()), frozenset(_ON_FILES.split())

    def inside(path: object, folders: tuple[str, ...]) -> bool:
        if isinstance(path, int):
            return True
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return any(real == item or real.startswith(item + os.sep) for item in folders)

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(refused) or (event == "import" and arguments[0] in _MODULES):
            raise PermissionError(EPERM, event)
        if event == "open":
            path, _, flags = arguments[:3]
            writes = bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
            if not inside(path, (folder, "/dev/null") if writes else readable):
                raise PermissionError(EPERM, event)
        elif event in on_files and not all(
            inside(item, (folder,)) for item in arguments if isinstance(item, str | bytes)
        ):
            raise PermissionError(EPERM, event)

    return refuse


if __name__ == "__main__":
    main()
