"""Videos of every kind that people have, and files that are none: frames, or one sentence."""

import re
import struct
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_space.errors import SourceError, VideoError
from fer_space.vision import filming
from fer_space.vision import video as reading
from fer_space.vision.video import Video, frames, is_video, is_video_file
from tests.vision.films import SIZE, film, picture, sound_alone


def read(path: Path, **how: object) -> list[reading.Frame]:
    with Video(path, **how) as video:
        return list(video)


def squares(image_rgb: np.ndarray) -> tuple[float, float]:
    """Where the middle of the red square is, x and y in parts of the sides."""
    red = image_rgb[..., 0].astype(int) - image_rgb[..., 1] > 60
    ys, xs = np.nonzero(red)
    return float(xs.mean() / image_rgb.shape[1]), float(ys.mean() / image_rgb.shape[0])


def test_frames_come_in_order_with_their_times_and_pictures(tmp_path: Path):
    seen = read(film(tmp_path / "a.mp4"))
    assert [frame.number for frame in seen] == list(range(24))
    assert [frame.time for frame in seen] == pytest.approx([number / 12 for number in range(24)], abs=0.002)
    assert seen[5].image_rgb.shape == (SIZE[1], SIZE[0], 3)
    difference = seen[5].image_rgb.astype(int) - picture(5)
    assert np.abs(difference).mean() < 8


def test_every_so_many_frames_and_steps_of_time(tmp_path: Path):
    path = film(tmp_path / "a.mp4")
    assert [frame.number for frame in frames(path, every=5)] == [0, 5, 10, 15, 20]
    times = [frame.time for frame in read(path, step=0.5)]
    assert times == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.01)


def test_frames_that_do_not_come_evenly_keep_their_times(tmp_path: Path):
    times = [0.0, 0.04, 0.5, 0.54, 2.0, 2.7]
    seen = read(film(tmp_path / "a.mkv", 6, times=times))
    assert [frame.time for frame in seen] == pytest.approx(times, abs=0.002)
    assert [frame.number for frame in read(tmp_path / "a.mkv", step=0.4)] == [0, 2, 4, 5]


def test_a_long_video_is_cut_and_says_so(tmp_path: Path):
    with Video(film(tmp_path / "a.mp4"), seconds=1.0) as video:
        assert video.seconds == pytest.approx(2.0, abs=0.1)
        assert len(list(video)) == 13
        assert video.cut
    with Video(tmp_path / "a.mp4", seconds=5.0) as video:
        assert len(list(video)) == 24
        assert not video.cut


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("ten.mp4", {"codec": "libx265", "pixels": "yuv420p10le"}),
        ("ten.mkv", {"codec": "libx264", "pixels": "yuv422p10le"}),
        ("full.mov", {"codec": "prores_ks", "pixels": "yuv422p10le"}),
        ("web.webm", {"codec": "libvpx-vp9"}),
        ("new.mp4", {"codec": "libsvtav1"}),
        ("old.avi", {"codec": "mpeg4"}),
        ("photos.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
        ("tv.ts", {"codec": "mpeg2video", "fps": 25}),
        ("sound.mp4", {"sound": True}),
    ],
)
def test_kinds_of_video(tmp_path: Path, name: str, how: dict):
    path = film(tmp_path / name, **how)
    assert is_video_file(path)
    seen = read(path)
    assert len(seen) == 24
    x, y = squares(seen[8].image_rgb)
    wanted = squares(picture(8))
    assert (x, y) == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize(("turn", "place"), [(90, "down"), (-90, "up right"), (180, "down right")])
def test_turned_videos_are_set_upright(tmp_path: Path, turn: int, place: str):
    path = film(tmp_path / "a.mp4", 3, turn=turn)
    image = read(path)[0].image_rgb
    assert image.shape[:2] == (SIZE[::-1] if turn == 180 else SIZE)
    x, y = squares(image)
    assert (y > 0.5) == ("down" in place)
    assert (x > 0.5) == ("right" in place)


def test_the_matrix_of_a_telephone_means_a_quarter_clockwise(tmp_path: Path):
    path = film(tmp_path / "a.mp4", 3)
    data = path.read_bytes()
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, SIZE[1] << 16, 0, 1 << 30)
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(upright, clockwise, 1))
    x, y = squares(read(path)[0].image_rgb)  # what was in the upper left corner
    assert x > 0.5
    assert y < 0.5


def test_wide_pixels_are_made_square(tmp_path: Path):
    path = film(tmp_path / "a.mp4", 3, shape=Fraction(2))
    assert read(path)[0].image_rgb.shape == (SIZE[1], 2 * SIZE[0], 3)


