"""Counting the machine's instructions of a span, in a process that runs under valgrind's callgrind.

Callgrind is asked through the few instructions that its header describes, which do nothing elsewhere: a
count begins and ends between two bytecodes, and the import of a client is not slowed by counting.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_BASE = (ord("C") << 24) | (ord("T") << 16)
_DUMP, _ZERO, _START, _STOP = _BASE, _BASE + 1, _BASE + 4, _BASE + 5
# mov rax, rdi; xor edx, edx; rol rdi, 3, 13, 61, 51; xchg rbx, rbx; mov rax, rdx; ret
_CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


def missing() -> str:
    """Why instructions cannot be counted here; empty when they can."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"not written for {platform.machine()}"
    return "" if shutil.which("valgrind") else "valgrind is not installed"


def command(out: Path) -> list[str]:
    """What stands before a program whose spans are counted into *out*.1, *out*.2, and so on."""
    return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]


def counted(out: Path, number: int) -> int:
    """The instructions of the span *number*, counted from 1."""
    found = _TOTALS.search(Path(f"{out}.{number}").read_text())
    assert found, f"{out}.{number} says no total"
    return int(found[1])


def counter() -> Callable[[], object]:
    """Make a context manager whose body is a span."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_CODE)
    held = ctypes.c_char.from_buffer(page)
    request = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64 * 6))(ctypes.addressof(held))

    def ask(what: int) -> None:
        assert held is not None  # the page goes with the last that holds it
        request(ctypes.byref((ctypes.c_uint64 * 6)(what)))

    @contextmanager
    def span() -> Iterator[None]:
        ask(_START)
        ask(_ZERO)
        yield
        ask(_DUMP)
        ask(_STOP)

    return span
