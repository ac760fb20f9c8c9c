"""The pictures of the page in README and docs: `python benchmarks/screenshot.py docs`.

Starts the app with the shipped weights, drives it in headless Chromium, and writes `page-light.webp` and
`page-dark.webp`, an animation each (an example is read, then a mask and sunglasses are drawn on it), and
`occlude.png`. Prints the seconds from start to a usable page.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
VIEW = (1400, 900)
SHOWN = (1050, 675)  # pixels of the animation
HOLD_MS = 2200  # each of its pictures
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


def wait_for(url: str, limit_s: float = 180.0) -> None:
    """Return when `url` answers; raises TimeoutError when it does not."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            with urlopen(url, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"{url} did not answer within {limit_s} s")


def settled(page: Page) -> Image.Image:
    """Wait until nothing is being read any more, and take a picture."""
    page.wait_for_timeout(700)
    page.wait_for_function("!document.querySelector('.fer-progress')", timeout=120_000)
    page.wait_for_timeout(700)
    return Image.open(BytesIO(page.screenshot()))


def film(page: Page, url: str, scheme: str, folder: Path) -> None:
    """Read an example, cover its face with a mask and with sunglasses, and write that as an animation."""
    page.goto(f"{url}?__theme={scheme}")
    page.locator(".fer-matrix tr[data-model]").first.wait_for(timeout=120_000)
    frames = [settled(page)]
    page.locator(".fer-examples button").nth(1).click()
    frames.append(settled(page))
    page.locator(".fer-examples button").first.click()
    settled(page)
    page.get_by_role("tab", name="Occlude").click()
    page.locator(".fer-slider").wait_for(timeout=120_000)
    frames.append(settled(page))
    if scheme == "light":
        frames[-1].save(folder / "occlude.png", optimize=True)
    page.locator("[data-kind=sunglasses]").click()
    frames.append(settled(page))
    small = [frame.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS) for frame in frames]
    file = folder / f"page-{scheme}.webp"
    small[0].save(
        file, save_all=True, append_images=small[1:], duration=HOLD_MS, loop=0, quality=78, method=6
    )


def main() -> None:
    """Start the app, photograph it, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    started = time.monotonic()
    app = subprocess.Popen([sys.executable, ROOT / "app.py"], env=os.environ | {"PORT": str(port)}, cwd=ROOT)
    try:
        wait_for(url)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            page = browser.new_page()
            page.goto(url)
            page.locator(".fer-examples button").first.wait_for(timeout=120_000)
            print(f"{time.monotonic() - started:.1f} s from start to a usable page")
            page.close()
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": VIEW[0], "height": VIEW[1]}, color_scheme=scheme)
                film(page, url, scheme, folder)
                page.close()
            browser.close()
    finally:
        app.terminate()
        app.wait(timeout=20)


if __name__ == "__main__":
    main()
