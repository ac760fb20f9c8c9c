"""The endpoint `/predict` as a program meets it, through gradio_client."""

from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from fer_space.ui import page as page_module
from tests.toys import MISSING, TOY_SPECS
from tests.ui.conftest import EXAMPLES, ROOT, Served

PORTRAIT = handle_file(str(EXAMPLES / "astronaut.jpg"))


@pytest.fixture(scope="module")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(served.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_predict_gives_the_record(client: Client) -> None:
    record = client.predict(
        PORTRAIT, backbones=["toy_lite", "toy_dan"], detector="libfacedetection", api_name="/predict"
    )
    assert (record["width"], record["height"]) == (512, 512)
    (face,) = record["faces"]
    assert list(face["backbones"]) == ["toy_lite", "toy_dan"]
    assert face["consensus"]["label"] == "happiness"


def test_every_backbone_is_the_default(client: Client) -> None:
    (face,) = client.predict(PORTRAIT, api_name="/predict")["faces"]
    assert list(face["backbones"]) == [spec.name for spec in TOY_SPECS]


def test_occlude_adds_what_the_cover_changes(client: Client) -> None:
    chosen = ["toy_lite", "toy_vit"]
    free = client.predict(PORTRAIT, backbones=chosen, api_name="/predict")["faces"][0]
    (face,) = client.predict(PORTRAIT, backbones=chosen, occlude="surgical", api_name="/predict")["faces"]
    occluded = face.pop("occluded")
    assert face == free
    assert occluded["kind"] == "surgical"
    assert list(occluded["backbones"]) == chosen
    assert occluded["kept"] == 1
    assert [change["kept"] for change in occluded["changes"].values()] == [True, False]


def test_two_faces(client: Client) -> None:
    record = client.predict(handle_file(str(EXAMPLES / "two_faces.jpg")), api_name="/predict")
    assert len(record["faces"]) == 2


def test_no_face_is_no_error(client: Client, tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((80, 80, 3), 60, np.uint8))
    assert client.predict(handle_file(str(plain)), api_name="/predict")["faces"] == []


def test_sixteen_bit_pictures_keep_their_tones(client: Client, tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    gray = cv2.imread(str(EXAMPLES / "astronaut.jpg"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(deep), gray.astype(np.uint16) * 257)
    assert len(client.predict(handle_file(str(deep)), api_name="/predict")["faces"]) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"image": None}, "Choose a picture first"),
        ({"image": {"path": __file__}}, "did not arrive"),
        ({"backbones": []}, "at least one model"),
        ({"detector": "insightface"}, MISSING),
        ({"occlude": "a wall"}, "no occlusion"),
        ({"explain": "boredom"}, "no emotion to explain"),
        ({"lift": "a little"}, "lift is true or false"),
        ({"ensemble": 3}, "ensemble is one name"),
        ({"ensemble": "the wise"}, "no ensemble"),
    ],
    ids=[
        "no picture",
        "a file of the server",
        "no backbone",
        "detector not installed",
        "no cover",
        "no emotion",
        "no operating point",
        "no name of a fit",
        "no fit",
    ],
)
def test_errors_are_sentences(client: Client, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(**{"image": PORTRAIT, "api_name": "/predict", **changes})


def test_explain_adds_maps_and_where_they_lie(client: Client) -> None:
    chosen = [spec.name for spec in TOY_SPECS]
    words = {"backbones": chosen, "occlude": "scarf", "explain": "contempt"}
    (face,) = client.predict(PORTRAIT, **words, api_name="/predict")["faces"]
    assert set(face["maps"]) == set(chosen) - {"toy_dan"}  # which does not know contempt
    shown = face["maps"][chosen[0]]
    assert (shown["emotion"], shown["method"]) == ("contempt", "toy")
    assert all(0.0 <= value <= 1.0 for row in shown["heatmap"] for value in row)
    assert np.shape(shown["photo_to_crop"]) == (2, 3)
    assert set(face["occluded"]["maps"]) == set(face["maps"])


def test_a_bad_file_is_a_sentence(client: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("this is no picture")
    with pytest.raises(AppError, match="picture"):
        client.predict(handle_file(str(bad)), api_name="/predict")


def test_predict_is_the_only_public_endpoint(client: Client) -> None:
    info = client.view_api(return_format="dict", print_info=False)
    assert list(info["named_endpoints"]) == ["/predict"]
    assert info["unnamed_endpoints"] == {}
    names = [p["parameter_name"] for p in info["named_endpoints"]["/predict"]["parameters"]]
    assert names == ["image", "backbones", "detector", "occlude", "explain", "lift", "ensemble"]


@pytest.mark.skipif(
    not (ROOT / "weights" / "efficientnet_lite0.json").exists(), reason="the weights are not there"
)
def test_real_backbone_reads_the_astronaut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fer_space.engine import Engine

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page = page_module.build_page(Engine(ROOT / "weights"))
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **page_module.serving_options())
    record = Client(url, verbose=False).predict(PORTRAIT, api_name="/predict")
    page.close(verbose=False)
    (face,) = record["faces"]
    assert face["backbones"]["efficientnet_lite0"]["label"] == "happiness"


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("photo.jpg", "handle_file"),
        (7, "did not arrive"),
        ([1, 2], "did not arrive"),
        ({"path": None}, "did not arrive"),
        ({"url": "data:image/png;base64,%%%"}, "base64"),
        ({"url": "data:image/png;base64,AAAA"}, "damaged"),
        (
            {"path": "http://127.0.0.1:7860/x.png", "meta": {"_type": "gradio.FileData"}},
            "not a public address",
        ),
        ({"path": "file:///etc/passwd", "meta": {"_type": "gradio.FileData"}}, "not an http or https"),
        ({"url": "http://[::1]/x.png"}, "not a public address"),
        ({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "not"),
    ],
)
@pytest.mark.parametrize("door", ["queue", "beside"])
def test_whatever_comes_as_a_picture_gets_a_sentence(
    door: str, image: Any, sentence: str, served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    data = [image, ["toy_lite"], "libfacedetection", "none", "none", False, ""]
    if door == "beside":
        answer = httpx.post(f"{served.url}gradio_api/run/predict", json={"data": data}, timeout=30)
        said = answer.json()["error"]
    else:
        event = httpx.post(f"{served.url}gradio_api/call/predict", json={"data": data}, timeout=30).json()
        stream = httpx.get(f"{served.url}gradio_api/call/predict/{event['event_id']}", timeout=30).text
        said = stream
    assert sentence in said
    assert "Traceback" not in capfd.readouterr().err
