"""A fresh interpreter that reports what its code does to the world: sockets, processes, files.

Python's own audit hooks tell: https://docs.python.org/3/library/audit_events.html. Nothing is hindered,
so that what is done inside a `try` is seen too.
"""

from __future__ import annotations

import subprocess
import sys

WATCH = """
import os, sys, sysconfig

STDLIB = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
ALLOWED = [*STDLIB, *(os.path.realpath(path) for path in {readable!r})]
FORBIDDEN = (
    "socket.", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.system", "os.startfile",
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.chown", "os.utime", "os.putenv", "os.unsetenv", "shutil.", "tempfile.", "urllib.", "http.client.",
    "signal.", "ctypes.dlopen", "webbrowser.",
)
LOOKING = ("open", "os.listdir", "os.scandir")
seen = []

def is_allowed(path):
    if isinstance(path, int):
        return True
    path = os.path.realpath(os.fsdecode(path))
    return any(path == root or path.startswith(root + os.sep) for root in ALLOWED)

def watch(event, args):
    if not is_watching or (args and args[0] is None):
        return
    if event.startswith(FORBIDDEN):
        seen.append((event, str(args[0])[:200] if args else ""))
    elif event == "open" and (set(str(args[1])) & set("wax+") or (args[2] or 0) & WRITING):
        seen.append(("writes", os.fsdecode(args[0]) if not isinstance(args[0], int) else args[0]))
    elif event in LOOKING and not is_allowed(args[0]):
        seen.append(("reads", os.fsdecode(args[0])))

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
is_watching = True
sys.addaudithook(watch)
try:
    exec({code!r}, {{"__name__": "__main__"}})
finally:
    is_watching = False
    for event, what in seen:
        print(event, what)
"""


def done_by(code: str, *, readable: list[str]) -> list[str]:
    """What *code* does beyond reading the standard library and what lies under *readable*."""
    program = WATCH.format(code=code, readable=readable)
    # -I: no site of the user, no PYTHON variables; -B: no bytecode is written, which is Python's own doing.
    command = [sys.executable, "-I", "-B", "-X", "frozen_modules=on", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()
