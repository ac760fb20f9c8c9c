"""`fer-space publish`: folders that the Hub takes; nothing is uploaded unless an owner is named."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fer_space.cli import main
from fer_space.commands import publish
from fer_space.errors import InputError, SourceError
from fer_space.publishing.space import LOCK, PARTS, write_space

ROOT = Path(__file__).parents[2]


class Hub:
    """Remembers what it was asked, or says no."""

    def __init__(self, refusal: str = "") -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refusal = refusal

    def create_repo(self, repository: str, **options: Any) -> str:
        if self.refusal:
            raise PermissionError(self.refusal)
        self.asked.append((repository, options))
        return f"https://hub/{repository}"

    def upload_folder(self, **options: Any) -> SimpleNamespace:
        self.asked.append(("upload", options))
        return SimpleNamespace()


def test_a_dry_run_writes_folders_and_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["publish", str(tmp_path), "--dry-run", "--backbone", "human_emotion,faceapi"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in ("human_emotion", "faceapi")]
    assert "OWNER/fer-space-faceapi" in (tmp_path / "faceapi" / "README.md").read_text()


def test_names_may_have_spaces_and_unknown_ones_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["publish", str(tmp_path), "--dry-run", "--backbone", "human_emotion, faceapi"]) == 0
    assert len(capsys.readouterr().out.split()) == 2
    assert main(["publish", str(tmp_path), "--dry-run", "--backbone", "gone"]) == 2
    assert "There is no model “gone”" in capsys.readouterr().err


def test_no_weights_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(publish, "WEIGHTS_DIR", tmp_path)
    for words in ([], ["--backbone", "all"]):
        assert main(["publish", str(tmp_path / "out"), "--dry-run", *words]) == 2
        assert "There are no weights" in capsys.readouterr().err


def test_it_must_be_clear_where_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["publish", str(tmp_path), "--backbone", "faceapi"]) == 2
    assert "--owner" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_an_owner_gets_a_repository_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub = Hub()
    monkeypatch.setattr(publish, "HfApi", lambda: hub)
    assert main(["publish", str(tmp_path), "--backbone", "faceapi", "--owner", "somebody"]) == 0
    assert [name for name, _ in hub.asked] == ["somebody/fer-space-faceapi", "upload"]
    assert hub.asked[1][1]["folder_path"] == tmp_path / "faceapi"
    assert "hub:somebody/fer-space-faceapi" in (tmp_path / "faceapi" / "README.md").read_text()


def test_a_refusal_is_a_sentence(tmp_path: Path):
    with pytest.raises(SourceError, match=r"^a/b was not uploaded: you may not$"):
        publish.upload(Hub("you may not\nat all"), tmp_path, "a/b", "model")


def test_a_space_is_written_from_a_checkout_into_an_empty_folder(tmp_path: Path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    with pytest.raises(InputError, match="from a checkout"):
        write_space(checkout, tmp_path / "space")
    for name in (*PARTS, LOCK):
        (checkout / name).write_text(name)
    space = write_space(checkout, tmp_path / "space")
    assert (space / "requirements.txt").read_text() == LOCK
    with pytest.raises(InputError, match="not empty"):
        write_space(checkout, space)