def test_large_frames_are_reduced_and_larger_ones_refused(tmp_path: Path):
    path = film(tmp_path / "a.mp4", 2, size_wh=(3840, 2160))
    assert [frame.image_rgb.shape for frame in read(path)] == [(720, 1280, 3)] * 2
    path = film(tmp_path / "b.avi", 1, size_wh=(5120, 2160), codec="mjpeg", pixels="yuvj420p")
    with pytest.raises(VideoError, match="4K"):
        read(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged or cut short, or is none"),
        (b"\0" * 5000, "damaged or cut short, or is none"),
        (b"\0\0\0\x20ftypisom" + b"\xff" * 3000, "damaged or cut short, or is none"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "damaged or cut short, or is none"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "damaged or cut short, or is none"),
        (b"\x1aE\xdf\xa3" + bytes(range(256)) * 9, "damaged or cut short, or is none"),
    ],
)
def test_what_is_no_video_gets_a_sentence(tmp_path: Path, data: bytes, words: str):
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(VideoError, match=words):
        read(tmp_path / "a.mp4")


def test_a_file_with_sound_alone_and_one_that_is_gone(tmp_path: Path):
    with pytest.raises(VideoError, match="only other streams"):
        read(sound_alone(tmp_path / "a.mp4"))
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "gone.mp4")


def test_a_video_that_is_cut_off_gives_what_there_is(tmp_path: Path):
    whole = film(tmp_path / "a.mkv", 48, codec="mjpeg", pixels="yuvj420p").read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) // 2])
    assert 10 < len(read(tmp_path / "half.mkv")) < 40


def test_damage_in_the_middle_is_passed_over_and_counted(tmp_path: Path):
    path = film(tmp_path / "a.avi", 48, size_wh=(320, 240), codec="mjpeg", pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 20_000, 7):
        data[place] ^= 0x55
    path.write_bytes(bytes(data))
    with Video(path) as video:
        assert 20 < len(list(video)) < 48
        assert video.damaged >= 1


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_whatever_bytes_change_there_are_frames_or_a_sentence(tmp_path_factory, data: st.DataObject):
    folder = tmp_path_factory.mktemp("hostile")
    whole = bytearray(film(folder / "a.mp4", 6).read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.mp4").write_bytes(bytes(whole))
    with suppress(VideoError):
        assert len(read(folder / "a.mp4", seconds=60)) <= 60


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = film(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    with pytest.raises(VideoError, match="too much time or memory"):
        read(path)


def test_a_visitors_video_has_processor_time_for_all_of_its_frames_together(tmp_path: Path):
    path = film(tmp_path / "a.mp4", 3)
    for seconds, limit in ((60.0, filming.ALL_SECONDS), (None, -1)):
        with Video(path, seconds=seconds) as video:
            limits = Path(f"/proc/{video.pid}/limits").read_text()
            (said,) = re.findall(r"Max cpu time +(\S+)", limits)
            assert said == ("unlimited" if limit == -1 else str(limit))


def test_a_video_that_is_left_ends_its_decoder(tmp_path: Path):
    with Video(film(tmp_path / "a.mp4", 200)) as video:
        next(iter(video))
    assert video._process.poll() is not None


def test_a_reader_that_is_interrupted_ends_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Half a frame, or the start of a film, must not be taken for what comes next."""

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    path = film(tmp_path / "a.mp4")
    started = []
    start = reading.start_child
    monkeypatch.setattr(reading, "start_child", lambda *a, **o: started.append(start(*a, **o)) or started[-1])
    with Video(path) as video:
        coming = iter(video)
        next(coming)
        with monkeypatch.context() as patch:
            patch.setattr(reading, "receive_into", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(coming)
        with pytest.raises(VideoError, match="too much time"):
            next(iter(video))
    monkeypatch.setattr(reading, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Video(path)
    assert [child.returncode for child in started] == [-9, -9]


def test_the_decoder_waits_where_nobody_takes_frames(tmp_path: Path):
    """All frames together would be 553 MB."""
    with Video(film(tmp_path / "a.mp4", 200, size_wh=(1280, 720))) as video:
        next(iter(video))
        process, spent = Path(f"/proc/{video.pid}"), -1
        while spent != (spent := sum(map(int, (process / "stat").read_text().split()[13:15]))):
            time.sleep(0.5)  # until it does nothing any more
        kilobytes = int((process / "status").read_text().split("VmRSS:")[1].split()[0])
        assert kilobytes < 300_000


def test_pictures_are_no_videos():
    assert not is_video((Path(__file__).parents[2] / "examples" / "astronaut.jpg").read_bytes()[:400])
    assert not is_video(b"")
    assert is_video(b"\0\0\0\x14ftypqt  ")
