"""CK+: people who pose an expression, filmed from neutral to its peak.

Lucey et al. 2010, "The extended Cohn-Kanade dataset (CK+)", CVPR workshops. Reads either what the authors
send out, or the small version that many share:

    DIR/cohn-kanade-images/S005/001/S005_001_00000001.png, ...              every frame of a sequence
    DIR/Emotion/S005/001/S005_001_00000011_emotion.txt                      "3.0000000e+00"

    DIR/{anger,contempt,disgust,fear,happy,sadness,surprise}/S010_004_00000017.png       (CK+48)

Codes: 0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happiness, 6 sadness, 7 surprise. Of a labelled
sequence the first frame is taken as neutral and the last three as the emotion, as is usual; sequences
without a label, labels without a sequence and sequences of one frame are dropped. DIR may be the folder
above `CK+48`, which knows no neutral.

The frames of one person look alike, so the split is by subject, never by frame: the hash of the subject
puts eight tenths into `train`, one tenth into `valid` and one tenth into `test`.
"""

from pathlib import Path

from fer_space.data.collection import Collection, Gathering, Row, existing_folder, three_way_split
from fer_space.data.files import pictures_in, sub_folders
from fer_space.emotions import EMOTIONS, canonical
from fer_space.errors import DataError

CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
PEAK_FRAMES = 3


def collect_ckplus(folder: Path) -> Collection:
    """Read whichever layout is there; raises DataError when it is neither or nothing is usable."""
    if (folder / "cohn-kanade-images").is_dir():
        return _sequences(folder)
    return _class_folders(folder / "CK+48" if (folder / "CK+48").is_dir() else folder)


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
        _add(found, root, first, "neutral", subject)
        for frame in others[-PEAK_FRAMES:]:
            _add(found, root, frame, emotion, subject)
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


def _class_folders(folder: Path) -> Collection:
    found = Gathering()
    for directory in sub_folders(existing_folder(folder)):
        for path in pictures_in(directory):
            subject = path.name.partition("_")[0]
            try:
                _add(found, folder, path, canonical(directory.name), subject)
            except DataError as error:
                found.drop(path.relative_to(folder).as_posix(), error, three_way_split(subject))
    return found.collection("ckplus", tuple(name for name in EMOTIONS if name != "neutral"))


def _add(found: Gathering, root: Path, path: Path, emotion: str, subject: str) -> None:
    name = path.relative_to(root).as_posix()
    found.add(Row(name, three_way_split(subject), EMOTIONS.index(emotion), path, subject=subject))
