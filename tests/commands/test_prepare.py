"""`fer-space prepare`, from every kind of source to the manifest and back."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_space import cli
from fer_space.data import collect, open_data
from fer_space.data.near_duplicates import THRESHOLD
from fer_space.emotions import EMOTIONS
from tests.data.making import fer_csv, picture, png, text
from tests.data.test_fer2013 import ROWS, make_folders
from tests.data.test_sets import make_affectnet, make_ck_sequences, make_rafdb, make_voc


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
    "affectnet7": make_affectnet,
    "ckplus": make_ck_sequences,
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
    assert (tmp_path / "out" / "images").exists() == (kind in ("ferplus", "fer2013"))
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
