"""`fer-space prepare`, from every kind of source to the manifest and back."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fer_space import cli
from fer_space.data import collect, open_data
from fer_space.data.near_duplicates import THRESHOLD
from fer_space.data.prepare import count_emotions
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.vision.alignment import TEMPLATE, eyes_and_mouth
from fer_space.vision.imaging import load_image
from tests.data.making import EXAMPLES, FIRST_COLUMNS, fer_csv, picture, png, scene, text
from tests.data.test_fer2013 import ROWS, make_folders
from tests.data.test_sets import (
    make_affectnet,
    make_ck_sequences,
    make_first_affectnet,
    make_rafdb,
    make_rafdb_originals,
    make_small_ck,
    make_voc,
)


def make_folder(folder: Path) -> None:
    picture(folder / "train" / "happy" / "a.png", 1)
    picture(folder / "train" / "sad" / "b.png", 1)
    picture(folder / "test" / "happy" / "c.bmp", 1)
    picture(folder / "test" / "fear" / "d.png", 2)
    (folder / "test" / "fear" / "e.png").write_bytes(b"no picture")


def make_csv(folder: Path) -> None:
    picture(folder / "a.png", 1)
    text(folder / "faces.csv", "file,label,valence,arousal\na.png,joy,0.5,-0.125\ngone.png,joy,0,0\n")


SOURCES = {
    "folder": make_folder,
    "csv": make_csv,
    "rafdb": make_rafdb,
    "affectnet": make_affectnet,
    "affectnet7": make_first_affectnet,
    "ckplus": make_ck_sequences,
    "ckplus-peaks": lambda folder: make_small_ck(folder, archive=True),
    "voc": make_voc,
    "ferplus": lambda folder: fer_csv(folder, ROWS),
    "fer2013": lambda folder: fer_csv(folder, ROWS),
}


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    folder = tmp_path / "source"
    folder.mkdir()
    SOURCES[request.param](folder)
    return request.param, folder / "faces.csv" if request.param == "csv" else folder


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_the_manifest_holds_what_the_reader_reads(source: tuple[str, Path], tmp_path: Path):
    kind, path = source
    assert cli.main(["prepare", kind, str(path), str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (tmp_path / "out" / "images").exists() == (kind in ("ferplus", "fer2013", "ckplus-peaks"))
    for split in {row.split or "train" for row in collect(kind, path).rows}:
        try:
            direct = open_data(f"{kind}:{path}", split, "majority" if kind == "ferplus" else "cel")
        except Exception:  # a split of which nothing is usable
            assert split not in report["counts"]
            continue
        again = open_data(f"csv:{tmp_path / 'out' / 'manifest.csv'}", split, "cel")
        np.testing.assert_array_equal(again.labels, direct.labels)
        np.testing.assert_allclose(again.targets, direct.targets, atol=1e-6)
        assert again.subjects == direct.subjects
        assert set(again.classes) == set(direct.classes)
        assert (again.affect is None) == (direct.affect is None)
        if again.affect is not None:
            np.testing.assert_array_equal(again.affect, direct.affect)
        for i in range(len(direct)):
            np.testing.assert_array_equal(again.read(i), direct.read(i))
        counts = report["counts"].get(split) or report["counts"]["no split"]
        assert [counts[name] for name in EMOTIONS] == np.bincount(direct.labels, minlength=8).tolist()


@pytest.mark.parametrize("source", ["folder"], indirect=True)
def test_report_and_picture(source: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["prepare", *map(str, source), str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["faces"] == 4
    assert [row["file"] for row in report["dropped"]["rows"]] == ["test/fear/e.png"]
    assert report["dropped"]["count"] == sum(report["dropped"]["reasons"].values()) == 1
    same = report["duplicates"]
    assert {key: same[key] for key in same if key != "files"} == {
        "groups": 1,
        "faces": 3,
        "groups_across_splits": 1,
        "groups_with_different_labels": 1,
    }
    assert [item["file"] for item in same["files"][0]] == [
        "test/happy/c.bmp",
        "train/happy/a.png",
        "train/sad/b.png",
    ]
    with Image.open(tmp_path / "out" / "distribution.png") as drawn:
        assert min(drawn.size) > 400
    out = capsys.readouterr().out
    assert "4 faces" in out
    assert "1: The picture is damaged" in out


def test_near_duplicates_across_splits_are_counted(tmp_path: Path):
    make_folders(tmp_path / "source")  # the same three pictures in each split
    assert cli.main(["prepare", "ferplus", str(tmp_path / "source"), str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["twins"] == {
        "threshold": THRESHOLD,
        "faces_with_a_twin": 9,
        "with_a_twin_in_train": {"valid": 3, "test": 3},
    }
    assert not (tmp_path / "out" / "images").exists()


def test_votes_as_distributions_on_request(tmp_path: Path):
    fer_csv(tmp_path / "source", ROWS)
    words = ["prepare", "ferplus", str(tmp_path / "source"), str(tmp_path / "out"), "--target", "cel"]
    assert cli.main(words) == 0
    faces = open_data(f"csv:{tmp_path / 'out' / 'manifest.csv'}", "train")
    np.testing.assert_allclose(faces.targets[1], [0, 0, 0, 1.0, 0, 0, 0, 0])


def test_archives_are_written_out(tmp_path: Path):
    (tmp_path / "source").mkdir()
    picture(tmp_path / "a.png", 4)
    text(tmp_path / "labels.csv", "file,valence,arousal,expression\na.png,0.5,0.5,happy\n")
    with tarfile.open(tmp_path / "source" / "DiffusionFER.tar", "w") as tar:
        tar.add(tmp_path / "a.png", "DiffusionFER/a.png")
        tar.add(tmp_path / "labels.csv", "DiffusionFER/labels.csv")
    assert cli.main(["prepare", "diffusionfer", str(tmp_path / "source"), str(tmp_path / "out")]) == 0
    (written,) = (tmp_path / "out" / "images").rglob("*.png")
    assert written.read_bytes() == (tmp_path / "a.png").read_bytes()
    assert written.parent.name in ("valid", "test")


def make_joint(folder: Path) -> str:
    """FERPlus with the same pictures in each split but for one, which a training face elsewhere repeats."""
    make_folders(folder / "fer")
    (folder / "fer" / "FER2013Valid" / "Valid2.png").write_bytes(png(7))
    picture(folder / "more" / "train" / "happy" / "a.png", 8)
    (folder / "more" / "train" / "happy" / "b.png").write_bytes(png(7))
    return f"ferplus:{folder / 'fer'}+folder:{folder / 'more'}"


def test_joint_sets_are_one_manifest_without_leaks(tmp_path: Path):
    data = make_joint(tmp_path)
    out = tmp_path / "both"
    assert cli.main(["prepare", "joint", data, str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["name"] == "ferplus+more"
    assert {split: sum(counts.values()) for split, counts in report["counts"].items()} == {
        "train": 1,
        "valid": 1,
        "test": 3,
    }
    assert report["duplicates"]["groups_across_splits"] == 0
    assert report["dropped"]["reasons"] == {
        "the same picture is in test": 5,
        "the same picture is in valid": 1,
    }
    twins = {row["file"]: row["twin"] for row in report["dropped"]["rows"]}
    assert twins["train/happy/b.png"] == "Valid2.png"
    assert twins["Valid0.png"] == "Test0.png"
    assert (out / "distribution.png").is_file()
    for split in ("train", "valid", "test"):
        direct, again = open_data(data, split), open_data(f"csv:{out / 'manifest.csv'}", split, "cel")
        assert again.name == "both"
        np.testing.assert_array_equal(again.targets, direct.targets)
        for i in range(len(direct)):
            np.testing.assert_array_equal(again.read(i), direct.read(i))


def test_namesakes_of_joint_sets_are_kept_apart(tmp_path: Path):
    for number, name in enumerate(("fer", "again")):
        make_folders(tmp_path / name)
        (tmp_path / name / "FER2013Test" / "Test1.png").write_bytes(png(20 + number))
    data = f"ferplus:{tmp_path / 'fer'}+ferplus:{tmp_path / 'again'}"
    assert cli.main(["prepare", "joint", data, str(tmp_path / "out")]) == 0
    faces = open_data(f"csv:{tmp_path / 'out' / 'manifest.csv'}", "test")
    assert len({faces.read(i).tobytes() for i in range(len(faces))}) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [("here", "KIND:PATH"), ("dogs:here", "kind of data"), ("csv:out/manifest.csv", "overwritten")],
    ids=["no kind", "unknown kind", "its own manifest"],
)
def test_wrong_joint_sources_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    message: str,
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["prepare", "joint", source, "out"]) == 2
    assert message in capsys.readouterr().err


def test_a_name_with_a_line_break_is_listed(tmp_path: Path):
    picture(tmp_path / "source" / "happy" / "a.png", 1)
    picture(tmp_path / "source" / "happy" / "b\nc.png", 2)
    assert cli.main(["prepare", "folder", str(tmp_path / "source"), str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["dropped"]["reasons"] == {"its name has a line break": 1}
    assert len(open_data(f"csv:{tmp_path / 'out' / 'manifest.csv'}", "test")) == 1


@pytest.mark.parametrize("source", ["csv"], indirect=True)
def test_the_source_is_never_overwritten(source: tuple[str, Path], capsys: pytest.CaptureFixture[str]):
    path = source[1].rename(source[1].with_name("manifest.csv"))
    before = path.read_bytes()
    assert cli.main(["prepare", "csv", str(path), str(path.parent)]) == 2
    assert path.read_bytes() == before
    assert "overwritten" in capsys.readouterr().err


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["prepare", "sfew", str(tmp_path), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def make_sfew(folder: Path) -> None:
    """Whole frames of films, as SFEW has them; in one of them nobody is seen."""
    for part, film in (("Train", "Film"), ("Val", "Other")):
        scene(folder / part / "Happy" / f"{film}_0001_01.png", "astronaut.jpg", (720, 576), (400, 150), 220)
        scene(folder / part / "Neutral" / f"{film}_0002_01.png", "hopper.jpg", (720, 576), (60, 90), 240)
        scene(folder / part / "Sad" / f"{film}_0003_01.png", "hopper.jpg", (720, 576), (719, 575), 240)


def make_whole_ck(folder: Path) -> None:
    """A sequence of CK+: whole frames of 640 x 490 pixels, in which a person moves a little."""
    for frame in range(1, 7):
        path = folder / "cohn-kanade-images" / "S010" / "002" / f"S010_002_{frame:08d}.png"
        scene(path, "astronaut.jpg", (640, 490), (180 + 4 * frame, 60), 300)
    text(folder / "Emotion" / "S010" / "002" / "S010_002_00000006_emotion.txt", "   5.0000000e+00\n")


def eyes_of(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Both eyes and the mouth in a crop, as parts of its side, looked for anew."""
    (seen,) = Engine(device="cpu").detect(face)[:1]
    assert seen.landmarks is not None
    return (eyes_and_mouth(seen.landmarks) + 0.5) / len(face)


