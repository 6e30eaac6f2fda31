"""Files replaced as a whole: a reader sees the old text or the new, never a part."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

OWNER_ONLY = 0o600


def replace_file(path: Path, text: str, mode: int) -> bool:
    """Let the file have this text and this mode.  False: it had them already.

    The new file has its mode from the first moment, is on disk before it gets
    the name, and replaces the target of a symbolic link, not the link.  Raises
    OSError.
    """
    path = path.resolve()
    content = text.encode(errors="surrogateescape")
    if _is(path, content, mode):
        return False
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)
    return True


def remove_file(path: Path) -> bool:
    """Let there be no such file.  False: there was none.  Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_directory(path.parent)
    return True


def sync_directory(directory: Path) -> None:
    """Make the names in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is(path: Path, content: bytes, mode: int) -> bool:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
                return False
            return file.read() == content
    except FileNotFoundError:
        return False
