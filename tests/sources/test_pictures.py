"""The rule that tells pictures from other files."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from fer_space.sources.pictures import has_picture_name, is_picture_file


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPE", "b.heic", "b.HEIF", "c.mpo", "d.apng", "e.j2k", "f.g.png"]
)
def test_names_of_pictures(name: str) -> None:
    assert has_picture_name(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", "._a.jpg", ".jpg", "a.jpg.part", "a.svg", "a.jxl", ""])
def test_names_of_others(name: str) -> None:
    assert not has_picture_name(name)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF", "TIFF", "JPEG2000"])
def test_content_decides_where_a_name_has_no_ending(file_format: str, tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, file_format)
    for name, expected in (("IMG_0001", True), ("IMG_0001.dat", False), (".IMG_0001", False)):
        (tmp_path / name).write_bytes(buffer.getvalue())
        assert is_picture_file(tmp_path / name) is expected


@pytest.mark.parametrize("content", [b"", b"dear diary", b"\x00\x00\x00\x20ftypmp42", b"%PDF-1.7"])
def test_other_content_without_an_ending(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "README").write_bytes(content)
    assert not is_picture_file(tmp_path / "README")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").mkdir()
    assert not is_picture_file(tmp_path / "x.jpg")