@pytest.mark.parametrize(("kind", "make"), [("sfew", make_sfew), ("ckplus", make_whole_ck)])
def test_faces_of_whole_frames_are_cut_as_models_want_them_and_found_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    make: Callable[[Path], None],
):
    make(tmp_path / "whole")
    out = tmp_path / "out"
    words = ["prepare", kind, str(tmp_path / "whole"), str(out), "--align"]
    assert cli.main(words) == 0
    assert "aligned: 4 faces found by libfacedetection (0 known" in capsys.readouterr().out
    data = f"csv:{out / 'manifest.csv'}"
    splits = {row.split for row in collect("csv", out / "manifest.csv").rows}
    for split in splits:
        faces = open_data(data, split)
        for i, file in enumerate(faces.files):
            if "_0003_" in file:
                assert split == "test"
                assert faces.read(i).shape == (576, 720, 3)
                continue
            assert faces.read(i).shape == (224, 224, 3)
            np.testing.assert_allclose(eyes_of(faces.read(i)), TEMPLATE, atol=0.08)
    if kind == "ckplus":
        labels = {row.file[-5]: EMOTIONS[row.label] for row in collect("csv", out / "manifest.csv").rows}
        assert labels == {"1": "neutral", "4": "happiness", "5": "happiness", "6": "happiness"}
    monkeypatch.setattr(Engine, "detect", lambda *_, **__: pytest.fail("it was known"))
    before = (out / "manifest.csv").read_bytes()
    assert cli.main(words) == 0
    assert "known from before" in capsys.readouterr().out
    assert (out / "manifest.csv").read_bytes() == before
    assert cli.main([*words, "--backbone", "efficientnet_lite0"]) == 0
    framed = open_data(data, next(iter(splits)))
    assert framed.found
    assert framed.found[0] is not None
    expected = framed.found[0].framed(Engine(device="cpu").card("efficientnet_lite0").crop)
    np.testing.assert_allclose(framed.found[0].photo_to_crop, expected.photo_to_crop, rtol=1e-9)


