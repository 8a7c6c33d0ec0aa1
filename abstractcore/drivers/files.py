"""Files, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import stat
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Replace *path* by *data*: a kill at any moment leaves the old file or the new one.

    Only the owner may read it (mode 0600). A link is followed; a folder, pipe or device is not
    replaced. Raises OSError, or ValueError for a path that none can be; the old file is then
    untouched.
    """
    path = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # In C from the descriptor to the file that owns it: Ctrl-C finds no moment at which nobody does.
        with open(draft, "xb", opener=functools.partial(os.open, mode=0o600)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    # The file is whole and in its place: a file system that cannot sync a folder changes nothing of that.
    opened: list[int] = []
    with contextlib.suppress(OSError):
        try:
            opened.extend(map(os.open, [folder], [os.O_RDONLY]))  # as above: no file object takes a folder
            os.fsync(opened[0])
        finally:
            for handle in opened:
                os.close(handle)
