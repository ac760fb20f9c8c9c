"""Many photos, or a zip of them, read one after the other into a table; the photos themselves are let go."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from fer_space.comparison import Comparison
from fer_space.errors import FerSpaceError, ImageError
from fer_space.render.album import Entry, entry_of
from fer_space.sources.pictures import has_picture_name
from fer_space.ui.reading import FACES, SLICE, Runs, left_to_right, working
from fer_space.ui.session import NO_MODEL, NOTHING_FOUND, Answer, Options, Session
from fer_space.vision.imaging import MAX_BYTES

MOST = 100  # photos; more are left out, and it is said how many
_LOCKED = 1  # the bit of a member that wants a password

Give = Callable[[], bytes]


def pictures_in(files: Sequence[tuple[str, bytes]]) -> list[tuple[str, Give]]:
    """List pictures by name with what gives their bytes, those inside of zips among them.

    Folders of a zip, and files that are no pictures by their name, are passed over. What gives a picture
    raises ImageError where it cannot be unpacked; it never unpacks more than a picture may have.
    """
    found: list[tuple[str, Give]] = []
    for name, data in files:
        if not name.lower().endswith(".zip"):
            found.append((name, partial(bytes, data)))
            continue
        try:
            archive = ZipFile(BytesIO(data))
        except (BadZipFile, OSError, ValueError, NotImplementedError):
            found.append((name, _damaged))
            continue
        for info in archive.infolist():
            path = PurePosixPath(info.filename)
            if not info.is_dir() and "__MACOSX" not in path.parts and has_picture_name(path.name):
                found.append((info.filename, partial(_member, archive, info)))
    return found


def _damaged() -> bytes:
    raise ImageError("It is no zip, or a damaged one.")


def _member(archive: ZipFile, info: ZipInfo) -> bytes:
    if info.file_size > MAX_BYTES:
        raise ImageError(f"It is larger than {MAX_BYTES // 1_000_000} MB.")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or info.flag_bits & _LOCKED:
        raise ImageError("It is locked, or packed in a way that is not read here.")
    try:
        with archive.open(info) as member:  # archive.read would unpack what a forged size hides, then cut it
            return member.read(info.file_size)
    except (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise ImageError("It is damaged and cannot be unpacked.") from error


def read_album(
    runs: Runs, session: Session, options: Options, files: Sequence[tuple[str, bytes]]
) -> Iterator[Answer]:
    """Read photos one after the other, and say after each how far that is.

    Where a newer piece of work takes over, this one ends.

    Yields:
        Answers without a picture whose `album` grows by an entry a photo.
    """
    ticket = session.start((tuple(name for name, _ in files), options))
    if ticket is not None:
        waiting = sum(len(data) for _, data in files)
        steps = _read(runs.of(session.who), options, pictures_in(files), waiting)
        yield from working(session, ticket, Answer(options=options), steps)


def _read(
    runs: Runs, options: Options, files: Sequence[tuple[str, Give]], waiting: int
) -> Iterator[tuple[Answer, None]]:
    answer = Answer(options=options, waiting=waiting)
    if not options.backbones or not files:
        problem = "No photo was found in what you chose." if options.backbones else NO_MODEL
        yield replace(answer, problem=problem, waiting=0), None
        return
    chosen = files[:MOST]
    for number, (name, give) in enumerate(chosen, start=1):
        stage = f"Reading photo {number} of {len(chosen)}: {PurePosixPath(name).name}"
        yield replace(answer, stage=stage, share=(number - 1) / len(chosen)), None
        answer = replace(answer, album=(*answer.album, _entry(runs, options, name, give)))
    yield replace(answer, left_out=len(files) - len(chosen), waiting=0), None


def _entry(runs: Runs, options: Options, name: str, give: Give) -> Entry:
    try:
        comparisons = _comparisons(runs, options, give())
    except FerSpaceError as error:
        return Entry(name, problem=str(error))
    if not comparisons:
        return Entry(name, problem=NOTHING_FOUND)
    return entry_of(name, comparisons)


def _comparisons(runs: Runs, options: Options, data: bytes) -> list[Comparison]:
    """The faces of one photo from left to right, without maps."""
    image = runs.decode(data)
    faces = left_to_right(runs.find(image, options.detector)[:FACES])
    read: list[Comparison] = []
    for start in range(0, len(faces), SLICE):
        part = faces[start : start + SLICE]
        columns = [readings for _, readings in runs.steps(image, options, part, maps=False)]
        read += runs.together(part, columns, options.ensemble)
    return read
