"""Tiny files in the layouts of the data sets."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def pixels(seed: int, side: int = 8) -> np.ndarray:
    """A gray picture uint8 (side, side) that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def picture(path: Path, seed: int = 0) -> Path:
    """Write a picture; PNG keeps its pixels exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path)
    return path


def text(path: Path, content: str) -> Path:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def png(seed: int, side: int = 48) -> bytes:
    """The bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed, side)).save(buffer, "PNG")
    return buffer.getvalue()


USAGE = {"train": "Training", "valid": "PublicTest", "test": "PrivateTest"}
VOTE_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def fer_csv(folder: Path, rows: list[tuple[str, int, str, list[int]]]) -> None:
    """Write fer2013.csv and fer2013new.csv; rows are (split, FER-2013 code, image name, ten votes)."""
    faces, votes = "emotion,pixels,Usage\n", VOTE_HEADER
    for seed, (split, code, name, counts) in enumerate(rows):
        numbers = " ".join(map(str, pixels(seed, 48).ravel().tolist()))
        faces += f"{code},{numbers},{USAGE[split]}\n"
        votes += f"{USAGE[split]},{name},{','.join(map(str, counts))}\n"
    text(folder / "fer2013.csv", faces)
    text(folder / "fer2013new.csv", votes)


def affectnet_face(folder: Path, stem: str, expression: object, affect: tuple[float, float]) -> None:
    """Write one face of AffectNet into DIR/{train,val}_set."""
    picture(folder / "images" / f"{stem}.png", int(stem))
    (folder / "annotations").mkdir(exist_ok=True)
    for part, value in zip(("exp", "val", "aro"), (expression, *affect), strict=True):
        np.save(folder / "annotations" / f"{stem}_{part}.npy", np.array(value))


def voc_xml(folder: Path, stem: str, objects: list[tuple[str, tuple[object, ...]]]) -> None:
    """Write one annotation with a picture beside it."""
    picture(folder / "JPEGImages" / f"{stem}.png", 1)
    edges = ("xmin", "ymin", "xmax", "ymax")
    body = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{edge}>{value}</{edge}>" for edge, value in zip(edges, box, strict=False))
        + "</bndbox></object>"
        for name, box in objects
    )
    xml = f"<annotation><filename>{stem}.png</filename>{body}</annotation>"
    text(folder / "Annotations" / f"{stem}.xml", xml)


FIRST_COLUMNS = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def affectnet_table(folder: Path, name: str, rows: list[tuple[str, str]], *, header: bool = True) -> None:
    """Write a table of AffectNet's first release and its pictures; rows are (file, what follows it)."""
    lines = [FIRST_COLUMNS] if header else []
    for seed, (file, cells) in enumerate(rows):
        picture(folder / "Manually_Annotated_Images" / file, seed)
        lines.append(f"{file},{cells}")
    text(folder / name, "\n".join(lines) + "\n")


def scene(path: Path, example: str, size_wh: tuple[int, int], corner: tuple[int, int], width: int) -> Path:
    """Write a gray scene into which one of the example photos is set, `width` pixels wide."""
    frame = Image.new("RGB", size_wh, (96, 96, 96))
    with Image.open(EXAMPLES / example) as photo:
        height = round(photo.height * width / photo.width)
        frame.paste(photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), corner)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.save(path)
    return path
