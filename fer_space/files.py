"""Files that matter: their sha256, and writing them so that a crash leaves the old one or the new one."""

import errno
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from fer_space.errors import FerSpaceError, OutputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_OF_RUST = re.compile(r"\(os error (\d+)\)")


def shipped(name: str) -> Path:
    """Where weights, examples or docs lie: in a checkout or a Space, else in `fer-space-weights`.

    Args:
        name: of the file or folder, which need not exist.
    """
    checkout = Path(__file__).parents[1]
    if (checkout / "app.py").is_file():
        return checkout / name
    package = find_spec("fer_space_weights")
    folders = (package.submodule_search_locations if package else None) or [str(checkout)]
    return Path(next(iter(folders))) / name


def search_path() -> str:
    """Where this process finds modules, as a child's PYTHONPATH: it may have been started elsewhere."""
    return os.pathsep.join(os.path.abspath(folder) for folder in sys.path)  # noqa: PTH100, "" is here


def sha256_of(path: Path) -> str:
    """Compute the hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name that replaces it when all went well.

    The folder is made if need be. What goes wrong inside, Ctrl-C included, leaves the old file as it was and
    no partial one behind; the file mode follows the umask, as for any new file.

    Args:
        path: the file to be written or replaced.

    Yields:
        The temporary path in the same folder, to be written by any library.

    Raises:
        OutputError: the disk is full or read-only, or the folder is closed; the sentence names the file.

    Example:
        with replacing(Path("card.json")) as temporary:
            temporary.write_text(text)
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)  # with the mode that the umask gives
        mode = temporary.stat().st_mode
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        yield temporary
        temporary.chmod(mode)  # a library may have put a file of its own in that place
        temporary.replace(path)
    except (BrokenPipeError, FerSpaceError):  # the pipe is of what is printed meanwhile
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    except Exception as error:
        if reason := _reason(error):
            raise OutputError(f"{path} cannot be written: {reason}.") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """What the system said where a library hides a full disk in an error of its own, else ""."""
    hidden = error.__context__  # torch's writer fails once more when it closes a file without its end
    if isinstance(hidden, OSError) and hidden.errno in _NO_ROOM:
        return os.strerror(hidden.errno)
    found = _OF_RUST.search(str(error))
    return os.strerror(int(found[1])) if found else ""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
