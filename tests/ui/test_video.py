"""The Video tab's events without a server: what is read, kept, stopped and taken away."""

import csv
import json
import re
from base64 import b64decode
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pyarrow.parquet as pq
import pytest

from fer_space.render.html import Drawing
from fer_space.ui import video
from fer_space.ui.video import KEPT, Videos, lay_out_video, stage_of
from tests.toys import TOY_SPECS, first_cells
from tests.ui.desk import LOOKS, Desk, click
from tests.vision.films import film, sound_alone

NAMES = [spec.name for spec in TOY_SPECS]
WIDE = (128, 72)  # in which the toy finds two faces


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


class Cinema:
    """A visitor at the Video tab."""

    def __init__(self, page: str = "a page", desk: Desk | None = None) -> None:
        desk = desk or Desk(NAMES)
        with gr.Blocks():
            self.screen = lay_out_video(Drawing(LOOKS, {}, first_cells))
        self.videos = Videos(self.screen, desk.sidebar, desk.frames, Drawing(LOOKS, {}, first_cells))
        self.request = SimpleNamespace(session_hash=page)

    def read(self, path: object, models: tuple[str, ...] = ("toy_lite", "toy_ran")) -> list[tuple[str, str]]:
        event = click(path=str(path), name="clip.mp4")
        shown = self.videos.read(self.request, event, models)
        return [(one[self.screen.progress], one[self.screen.timeline]) for one in shown]

    def take(self, kind: str) -> bytes:
        link = self.videos.take(self.request, click(kind=kind))
        return b64decode(re.search(r"base64,([^\"]+)", link).group(1))


def test_a_video_is_read_to_the_end_and_its_copy_is_gone(uploads: Path):
    path, cinema = film(uploads / "clip.mp4", 24, size_wh=WIDE), Cinema()
    progress, timeline = cinema.read(path)[-1]
    assert "The video was read" in progress
    assert timeline.count("data-labels") == 2
    assert timeline.count("data-track") == 2
    assert list(uploads.rglob("*.mp4")) == []


def test_progress_is_told_while_it_is_read(uploads: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video, "SHOWN_EVERY", 0.0)
    steps = Cinema().read(film(uploads / "clip.mp4", 24, size_wh=WIDE))
    assert len(steps) >= 10
    assert "of 2 seconds" in steps[5][0]
    assert "s left" in steps[5][0]


def test_another_face_can_be_chosen_and_nonsense_changes_nothing(uploads: Path):
    cinema = Cinema()
    first = cinema.read(film(uploads / "clip.mp4", 12, size_wh=WIDE))[-1][1]
    assert "Face 1 over time" in first
    assert "Face 2 over time" in cinema.videos.choose(cinema.request, click(track=2))
    for nonsense in (99, "x", None):
        assert "Face 2 over time" in cinema.videos.choose(cinema.request, click(track=nonsense))


def test_rows_are_taken_away_as_csv_json_and_parquet(uploads: Path):
    cinema = Cinema()
    cinema.read(film(uploads / "clip.mp4", 24, size_wh=WIDE))
    rows = json.loads(cinema.take("json"))
    frames = {row["frame"] for row in rows}
    assert len(rows) == len(frames) * 2 * 2  # faces and models
    assert {row["source"] for row in rows} == {"clip.mp4"}
    assert len(list(csv.DictReader(StringIO(cinema.take("csv").decode())))) == len(rows)
    assert pq.read_table(BytesIO(cinema.take("parquet"))).to_pylist() == rows
    assert cinema.videos.take(cinema.request, click(kind="exe")) == gr.skip()


def test_a_long_video_is_cut_with_a_sentence(uploads: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video, "SECONDS", 1.0)
    cinema = Cinema()
    _, timeline = cinema.read(film(uploads / "clip.mp4", 36, size_wh=WIDE))[-1]
    assert "longer than" in timeline
    assert max(row["time"] for row in json.loads(cinema.take("json"))) <= 1.0


def test_stopping_keeps_what_was_read_and_leaving_stops(uploads: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video, "SHOWN_EVERY", 0.0)
    cinema = Cinema()
    for number, end in enumerate((cinema.videos.stop, cinema.videos.leave)):
        path = film(uploads / "clip.mp4", 60, size_wh=WIDE)
        event = click(path=str(path), name="clip.mp4", stamp=number)
        steps = cinema.videos.read(cinema.request, event, ("toy_lite",))
        next(steps), next(steps)
        if end == cinema.videos.stop:
            end(cinema.request, click(stamp=1))
            (last,) = steps
            assert "Reading was stopped" in last[cinema.screen.timeline]
        else:
            end(cinema.request)
            assert list(steps) == []
    assert cinema.videos.choose(cinema.request, click(track=1)) == gr.skip()
    assert "not kept any more" in cinema.videos.take(cinema.request, click(kind="csv"))


