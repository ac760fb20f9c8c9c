"""The readers of sets that come as plain pictures, on tiny data in their layouts."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fer_space.data import collect, open_data
from fer_space.data.collection import Collection
from fer_space.data.faceset import SPLITS
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError
from tests.data.making import affectnet_face, affectnet_table, picture, pixels, text, voc_xml

SEVEN = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")


def names(collection: Collection) -> dict[str, str]:
    return {row.file: EMOTIONS[row.label] for row in collection.rows}


def reasons(collection: Collection) -> dict[str, str]:
    return {bad.file: bad.why for bad in collection.dropped}


def make_rafdb(folder: Path) -> None:
    lines = []
    for part, code in [("train", c) for c in range(1, 8)] + [("test", c) for c in range(1, 8)]:
        picture(folder / "Image" / "aligned" / f"{part}_{code:05d}_aligned.jpg", code)
        lines.append(f"{part}_{code:05d}.jpg {code}")
    lines += ["train_99999.jpg 3", "test_99998.jpg 8", "other_1.jpg 1", ""]
    text(folder / "EmoLabel" / "list_patition_label.txt", "\n".join(lines))


@pytest.mark.parametrize("below", ["", "basic"], ids=["basic itself", "the folder above"])
def test_rafdb_maps_by_name_and_lists_bad_rows(tmp_path: Path, below: str):
    make_rafdb(tmp_path / below)
    found = collect("rafdb", tmp_path)
    order = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    for code, emotion in enumerate(order, start=1):
        assert names(found)[f"test_{code:05d}_aligned.jpg"] == emotion
    assert {row.split for row in found.rows if row.file.startswith("train")} <= {"train", "valid"}
    assert {row.split for row in found.rows if row.file.startswith("test")} == {"test"}
    assert found.classes == SEVEN
    why = reasons(found)
    assert why["train_99999_aligned.jpg"] == "the picture is missing"
    assert "“8”" in why["test_99998.jpg"]
    assert "neither" in why["other_1.jpg (line 17)"]


def make_rafdb_originals(folder: Path) -> None:
    lines = []
    for code in range(1, 8):
        stem = f"test_{code:04d}"
        picture(folder / "Image" / "original" / f"{stem}.png", code)
        text(folder / "Annotation" / "boundingbox" / f"{stem}_boundingbox.txt", f"1.0 {code % 2}.0 6.0 8.0\n")
        points = "\n".join("1.5\t2.5" for _ in range(5))
        text(folder / "Annotation" / "manual" / f"{stem}_manu_attri.txt", f"{points}\n{code % 3}\n2\n4\n")
        lines.append(f"{stem}.png {code}")
    text(folder / "EmoLabel" / "list_patition_label.txt", "\n".join(lines))


def test_rafdb_cuts_the_originals_by_their_boxes_and_keeps_the_attributes(tmp_path: Path):
    make_rafdb_originals(tmp_path)
    notes = tmp_path / "Annotation"
    (notes / "boundingbox" / "test_0002_boundingbox.txt").unlink()
    text(notes / "boundingbox" / "test_0003_boundingbox.txt", "1 2 3")
    text(notes / "boundingbox" / "test_0004_boundingbox.txt", "5 5 4 6")
    text(notes / "manual" / "test_0005_manu_attri.txt", "no numbers")
    (notes / "manual" / "test_0006_manu_attri.txt").unlink()
    found = collect("rafdb", tmp_path)
    by_name = {row.file: row for row in found.rows}
    np.testing.assert_array_equal(by_name["test_0001.png"].decode()[..., 0], pixels(1)[1:8, 1:6])
    assert by_name["test_0001.png"].attributes == {"gender": "female", "race": "Asian", "age": "70+"}
    assert by_name["test_0005.png"].attributes == by_name["test_0006.png"].attributes == {}
    assert by_name["test_0007.png"].label == EMOTIONS.index("neutral")
    assert reasons(found) == {
        "test_0002.png": "its bounding box is missing",
        "test_0003.png": "its bounding box is not four numbers",
        "test_0004.png": "the box has no area.",
    }
    assert found.notes == ()


def test_the_aligned_faces_of_rafdb_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_rafdb_originals(tmp_path)
    make_rafdb(tmp_path)
    text(tmp_path / "Annotation" / "manual" / "test_00002_manu_attri.txt", "1 2 " * 5 + "0 0 0")
    faces = open_data(f"rafdb:{tmp_path}", "test")
    assert set(faces.files) == {f"test_{code:05d}_aligned.jpg" for code in range(1, 8)}
    assert faces.boxes is None
    faces.say_dropped()
    assert (
        "rafdb: Image/aligned is read; Image/original, the same faces uncut, is left"
        in capsys.readouterr().err
    )
    attributes = {row.file: row.attributes for row in collect("rafdb", tmp_path).rows}
    assert attributes["test_00002_aligned.jpg"] == {"gender": "male", "race": "Caucasian", "age": "0-3"}


def make_affectnet(folder: Path) -> None:
    for code in range(11):
        affectnet_face(folder / "val_set", str(code), str(code) if code == 1 else code, (0.5, -0.25))
    affectnet_face(folder / "val_set", "20", 0, (-2.0, -2.0))
    affectnet_face(folder / "val_set", "21", 0, (float("nan"), 0.1))
    affectnet_face(folder / "train_set", "30", 6, (0.1, 0.2))
    picture(folder / "val_set" / "images" / "22.png", 22)
    np.save(folder / "val_set" / "annotations" / "23_exp.npy", np.array(1))
    affectnet_face(folder / "val_set", "24", 3, (0.0, 0.0))
    np.save(folder / "val_set" / "annotations" / "24_exp.npy", np.array([{"a": 1}], dtype=object))


@pytest.mark.parametrize("kind", ["affectnet", "affectnet7"])
def test_affectnet_reads_numbers_texts_and_missing_affect(tmp_path: Path, kind: str):
    make_affectnet(tmp_path)
    faces = open_data(f"{kind}:{tmp_path}", "test")
    by_name = dict(zip(faces.files, faces.labels.tolist(), strict=True))
    order = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    for code, emotion in enumerate(order[: 8 if kind == "affectnet" else 7]):
        assert EMOTIONS[by_name[f"val_set/images/{code}.png"]] == emotion
    assert faces.affect is not None
    np.testing.assert_allclose(faces.affect[faces.files.index("val_set/images/0.png")], [0.5, -0.25])
    for stem in ("20", "21"):
        assert np.isnan(faces.affect[faces.files.index(f"val_set/images/{stem}.png")]).all()
    why = {bad.file: bad.why for bad in faces.dropped}
    assert [why[f"val_set/images/{code}.png"] for code in (8, 9, 10)] == [
        "labelled “none”",
        "labelled “uncertain”",
        "labelled “no face”",
    ]
    assert "_exp.npy is missing or damaged" in why["val_set/images/22.png"]
    assert why["val_set/23"] == "the picture is missing"
    assert "damaged" in why["val_set/images/24.png"]  # a pickle is not opened
    assert ("val_set/images/7.png" in why) == (kind == "affectnet7")
    assert faces.classes == (EMOTIONS if kind == "affectnet" else SEVEN)


def test_affectnet_test_needs_no_train_set(tmp_path: Path):
    affectnet_face(tmp_path / "val_set", "1", 1, (0.0, 0.0))
    assert len(open_data(f"affectnet:{tmp_path}", "test")) == 1
    with pytest.raises(DataError, match="train_set"):
        open_data(f"affectnet:{tmp_path}", "train")


def make_first_affectnet(folder: Path, *, header: bool = True) -> None:
    """The layout of 2017: a box a face, expressions 0 to 10, -2 where nobody rated."""
    rows = [(f"1/{code}.png", f"1,0,4,8,1.0;2.0;3.0;4.0,{code},.5,-.25") for code in range(11)]
    rows += [("2/20.png", "0,0,8,8,,1,-2,-2"), ("2/21.png", "NULL,NULL,NULL,NULL,NULL,1,0,0")]
    rows += [("2/22.png", "3,3,0,5,,1,0,0"), ("2/23.png", "0,0,8,8,,eleven,0,0")]
    affectnet_table(folder, "validation.csv", rows, header=header)
    trained = [(f"9/{number}.png", "0,0,8,8,,2,0,0") for number in range(30)]
    affectnet_table(folder, "training.csv", trained, header=header)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_of_affectnet_in_another_encoding_is_named(encoding: str, tmp_path: Path):
    make_first_affectnet(tmp_path)
    table = next(tmp_path.rglob("training.csv"))
    table.write_bytes(("caf\u00e9," + table.read_text()).encode(encoding))
    with pytest.raises(DataError, match=r"training\.csv is not a text file"):
        open_data(f"affectnet:{tmp_path}", "train")


@pytest.mark.parametrize("kind", ["affectnet", "affectnet7"])
@pytest.mark.parametrize("header", [True, False], ids=["header", "no header"])
def test_the_first_release_of_affectnet_is_cut_by_its_boxes(tmp_path: Path, kind: str, header: bool):
    make_first_affectnet(tmp_path, header=header)
    text(
        tmp_path / "validation.csv", (tmp_path / "validation.csv").read_text() + "2/gone.png,0,0,8,8,,1,0,0\n"
    )
    faces = open_data(f"{kind}:{tmp_path}", "test")
    by_name = dict(zip(faces.files, faces.labels.tolist(), strict=True))
    order = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    for code, emotion in enumerate(order[: 8 if kind == "affectnet" else 7]):
        assert EMOTIONS[by_name[f"1/{code}.png"]] == emotion
    np.testing.assert_array_equal(faces.read(faces.files.index("1/3.png"))[..., 0], pixels(3)[:, 1:5])
    assert faces.affect is not None
    np.testing.assert_allclose(faces.affect[faces.files.index("1/0.png")], [0.5, -0.25])
    assert np.isnan(faces.affect[faces.files.index("2/20.png")]).all()
    why = {bad.file: bad.why for bad in faces.dropped}
    assert [why[f"1/{code}.png"] for code in (8, 9, 10)] == [
        "labelled “none”",
        "labelled “uncertain”",
        "labelled “no face”",
    ]
    assert "face_x is “NULL”" in why["2/21.png"]
    assert "no area" in why["2/22.png"]
    assert "expression is “eleven”" in why["2/23.png"]
    assert why["2/gone.png"] == "the picture is missing"
    assert ("1/7.png" in why) == (kind == "affectnet7")
    train, valid = (open_data(f"{kind}:{tmp_path}", split) for split in ("train", "valid"))
    assert len(train) + len(valid) == 30
    assert not set(train.files) & set(valid.files)


def test_the_test_of_the_first_affectnet_needs_no_training_table(tmp_path: Path):
    make_first_affectnet(tmp_path)
    (tmp_path / "training.csv").unlink()
    lists = tmp_path / "Manually_Annotated_file_lists"
    lists.mkdir()
    (tmp_path / "validation.csv").rename(lists / "validation.csv")
    assert len(open_data(f"affectnet:{tmp_path}", "test"))
    with pytest.raises(DataError, match=r"no training\.csv"):
        open_data(f"affectnet:{tmp_path}", "train")


def test_the_cut_faces_of_affectnet_win(tmp_path: Path):
    make_first_affectnet(tmp_path)
    make_affectnet(tmp_path)
    faces = open_data(f"affectnet:{tmp_path}", "test")
    assert all(name.startswith("val_set/") for name in faces.files)
    assert "Manually_Annotated_Images, whole pictures, is left out" in faces.notes[0]


def make_ck_sequences(folder: Path) -> None:
    for number, (subject, code) in enumerate([("S005", "3"), ("S010", "2"), ("S011", "9"), ("S012", None)]):
        for frame in range(1, 7):
            name = f"{subject}_001_{frame:08d}.png"
            picture(folder / "cohn-kanade-images" / subject / "001" / name, 10 * number + frame)
        if code:
            label = folder / "Emotion" / subject / "001" / f"{subject}_001_00000006_emotion.txt"
            text(label, f"   {float(code):.7e}\n")
    text(folder / "cohn-kanade-images" / ".DS_Store", "no folder")


def test_ckplus_takes_the_first_frame_as_neutral_and_the_last_three_as_the_emotion(tmp_path: Path):
    make_ck_sequences(tmp_path)
    found = collect("ckplus", tmp_path)
    frames = {name: emotion for name, emotion in names(found).items() if name.startswith("S005")}
    assert frames == {
        "S005/001/S005_001_00000001.png": "neutral",
        "S005/001/S005_001_00000004.png": "disgust",
        "S005/001/S005_001_00000005.png": "disgust",
        "S005/001/S005_001_00000006.png": "disgust",
    }
    assert sorted(names(found).values()).count("contempt") == 3
    assert {row.subject for row in found.rows} == {"S005", "S010"}
    assert "9" in reasons(found)["S011/001"]
    assert "no emotion label" in reasons(found)["S012/001"]
    assert found.classes == EMOTIONS


def test_ckplus_lists_labels_without_frames_and_sequences_of_one(tmp_path: Path):
    make_ck_sequences(tmp_path)
    for subject in ("S020", "S021", "S022"):
        text(tmp_path / "Emotion" / subject / "001" / f"{subject}_001_00000009_emotion.txt", "1.0")
    (tmp_path / "Emotion" / "S023" / "001").mkdir(parents=True)
    (tmp_path / "cohn-kanade-images" / "S021" / "001").mkdir(parents=True)
    picture(tmp_path / "cohn-kanade-images" / "S022" / "001" / "S022_001_00000001.png")
    found = collect("ckplus", tmp_path)
    assert {row.subject for row in found.rows} == {"S005", "S010"}
    why = reasons(found)
    assert why["S020/001/S020_001_00000009_emotion.txt"] == "its sequence is missing"
    assert why["S021/001"] == "the sequence has no frame"
    assert why["S022/001"] == "the sequence has one frame alone"
    assert not any("S023" in name for name in why)


@pytest.mark.parametrize("below", ["", "CK+48"])
def test_small_ckplus_never_divides_a_subject(tmp_path: Path, below: str):
    for subject in range(60):
        for word in ("happy", "contempt"):
            for frame in (1, 2):
                name = f"S{subject:03d}_001_{frame:08d}.png"
                picture(tmp_path / below / word / name, subject)
    picture(tmp_path / below / "bored" / "S001_001_00000001.png")
    found = collect("ckplus", tmp_path)
    splits: dict[str, set[str]] = {}
    for row in found.rows:
        splits.setdefault(row.subject, set()).add(row.split)
    assert all(len(found_splits) == 1 for found_splits in splits.values())
    assert set.union(*splits.values()) == {"train", "valid", "test"}
    assert "bored" in reasons(found)["bored/S001_001_00000001.png"]
    assert found.classes == tuple(name for name in EMOTIONS if name != "neutral")


def make_small_ck(folder: Path, *, archive: bool) -> None:
    """Sixty people, one sequence of three frames each, in folders or in CK+48.tar."""
    for subject in range(60):
        for frame in (9, 10, 11):
            picture(folder / "CK+48" / "fear" / f"S{subject:03d}_001_{frame:08d}.png", 3 * subject + frame)
    if archive:
        with tarfile.open(folder / "CK+48.tar", "w") as tar:
            tar.add(folder / "CK+48", "CK+48")
        shutil.rmtree(folder / "CK+48")


@pytest.mark.parametrize("archive", [False, True])
def test_small_ckplus_is_scored_by_the_last_frame_of_each_sequence(tmp_path: Path, archive: bool):
    make_small_ck(tmp_path, archive=archive)
    found = collect("ckplus", tmp_path)
    frames = {split: [row.file[-6:-4] for row in found.rows if row.split == split] for split in SPLITS}
    assert set(frames["train"]) == {"09", "10", "11"}
    assert set(frames["valid"]) == set(frames["test"]) == {"11"}
    assert found.rows[0].decode().shape == (8, 8, 3)
    peaks = collect("ckplus-peaks", tmp_path)
    assert len(peaks.rows) == len(peaks.faces("test")) == 60
    assert {row.file[-6:-4] for row in peaks.rows} == {"11"}


@pytest.mark.parametrize("suffix", ["", "_Aligned_Faces"])
def test_sfew_keeps_the_films_of_valid_out_of_train(tmp_path: Path, suffix: str):
    for film in range(30):
        for word in ("Angry", "Sad"):
            picture(tmp_path / f"Train{suffix}" / word / f"Film{film}_000100_0001.png", film)
    picture(tmp_path / f"Val{suffix}" / "Happy" / "Other_000100_0001.png", 99)
    picture(tmp_path / f"Val{suffix}" / "Contempt" / "Other_000100_0002.png", 98)
    (tmp_path / "Test").mkdir()
    found = collect("sfew", tmp_path)
    films = {split: {row.subject for row in found.rows if row.split == split} for split in ("train", "valid")}
    assert films["train"]
    assert films["valid"]
    assert not films["train"] & films["valid"]
    assert [row.subject for row in found.rows if row.split == "test"] == ["Other"]
    why = reasons(found)
    assert "no labels" in why["Test"]
    assert "not among the 7" in why[f"Val{suffix}/Contempt/Other_000100_0002.png"]


def test_the_aligned_faces_of_sfew_win(tmp_path: Path):
    for suffix in ("", "_Aligned_Faces"):
        for part in ("Train", "Val"):
            picture(tmp_path / f"{part}{suffix}" / "Happy" / "Film_000100_0001.png", 1)
    found = collect("sfew", tmp_path)
    assert {row.file.split("/")[0] for row in found.rows} == {"Train_Aligned_Faces", "Val_Aligned_Faces"}
    assert found.notes == (
        "Train_Aligned_Faces is read; Train, the same faces in whole frames, is left out.",
        "Val_Aligned_Faces is read; Val, the same faces in whole frames, is left out.",
    )


def make_voc(folder: Path) -> None:
    voc_xml(folder, "a", [("smile", (1, 1, 4, 8)), ("sad", (5, 1, 8, 8)), ("hungry", (1, 1, 2, 2))])
    voc_xml(folder, "b", [("anger", (4, 4, 2, 2)), ("anger", (1, 1))])
    voc_xml(folder, "c", [("neutral", (100, 100, 120, 120))])
    voc_xml(folder, "d", [])
    text(folder / "Annotations" / "e.xml", "<annotation>")
    text(folder / "Annotations" / "f.xml", "<annotation><object/></annotation>")
    text(folder / "ImageSets" / "Main" / "train.txt", "b\n")
    text(folder / "ImageSets" / "Main" / "val.txt", "c  1\n")
    text(folder / "ImageSets" / "Main" / "test.txt", "a\nd\ne\n")


def test_voc_cuts_every_object_out(tmp_path: Path):
    make_voc(tmp_path)
    faces = open_data(f"voc:{tmp_path}", "test")
    assert [EMOTIONS[label] for label in faces.labels] == ["happiness", "sadness"]
    np.testing.assert_array_equal(faces.read(0)[..., 0], pixels(1)[:8, :4])
    np.testing.assert_array_equal(faces.read(1)[..., 0], pixels(1)[:8, 4:8])
    assert faces.classes == ("neutral", "happiness", "surprise", "sadness", "anger")
    why = {bad.file: bad.why for bad in faces.dropped}
    assert "hungry" in why["a.png (object 3)"]
    assert "no object" in why["d.png"]
    assert "malformed" in why["e.xml"]


@pytest.mark.parametrize("encoding", ["GBK", "none-such"])
def test_one_annotation_in_another_encoding_is_listed(encoding: str, tmp_path: Path):
    make_voc(tmp_path)
    text(tmp_path / "Annotations" / "e.xml", f'<?xml version="1.0" encoding="{encoding}"?><annotation/>')
    faces = open_data(f"voc:{tmp_path}", "test")
    assert len(faces) == 2
    assert "malformed" in {bad.file: bad.why for bad in faces.dropped}["e.xml"]


def test_voc_lists_names_and_pictures_without_annotation(tmp_path: Path):
    make_voc(tmp_path)
    text(tmp_path / "ImageSets" / "Main" / "test.txt", "a\nd\ne\nlost\nbare\n")
    for name in ("bare.png", "extra.png", "a.bmp", "e.png", "g.png"):
        picture(tmp_path / "JPEGImages" / name)
    annotation = (tmp_path / "Annotations" / "a.xml").read_text()
    text(tmp_path / "Annotations" / "g.xml", annotation)  # names a.png, and not its own picture
    found = collect("voc", tmp_path)
    bad = {(item.file, item.split): item.why for item in found.dropped}
    for name in ("lost", "bare"):
        assert "no XML file of that name" in bad[name, "test"]
    assert "no XML file" in bad["extra.png", ""]
    assert "no XML file" in bad["a.bmp", "test"]
    assert "no XML file" in bad["g.png", ""]
    assert ("e.png", "test") not in bad  # e.xml is malformed, and listed itself
    assert not any(file == "bare.png" for file, _ in bad)  # by its name in the list already
    assert len(found.dropped) == len(bad)


def test_voc_without_a_usable_face_says_why(tmp_path: Path):
    make_voc(tmp_path)
    with pytest.raises(DataError, match=r"b\.png \(object 1\): the box has no area"):
        open_data(f"voc:{tmp_path}", "train")
    with pytest.raises(DataError, match=r"c\.png: The box lies outside"):
        open_data(f"voc:{tmp_path}", "valid")


def test_voc_without_lists_keeps_the_faces_of_a_picture_together(tmp_path: Path):
    for i in range(40):
        voc_xml(tmp_path, f"p{i}", [("smile", (1, 1, 4, 4)), ("neutral", (5, 5, 8, 8))])
    splits: dict[str, list[str]] = {}
    for row in collect("voc", tmp_path).rows:
        splits.setdefault(row.file, []).append(row.split)
    assert all(len(found) == 2 and len(set(found)) == 1 for found in splits.values())
    assert len({found[0] for found in splits.values()}) == 3


@pytest.mark.parametrize("kind", ["rafdb", "affectnet", "ckplus", "sfew", "voc", "folder", "csv", "fer2013"])
def test_nothing_there_is_one_sentence(tmp_path: Path, kind: str):
    with pytest.raises(DataError, match=r"There is no|no usable picture"):
        collect(kind, tmp_path / "gone")