def test_the_face_in_the_owners_box_is_aligned(tmp_path: Path):
    """Two people in one picture of the first AffectNet, and a box around the smaller face."""
    frame = tmp_path / "a" / "Manually_Annotated_Images" / "1" / "a.png"
    scene(frame, "astronaut.jpg", (900, 500), (20, 20), 420)
    with Image.open(frame) as both, Image.open(EXAMPLES / "hopper.jpg") as photo:
        both.paste(photo.convert("RGB").resize((180, round(180 * photo.height / photo.width))), (600, 100))
        both.save(frame)
    stranger, mine = Engine(device="cpu").detect(load_image(frame))
    left, top, right, bottom = mine.box_xyxy
    cells = f"1/a.png,{left:.0f},{top:.0f},{right - left:.0f},{bottom - top:.0f},,0,0,0"
    text(tmp_path / "a" / "validation.csv", f"{FIRST_COLUMNS}\n{cells}\n")
    text(tmp_path / "a" / "training.csv", f"{FIRST_COLUMNS}\n{cells}\n")
    assert stranger.area > mine.area
    assert cli.main(["prepare", "affectnet", str(tmp_path / "a"), str(tmp_path / "out"), "--align"]) == 0
    faces = open_data(f"csv:{tmp_path / 'out' / 'manifest.csv'}", "test")
    assert faces.found
    assert faces.found[0] is not None
    assert faces.found[0].face is not None
    assert faces.found[0].face.overlap(mine) > 0.7
    np.testing.assert_allclose(eyes_of(faces.read(0)), TEMPLATE, atol=0.08)