def test_a_stop_holds_for_a_video_that_arrives_or_has_its_turn_later(uploads: Path):
    cinema = Cinema()
    cinema.videos.stop(cinema.request, click(stamp=2))
    late = click(path=str(film(uploads / "clip.mp4", 6, size_wh=WIDE)), name="clip.mp4", stamp=1)
    (only,) = cinema.videos.read(cinema.request, late, ("toy_lite",))
    assert "Reading was stopped" in only[cinema.screen.progress]
    assert list(uploads.rglob("*.mp4")) == []
    next_one = click(path=str(film(uploads / "clip.mp4", 6, size_wh=WIDE)), name="clip.mp4", stamp=3)
    *_, last = cinema.videos.read(cinema.request, next_one, ("toy_lite",))
    assert "The video was read" in last[cinema.screen.progress]
    old = click(path=str(film(uploads / "clip.mp4", 6, size_wh=WIDE)), name="clip.mp4", stamp=2)
    assert list(cinema.videos.read(cinema.request, old, ("toy_lite",))) == []


def test_a_stop_that_comes_late_leaves_the_next_video_alone(uploads: Path):
    cinema = Cinema()
    event = click(path=str(film(uploads / "clip.mp4", 6, size_wh=WIDE)), name="clip.mp4", stamp=3)
    steps = cinema.videos.read(cinema.request, event, ("toy_lite",))
    next(steps)
    cinema.videos.stop(cinema.request, click(stamp=2))
    *_, last = steps
    assert "The video was read" in last[cinema.screen.progress]


@pytest.mark.parametrize("fps", [25, 10])
def test_a_face_is_seen_for_as_long_as_the_video_shows_it(fps: int, uploads: Path):
    timeline = Cinema().read(film(uploads / "clip.mp4", 3 * fps, fps=fps, size_wh=WIDE))[-1][1]
    assert [f"Face {number}, 3 s" in timeline for number in (1, 2)] == [True, True]


def test_a_new_video_stops_the_one_before(uploads: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video, "SHOWN_EVERY", 0.0)
    cinema = Cinema()
    old = cinema.videos.read(
        cinema.request, click(path=str(film(uploads / "a.mp4", 60, size_wh=WIDE)), name="a"), ("toy_lite",)
    )
    next(old), next(old)
    cinema.read(film(uploads / "b.mp4", 12, size_wh=WIDE))
    assert list(old) == []


def test_readings_of_few_pages_are_kept(uploads: Path):
    cinema = Cinema()
    for number in range(KEPT + 2):
        cinema.request = SimpleNamespace(session_hash=str(number))
        cinema.read(film(uploads / "clip.mp4", 6, size_wh=WIDE), ("toy_lite",))
    assert len(cinema.videos._reels) == KEPT


def test_a_video_that_is_being_read_is_kept_whoever_comes(uploads: Path):
    cinema = Cinema()
    event = click(path=str(film(uploads / "clip.mp4", 6, size_wh=WIDE)), name="clip.mp4")
    steps = cinema.videos.read(SimpleNamespace(session_hash="long"), event, ("toy_lite",))
    next(steps)
    for number in range(KEPT + 2):
        cinema.request = SimpleNamespace(session_hash=str(number))
        cinema.read(film(uploads / "short.mp4", 6, size_wh=WIDE), ("toy_lite",))
    *_, last = steps
    assert "The video was read" in last[cinema.screen.progress]
    assert len(cinema.videos._reels) == KEPT


def test_of_two_quick_clicks_on_faces_the_newer_is_shown(uploads: Path):
    cinema = Cinema()
    cinema.read(film(uploads / "clip.mp4", 12, size_wh=WIDE))
    assert "Face 2 over time" in cinema.videos.choose(cinema.request, click(track=2, stamp=2))
    assert cinema.videos.choose(cinema.request, click(track=1, stamp=1)) == gr.skip()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "gone.mp4", "did not arrive"),
        (lambda folder: "/etc/passwd", "did not arrive"),
        (lambda folder: folder.parent / "uploads" / ".." / ".." / "x", "did not arrive"),
        (lambda folder: sound_alone(folder / "a.mp4"), "only other streams"),
        (lambda folder: film(folder / "a.mp4", 6, size_wh=(64, 64), codec="libx264"), "No face was found"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(uploads: Path, make, words: str, monkeypatch):
    monkeypatch.setattr("tests.toys._boxes", lambda image: [])
    progress, timeline = Cinema().read(make(uploads))[-1]
    assert words in progress
    assert timeline == ""
    assert not any(file.is_file() for file in uploads.rglob("*"))


def test_a_file_that_is_too_large_is_refused_and_deleted(uploads: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video, "MEGABYTES", 0)
    progress, _ = Cinema().read(film(uploads / "clip.mp4", 6))[-1]
    assert "too large" in progress
    assert list(uploads.rglob("*.mp4")) == []


def test_no_model_is_a_sentence(uploads: Path):
    assert "at least one model" in Cinema().read(film(uploads / "clip.mp4", 3), ())[-1][0]


def test_time_left_is_said_in_words():
    assert stage_of(12.0, 43.0, 6.0) == "Read 12 of 43 seconds, about 16 s left"
    assert stage_of(0.0, 43.0, 0.0) == "Read 0 of 43 seconds"
