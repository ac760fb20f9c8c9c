import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from fer_space.card import Card
from fer_space.commands import predict
from fer_space.model import Model
from tests.running import run
from tests.vision.films import film

pytestmark = pytest.mark.usefixtures("seeing")


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_lines_follow_the_contract(pictures: Path, capsys: pytest.CaptureFixture[str]):
    run("predict", pictures, "--json", "--device", "cpu")
    lines = lines_of(capsys)
    assert [Path(line["source"]).name for line in lines] == ["a.png", "b.jpg"]
    (face,) = lines[0]["faces"]
    assert (lines[0]["width"], lines[0]["height"]) == (80, 60)
    assert list(face) == ["box_xyxy", "score", "landmarks", "doubts", "backbones", "consensus"]
    keys = ["label", "probabilities", "valence", "arousal", "va_source", "ms", "runtime"]
    assert list(face["backbones"]["tiny"]) == keys
    assert sum(face["backbones"]["tiny"]["probabilities"].values()) == pytest.approx(1.0)
    consensus = face["consensus"]
    assert set(consensus) == {
        "label",
        "probabilities",
        "rule",
        "unsure",
        "votes",
        "agreement",
        "disagreement_bits",
    }
    assert consensus["rule"] == "mean"


def test_one_bad_source_of_many_is_reported_and_the_rest_are_done(
    pictures: Path, capsys: pytest.CaptureFixture[str]
):
    (pictures / "c.jpg").write_text("no picture")
    run("predict", pictures, pictures / "gone.png", "--device", "cpu", status=1)
    out, err = capsys.readouterr()
    assert out.count("1 face\n") == 2
    assert len(err.splitlines()) == 2
    assert "c.jpg" in err
    assert "gone.png" in err


def test_overlays_are_written(pictures: Path, tmp_path: Path):
    run("predict", pictures, "--cam", tmp_path / "cam", "--device", "cpu")
    written = sorted(path.name for path in (tmp_path / "cam").iterdir())
    assert len(written) == 4
    assert written[0].startswith("001-a-face1-tiny-")
    with Image.open(tmp_path / "cam" / written[0]) as overlay:
        assert overlay.size == (224, 224)
    with Image.open(tmp_path / "cam" / "001-a-photo-tiny.png") as whole:
        assert whole.size == (80, 60)


def test_one_emotion_is_explained_for_every_face(pictures: Path, tmp_path: Path):
    run("predict", pictures, "--cam", tmp_path / "cam", "--explain", "fear", "--device", "cpu")
    written = sorted(path.name for path in (tmp_path / "cam").glob("*face1*"))
    assert written == ["001-a-face1-tiny-fear.png", "002-b-face1-tiny-fear.png"]


def test_maps_are_part_of_the_json_where_they_are_asked_for(
    pictures: Path, capsys: pytest.CaptureFixture[str]
):
    run("predict", pictures, "--json", "--explain", "predicted", "--device", "cpu")
    for line in lines_of(capsys):
        (face,) = line["faces"]
        shown = face["maps"]["tiny"]
        assert shown["emotion"] == face["backbones"]["tiny"]["label"]
        assert np.shape(shown["heatmap"]) == (8, 8)


@pytest.mark.parametrize(
    ("words", "method"),
    [
        ([], None),
        (["--json"], None),
        (["--json", "--explain", "fear"], "default"),
        (["--json", "--explain", "fear", "--method", "layercam"], "layercam"),
        (["--cam", "maps"], "default"),
    ],
)
def test_maps_are_made_only_where_they_are_shown(
    words: list[str],
    method: str | None,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    asked = []
    plain = Model.predict

    def predicting(self: Model, crops: list[np.ndarray], *, maps: str | None = None) -> object:
        asked.append(maps)
        return plain(self, crops, maps=maps)

    monkeypatch.setattr(Model, "predict", predicting)
    run("predict", pictures / "a.png", *words, "--device", "cpu")
    assert asked == [method]


def test_faces_are_read_occluded_too(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["predict", pictures / "a.png", "--occlude", "eye_bar", "--device", "cpu"]
    run(*words, "--cam", tmp_path / "cam", "--json")
    ((face,),) = (line["faces"] for line in lines_of(capsys))
    assert face["occluded"]["kind"] == "eye_bar"
    change = face["occluded"]["changes"]["tiny"]
    free, hidden = face["backbones"]["tiny"], face["occluded"]["backbones"]["tiny"]
    assert free["probabilities"] != hidden["probabilities"]
    assert change["kept"] == (free["label"] == hidden["label"])
    assert change["valence"] == pytest.approx(hidden["valence"] - free["valence"])
    assert len(list((tmp_path / "cam").glob("001-a-eye_bar-*"))) == 2
    run(*words)
    first, heading, before, after = capsys.readouterr().out.splitlines()[1:]
    assert "with eye_bar" in first
    assert heading.split() == ["answer", "sure", "valence", "change", "arousal", "change", "shift"]
    signs = re.compile(r"[+-]\d\.\d\d")
    values, changed = ([float(sign) for sign in signs.findall(row)] for row in (before, after))
    assert values == [round(free["valence"], 2), round(free["arousal"], 2)]  # values alone, no changes
    assert changed[::2] == [round(hidden["valence"], 2), round(hidden["arousal"], 2)]
    assert changed[1::2] == [round(change["valence"], 2), round(change["arousal"], 2)]
    assert after.endswith("bits")
    for number, name in enumerate(("valence", "arousal")):  # right below what they are called
        end = heading.index(name) + len(name)
        assert float(after[end - 5 : end]) == changed[2 * number]


def test_rare_emotions_are_boosted_by_either_name(
    pictures: Path, capsys: pytest.CaptureFixture[str], tiny_weights: tuple[Path, Card]
):
    folder, card = tiny_weights
    (folder / "tiny.json").write_text(card.model_copy(update={"boost": (0.0,) * 7 + (50.0,)}).to_json())
    for option in ("--boost-rare", "--lift"):
        run("predict", pictures / "a.png", "--json", option, "--device", "cpu")
        assert lines_of(capsys)[0]["faces"][0]["consensus"]["label"] == "contempt"


def test_the_rule_of_several_is_named(
    pictures: Path, two_backbones: Path, capsys: pytest.CaptureFixture[str]
):
    run("predict", pictures / "a.png", "--device", "cpu")
    assert " by mean\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("a/b.c.png", "b.c"),
        ("https://x.org/y/z.jpg?w=1", "z"),
        ("-", "picture"),
        ("../../etc/passwd", "passwd"),
        ("https://x.org/", "x"),
    ],
)
def test_file_stems_are_safe(source: str, stem: str):
    assert predict.file_stem(source) == stem


