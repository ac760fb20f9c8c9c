"""Many photos and zips become one table, whatever lies in them."""

import tracemalloc
import zlib
from contextlib import suppress
from types import SimpleNamespace
from zipfile import ZIP_BZIP2

import pytest

from fer_space.errors import ImageError, InputError
from fer_space.render.album import album_csv
from fer_space.ui.album import MOST, pictures_in, read_album
from fer_space.ui.events import named_files
from fer_space.ui.reading import read_picture
from fer_space.ui.session import FORGOTTEN, Answer, Options, Session, Sessions
from fer_space.vision.imaging import MAX_BYTES
from tests.ui.conftest import EXAMPLES, zipped
from tests.ui.desk import TWO, Desk

PORTRAIT, PAIR = ((EXAMPLES / name).read_bytes() for name in ("astronaut.jpg", "two_faces.jpg"))
OPTIONS = Options(tuple(TWO))


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def _read(desk: Desk, files: list[tuple[str, bytes]], session: Session | None = None) -> list[Answer]:
    return list(read_album(desk.runs, session or Session(Answer()), OPTIONS, files))


def test_photos_and_zips_become_one_table(desk: Desk) -> None:
    packed = zipped(
        {"a/pair.jpg": PAIR, "a/notes.txt": b"no", "__MACOSX/a/._pair.jpg": b"no", "empty.png": b""}
    )
    answers = _read(desk, [("one.jpg", PORTRAIT), ("more.zip", packed), ("broken.jpg", b"rubbish")])
    assert [a.stage for a in answers][:2] == [
        "Reading photo 1 of 4: one.jpg",
        "Reading photo 2 of 4: pair.jpg",
    ]
    last = answers[-1]
    assert (last.stage, last.picture, last.left_out) == ("", None, 0)
    assert [entry.name for entry in last.album] == ["one.jpg", "a/pair.jpg", "empty.png", "broken.jpg"]
    assert [len(entry.verdicts) for entry in last.album] == [1, 2, 0, 0]
    assert [bool(entry.problem) for entry in last.album] == [False, False, True, True]
    assert last.album[1].tally.startswith(("1 ", "2 "))
    lines = album_csv(last.album).splitlines()
    assert lines[0].startswith("source,face,")
    assert len(lines) == 1 + 3 * (len(TWO) + 1)
    assert {line.split(",")[0] for line in lines[1:]} == {"one.jpg", "a/pair.jpg"}


def test_what_is_kept_is_counted(desk: Desk) -> None:
    during, last = (_read(desk, [("one.jpg", PORTRAIT), ("two.jpg", PAIR)])[place] for place in (1, -1))
    assert during.size >= len(PORTRAIT) + len(PAIR) + len(during.album[0].table)
    tables = sum(len(entry.table) for entry in last.album)
    assert tables < last.size < tables + 5_000
    sessions = Sessions(Answer(), limit=last.size)
    kept, other = (sessions.of(SimpleNamespace(session_hash=name)) for name in "ab")
    kept.begin(last)
    other.begin(last)
    sessions.of(SimpleNamespace(session_hash="b"))
    assert (kept.answer.problem, other.answer.problem) == (FORGOTTEN, "")


def test_newer_work_ends_it_between_two_photos(desk: Desk) -> None:
    session = Session(Answer())
    work = read_album(desk.runs, session, OPTIONS, [("one.jpg", PORTRAIT)] * 3)
    next(answer for answer in work if answer.album)
    session.begin(Answer())
    assert list(work) == []
    assert session.answer.album == ()


def test_no_more_than_a_hundred(desk: Desk) -> None:
    last = _read(desk, [(f"{i}.jpg", b"") for i in range(MOST + 3)])[-1]
    assert (len(last.album), last.left_out) == (MOST, 3)


def _forged(data: bytes, size: int, said: int) -> bytes:
    """A zip whose headers say another size than its member has."""
    return data.replace(size.to_bytes(4, "little"), said.to_bytes(4, "little"))


def test_no_more_is_unpacked_than_a_member_says_it_has() -> None:
    data = _forged(zipped({"a.jpg": bytes(200_000_000)}), 200_000_000, 1000)
    ((_, give),) = pictures_in([("forged.zip", data)])
    tracemalloc.start()
    try:
        with suppress(ImageError):
            assert len(give()) <= 1000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_other_settings_end_no_album(desk: Desk) -> None:
    session = Session(Answer())
    work = read_album(desk.runs, session, OPTIONS, [("one.jpg", PORTRAIT)] * 3)
    next(answer for answer in work if answer.album)
    assert list(read_picture(desk.runs, session, Options((TWO[0],)))) == []
    assert len(list(work)[-1].album) == 3


@pytest.mark.parametrize(
    "files", [[], [("empty.zip", zipped({"notes.txt": b"no"}))]], ids=["none", "no picture"]
)
def test_nothing_to_read_is_said(files: list[tuple[str, bytes]], desk: Desk) -> None:
    assert [answer.problem for answer in _read(desk, files)] == ["No photo was found in what you chose."]


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish",
        b"",
        zipped({"a.jpg": PORTRAIT})[:-30],
        zipped({"a.jpg": PORTRAIT}).replace(zlib.compress(PORTRAIT)[10:40], bytes(30)),
        zipped({"a.jpg": PORTRAIT}, ZIP_BZIP2),
        zipped({"a.jpg": bytes(MAX_BYTES + 1)}),
        _forged(zipped({"a.jpg": bytes(MAX_BYTES + 1)}), MAX_BYTES + 1, 1000),
    ],
    ids=["rubbish", "empty", "cut off", "damaged", "bzip2", "a bomb", "a bomb with a forged size"],
)
def test_a_bad_zip_is_one_sentence_in_its_row(data: bytes, desk: Desk) -> None:
    last = _read(desk, [("bad.zip", data), ("one.jpg", PORTRAIT)])[-1]
    assert [bool(entry.problem) for entry in last.album] == [True, False]


def test_a_member_is_unpacked_when_its_turn_comes() -> None:
    pictures = pictures_in([("all.zip", zipped({"a.jpg": b"1", "b.jpg": b"2"}))])
    assert [(name, give()) for name, give in pictures] == [("a.jpg", b"1"), ("b.jpg", b"2")]


@pytest.mark.parametrize("sent", [None, "x", [1], {"name": "a"}], ids=str)
def test_a_forged_message_is_refused(sent: object) -> None:
    with pytest.raises(InputError):
        named_files(sent)


def test_a_file_that_is_no_data_uri_is_refused() -> None:
    with pytest.raises((InputError, ImageError)):
        named_files([{"name": "a.jpg", "data": "/etc/passwd"}])
