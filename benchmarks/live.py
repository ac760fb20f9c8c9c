"""Frames a second of the Live tab, end to end: `python benchmarks/live.py [--seconds 20] [--backbones A,B]`.

Serves the page here, opens it in headless Chromium whose camera is a film of an example at 640 x 480, and
counts the answers that are drawn. Prints one JSON line: frames a second, and milliseconds of reading each.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from playwright.sync_api import ViewportSize, sync_playwright

from fer_space import Engine
from fer_space.ui.live import FAST
from fer_space.ui.page import build_page, serving_options

EXAMPLES = Path(__file__).parent.parent / "examples"
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def film(file: Path, frames: int = 60) -> None:
    """Write a Motion JPEG of 640 x 480 in which a portrait sways."""
    photo = cv2.imread(str(EXAMPLES / "astronaut.jpg"))
    assert photo is not None
    scale = 480 / photo.shape[0]
    with file.open("wb") as out:
        for number in range(frames):
            shift = 80 + 24 * np.sin(2 * np.pi * number / frames)
            place = np.array([[scale, 0, shift], [0, scale, 0]])
            picture = cv2.warpAffine(photo, place, (640, 480), borderMode=cv2.BORDER_REPLICATE)
            out.write(cv2.imencode(".jpg", picture)[1].tobytes())


def measure(
    url: str, camera: Path, names: list[str], titles: dict[str, str], seconds: float
) -> dict[str, float]:
    """Let a visitor show a face for some seconds and note once a second how fast answers come."""
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        size = ViewportSize(width=1400, height=1000)
        page = browser.new_context(viewport=size, permissions=["camera"]).new_page()
        page.goto(url)
        page.get_by_role("tab", name="Live").click()
        for name, title in titles.items():
            page.get_by_label(title, exact=True).last.set_checked(name in names)
        page.get_by_role("button", name="Start the camera").click()
        rate = page.locator("[data-live=rate][data-fps]")
        rate.wait_for()
        time.sleep(4.0)  # until all that is loaded late is loaded
        notes = []
        for _ in range(round(seconds)):
            time.sleep(1.0)
            said = rate.get_attribute("data-fps")
            assert said is not None, "the tab does not say how many frames it reads"
            notes.append((float(said), int(rate.inner_text().split()[4])))
        browser.close()
    fps, ms = zip(*notes, strict=True)
    return {"fps": statistics.median(fps), "slowest": min(fps), "ms": statistics.median(ms)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--backbones", default=",".join(FAST))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        camera = Path(folder) / "camera.mjpeg"
        film(camera)
        engine = Engine()
        page = build_page(engine, examples=EXAMPLES)
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **serving_options())
        titles = {name: source.title for name, source in engine.registry.present().items()}
        names = args.backbones.split(",")
        result = measure(url, camera, names, titles, args.seconds)
        load = os.getloadavg()[0]
        print(json.dumps({"backbones": names, **result, "cores": os.cpu_count(), "load": round(load, 1)}))
        page.close(verbose=False)


if __name__ == "__main__":
    main()