def test_a_folder_becomes_a_table(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (pictures / "c.jpg").write_text("no picture")
    out = tmp_path / "faces.parquet"
    run("predict", pictures, "--parquet", out, "--device", "cpu", status=1)
    rows = pyarrow.parquet.read_table(out).to_pylist()
    assert [Path(row["source"]).name for row in rows] == ["a.png", "b.jpg", "c.jpg"]
    assert [row["tiny.label"] is None for row in rows] == [False, False, True]
    assert "damaged" in rows[2]["problem"]
    assert "3 pictures read now, 1 could not be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--parquet", "t.parquet", "--json"], "leave out --json"),
        (["--parquet", "t.parquet", "--occlude", "scarf"], "leave out --occlude"),
        (["--engine", "ray"], "needs --parquet"),
    ],
)
def test_a_table_holds_answers_alone(
    options: list[str], sentence: str, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    run("predict", pictures, *options, status=2)
    assert sentence in capsys.readouterr().err


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds of video under a name that does not say so."""
    return film(tmp_path / "clip.bin", format="mp4")


def test_a_video_is_known_by_its_content_and_read_frame_by_frame(
    clip: Path, capsys: pytest.CaptureFixture[str]
):
    run("predict", clip, "--every", 10, "--json", "--device", "cpu")
    lines = lines_of(capsys)
    assert [line["frame"] for line in lines] == [0, 10, 20]
    assert [line["time"] for line in lines] == pytest.approx([0.0, 10 / 12, 20 / 12], abs=0.01)
    assert {line["source"] for line in lines} == {str(clip)}
    assert [face["track"] for line in lines for face in line["faces"]] == [1, 1, 1]
    assert lines[0]["faces"][0]["backbones"]["tiny"]["label"]
    run("predict", clip, "--every", 24, "--device", "cpu")
    assert "at 0.00 s: face 1 " in capsys.readouterr().out


def test_videos_are_rows_of_one_table_and_pictures_are_refused(
    clip: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "out.parquet"
    run("predict", clip, clip, "--every", 12, "--parquet", table, "--json", "--device", "cpu")
    rows = pyarrow.parquet.read_table(table).to_pylist()
    assert [(row["frame"], row["track"], row["backbone"]) for row in rows] == [
        (0, 1, "tiny"),
        (12, 1, "tiny"),
    ] * 2
    assert len(lines_of(capsys)) == 4
    run("predict", clip, pictures, "--parquet", table, "--device", "cpu", status=2)
    assert "--parquet holds pictures or videos" in capsys.readouterr().err


def test_a_broken_video_is_one_line_and_the_rest_is_read(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(900))
    run("predict", tmp_path / "broken.mp4", pictures / "a.png", "--device", "cpu", status=1)
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert "damaged or cut short" in err
    assert "a.png: 1 face" in out


@pytest.mark.parametrize("before", [b"old", None])
def test_a_table_is_not_replaced_by_an_empty_one(
    before: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    broken, table = tmp_path / "clip.mp4", tmp_path / "faces.parquet"
    broken.write_bytes(b"\0\0\0\x18ftypmp42 rubbish")
    if before is not None:
        table.write_bytes(before)
    run("predict", broken, "--parquet", table, "--device", "cpu", status=2)
    assert (table.read_bytes() if table.exists() else None) == before
    assert ("is as it was" if before else "is not written") in capsys.readouterr().err


def test_what_reads_pictures_alone_says_so(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    maps = ("--cam", tmp_path / "cam")
    run("predict", clip, *maps, "--device", "cpu", status=2)
    assert "--cam reads pictures and no videos" in capsys.readouterr().err
    run("predict", clip, "--method", "layercam", "--json", "--device", "cpu", status=2)
    assert "--method needs maps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pictures", "--parquet", "t.parquet", "--workers", 8], "--workers needs --engine ray"),
        (["pictures", "--every", 5], "none of the sources is one"),
        (["clip.bin", "--parquet", "t", "--engine", "ray"], "--engine ray reads pictures"),
    ],
    ids=["processes without Ray", "frames of pictures", "videos on Ray"],
)
def test_options_that_would_do_nothing_are_refused(
    words: list[object],
    sentence: str,
    clip: Path,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(clip.parent)
    run("predict", *words, status=2)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("every", ["0", "-1", "x"])
def test_every_frame_is_counted_from_one(every: str, clip: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("predict", clip, "--every", every)
    assert "a whole number from 1 on" in capsys.readouterr().err