def test_valence_and_arousal_alone_stay_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture(tmp_path / "a.png", 1)
    text(tmp_path / "va.csv", "file,valence,arousal\na.png,0.5,-0.5\na.png,0.25,0\n")
    out = tmp_path / "out"
    assert cli.main(["prepare", "csv", str(tmp_path / "va.csv"), str(out)]) == 0
    assert "valence and arousal alone, no emotion: 2 faces" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert {item["label"] for group in report["duplicates"]["files"] for item in group} == {""}
    faces = open_data(f"csv:{out / 'manifest.csv'}", "train")
    assert faces.classes == ()
    assert not faces.labelled.any()
    assert count_emotions(f"csv:{out / 'manifest.csv'}") == ("out", {})


def test_attributes_stay_in_the_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_rafdb_originals(tmp_path / "raf")
    assert cli.main(["prepare", "rafdb", str(tmp_path / "raf"), str(tmp_path / "out")]) == 0
    assert "gender: female 3, male 2, unsure 2" in capsys.readouterr().out
    direct, again = collect("rafdb", tmp_path / "raf"), collect("csv", tmp_path / "out" / "manifest.csv")
    assert [row.attributes for row in again.rows] == [row.attributes for row in direct.rows]


def test_options_of_aligning_need_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["prepare", "folder", str(tmp_path), str(tmp_path / "out"), "--detect", "dlib"]) == 2
    assert "add --align" in capsys.readouterr().err


def test_masks_are_drawn_on_aligned_faces_by_the_landmarks_that_were_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    make_sfew(tmp_path / "sfew")
    words = ["prepare", "sfew", str(tmp_path / "sfew"), str(tmp_path / "out"), "--align", "--masks", "1"]
    assert cli.main(words) == 0
    assert "masks: 2 worn" in capsys.readouterr().out
    rows = [row for row in collect("csv", tmp_path / "out" / "manifest.csv").rows if "masked" in row.file]
    assert [row.decode().shape for row in rows] == [(224, 224, 3)] * 2


def test_masks_follow_the_landmarks_of_training_faces_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    faces = Path(__file__).parent.parent.parent / "examples"
    for split in ("train", "test"):
        for emotion, name in (("happy", "astronaut.jpg"), ("neutral", "hopper.jpg")):
            (tmp_path / "faces" / split / emotion).mkdir(parents=True)
            with Image.open(faces / name) as photo:
                small = photo.convert("RGB").resize((photo.width // 3, photo.height // 3))
            small.save(tmp_path / "faces" / split / emotion / "a.png")
    picture(tmp_path / "faces" / "train" / "sad" / "plain.png", 3)
    out = tmp_path / "out"
    assert cli.main(["prepare", "folder", str(tmp_path / "faces"), str(out), "--masks", "1"]) == 0
    assert "masks: 2 worn; 1 faces without landmarks" in capsys.readouterr().out
    assert sorted(path.name for path in (out / "images" / "train").iterdir()) == [
        "masked-train-happy-a.png",
        "masked-train-neutral-a.png",
    ]
    masked = open_data(f"csv:{out / 'manifest.csv'}", "train")
    bare = open_data(f"folder:{tmp_path / 'faces'}", "train")
    by_label = {int(label): bare.read(i) for i, label in enumerate(bare.labels)}
    for i, label in enumerate(masked.labels):
        changed = (masked.read(i) != by_label[int(label)]).any(axis=2)
        rows = np.flatnonzero(changed.any(axis=1))
        if "masked" in masked.files[i]:
            assert 0.005 < changed.mean() < 0.2
            assert rows.max() < 0.75 * len(changed), "the mask lies on the face, not below it"
        else:
            assert not changed.any()
    assert len(open_data(f"csv:{out / 'manifest.csv'}", "test")) == 2


def test_the_share_of_masks_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["prepare", "folder", str(tmp_path), str(tmp_path / "out"), "--masks", "2"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err
