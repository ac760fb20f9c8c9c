"""CK+: people who pose an expression, filmed from neutral to its peak.

Lucey et al. 2010, "The extended Cohn-Kanade dataset (CK+)", CVPR workshops. Reads either what the authors
send out, or the small version that many share, unpacked or as its archive:

    DIR/cohn-kanade-images/S005/001/S005_001_00000001.png, ...              every frame of a sequence
    DIR/Emotion/S005/001/S005_001_00000011_emotion.txt                      "3.0000000e+00"

    DIR/{anger,contempt,disgust,fear,happy,sadness,surprise}/S010_004_00000017.png       (CK+48)
    DIR/CK+48.tar                                                           the same folders in CK+48/

Codes: 0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happiness, 6 sadness, 7 surprise. Of a labelled
sequence the first frame is taken as neutral and the last three as the emotion, as is usual; sequences
without a label, labels without a sequence and sequences of one frame are dropped. DIR may be the folder
above `CK+48`, which knows no neutral.

The frames of one person look alike, so the split is by subject, never by frame: the hash of the subject
puts eight tenths into `train`, one tenth into `valid` and one tenth into `test`. Frames of one sequence are
nearly one picture, so `valid` and `test` show its last frame alone. `collect_peaks` reads all people for
networks that have never seen one of them: the last frame of every sequence, in every split.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from fer_space.data.collection import (
    Collection,
    Gathering,
    Row,
    Source,
    existing_folder,
    three_way_split,
)
from fer_space.data.files import is_picture, pictures_in, read_members, sub_folders
from fer_space.emotions import EMOTIONS, canonical, column_of
from fer_space.errors import DataError

CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
PEAK_FRAMES = 3
SMALL = "CK+48"


def collect_ckplus(folder: Path) -> Collection:
    """Read whichever layout is there; raises DataError when it is none or nothing is usable."""
    every = _read(folder)
    return replace(every, rows=tuple(_training_frames(every.rows)))


def collect_peaks(folder: Path) -> Collection:
    """Read the last frame of every sequence of all people, in every split; raises like `collect_ckplus`."""
    every = _read(folder)
    last = _last_frames(every.rows)
    rows = (replace(row, split="") for row in every.rows if row.file in last)
    return replace(every, name="ckplus-peaks", rows=tuple(rows))


def _read(folder: Path) -> Collection:
    if (folder / "cohn-kanade-images").is_dir():
        return _sequences(folder)
    if (folder / f"{SMALL}.tar").is_file() and not (folder / SMALL).is_dir():
        return _classes(_in_archive(folder / f"{SMALL}.tar"))
    return _classes(_in_folders(existing_folder(folder / SMALL if (folder / SMALL).is_dir() else folder)))


def _training_frames(rows: Iterable[Row]) -> Iterator[Row]:
    """All rows of the training people, and of the others the last frame of each sequence and its neutral."""
    rows = list(rows)
    last, neutral = _last_frames(rows), column_of("neutral")
    return (row for row in rows if row.split == "train" or row.label == neutral or row.file in last)


def _last_frames(rows: Iterable[Row]) -> set[str]:
    """Files of the last frame of each sequence: names are SUBJECT_SEQUENCE_FRAME with leading zeros."""
    last: dict[str, str] = {}
    for row in rows:
        sequence, _, _ = row.file.rpartition("_")
        last[sequence] = max(row.file, last.get(sequence, ""))
    return set(last.values())


def _sequences(folder: Path) -> Collection:
    labels = existing_folder(folder / "Emotion", folder / "Emotion_labels")
    root = folder / "cohn-kanade-images"
    found = Gathering()
    for sequence in (path for subject in sub_folders(root) for path in sub_folders(subject)):
        subject = sequence.parent.name
        try:
            emotion = _emotion(labels / subject / sequence.name)
            first, *others = _frames(sequence)
        except DataError as error:
            found.drop(f"{subject}/{sequence.name}", error, three_way_split(subject))
            continue
        for frame, name in [(first, "neutral"), *((path, emotion) for path in others[-PEAK_FRAMES:])]:
            _add(found, frame.relative_to(root).as_posix(), frame, name, subject)
    for path in sorted(labels.glob("*/*/*_emotion.txt")):
        if not (root / path.relative_to(labels).parent).is_dir():
            subject = path.parent.parent.name
            name = path.relative_to(labels).as_posix()
            found.drop(name, "its sequence is missing", three_way_split(subject))
    return found.collection("ckplus")


def _frames(sequence: Path) -> list[Path]:
    """The frames of a sequence; raises DataError when there are not two, a neutral one and a peak."""
    frames = pictures_in(sequence)
    if len(frames) < 2:
        raise DataError("the sequence has one frame alone" if frames else "the sequence has no frame")
    return frames


def _emotion(folder: Path) -> str:
    """The emotion in the one text file of a sequence; raises DataError when there is none."""
    files = sorted(folder.glob("*_emotion.txt"))
    if not files:
        raise DataError("the sequence has no emotion label")
    try:
        code = float(files[0].read_text(encoding="ascii"))
    except ValueError:
        raise DataError("its emotion code is not a number") from None
    if code not in range(len(CODES)):
        raise DataError(f"its emotion code is {code:g}, not a number from 0 to 7")
    return CODES[int(code)]


def _in_folders(folder: Path) -> Iterator[tuple[str, Source]]:
    for directory in sub_folders(folder):
        for path in pictures_in(directory):
            yield path.relative_to(folder).as_posix(), path


def _in_archive(archive: Path) -> Iterator[tuple[str, Source]]:
    contents = read_members(archive)
    for name in sorted(contents):
        path = Path(name)
        if is_picture(path) and not path.name.startswith("."):
            yield f"{path.parent.name}/{path.name}", partial(contents.__getitem__, name)


def _classes(pictures: Iterable[tuple[str, Source]]) -> Collection:
    """Pictures named EMOTION/SUBJECT_SEQUENCE_FRAME.png."""
    found = Gathering()
    for name, source in pictures:
        emotion, _, file = name.partition("/")
        subject = file.partition("_")[0]
        try:
            _add(found, name, source, canonical(emotion), subject)
        except DataError as error:
            found.drop(name, error, three_way_split(subject))
    return found.collection("ckplus", tuple(name for name in EMOTIONS if name != "neutral"))


def _add(found: Gathering, name: str, source: Source, emotion: str, subject: str) -> None:
    found.add(Row(name, three_way_split(subject), column_of(emotion), source, subject=subject))
