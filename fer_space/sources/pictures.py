"""Which files are pictures: one rule for `fer-space predict` and for every reader of data.

A file is one by the end of its name, or, where its name has no ending, by its first bytes. Hidden files are
none: macOS writes "._IMG.JPG" beside IMG.JPG on foreign disks, which holds no picture.
"""

import os
from collections.abc import Callable
from pathlib import Path

PICTURE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".heic", ".heif", ".hif", ".avif",
    ".gif", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jp2", ".j2k", ".jpf", ".jpx", ".j2c",
))  # fmt: skip

_SIGNS = (  # how files begin that may come without an ending: (offset, bytes)
    (0, b"\xff\xd8\xff"),  # JPEG
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF8"),
    (8, b"WEBP"),
    (4, b"ftyphei"),  # HEIC and its relatives
    (4, b"ftypmif1"),
    (4, b"ftypavi"),  # AVIF, one picture or several
    (0, b"II*\0"),  # TIFF
    (0, b"MM\0*"),
    (4, b"jP  \r\n\x87\n"),  # JPEG 2000
    (0, b"\xff\x4f\xff\x51"),
)


def has_picture_name(name: str) -> bool:
    """Whether a file's name ends like that of a picture format that is read, and is not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def is_picture_file(path: Path) -> bool:
    """Whether a path is a file, and a picture by its name or, without an ending, by its first bytes."""
    if path.name.startswith(".") or not path.is_file():
        return False
    return has_picture_name(path.name) or (not path.suffix and _begins_like_one(path))


def pictures_below(folder: Path, failed: Callable[[OSError], None]) -> tuple[list[Path], int]:
    """Find the pictures of a folder and of its sub-folders.

    Args:
        folder: where to look. Links to other folders are not followed, hidden folders not entered.
        failed: is told of every sub-folder that cannot be read.

    Returns:
        The pictures in the order of their paths, and how many other files there are.
    """
    pictures, others = [], 0
    for place, folders, names in os.walk(folder, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = [path for name in names if is_picture_file(path := Path(place, name))]
        pictures += here
        others += len(names) - len(here)
    return sorted(pictures), others


def _begins_like_one(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return True  # reading it will say why it cannot be read
    return any(head[offset : offset + len(sign)] == sign for offset, sign in _SIGNS)
