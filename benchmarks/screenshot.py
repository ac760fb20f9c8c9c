"""The pictures of the page in README and docs: `python benchmarks/screenshot.py docs`.

Starts the app with the shipped weights, clicks the first example in headless Chromium, covers its face, and
prints the seconds from start to a usable page and from click to answers.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
VIEWS = {"desktop": (1400, 1000), "phone": (390, 844)}
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


def photograph(browser: Browser, url: str, folder: Path) -> None:
    """Take every view, light and dark, after reading the first example."""
    for name, (width, height) in VIEWS.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(f"{url}?__theme={scheme}")
            page.locator(".fer-examples button").first.click()
            clicked = time.monotonic()
            page.locator(".fer-matrix tr[data-model]").first.wait_for(timeout=120_000)
            print(f"{name} {scheme}: {time.monotonic() - clicked:.2f} s from click to answers")
            page.wait_for_timeout(500)
            page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=name == "phone")
            if (name, scheme) == ("desktop", "light"):
                photograph_cover(page, folder / "occlude.png")
            page.close()


def photograph_cover(page: Page, file: Path) -> None:
    """Take the Occlude tab as it covers the present picture."""
    page.get_by_role("tab", name="Occlude").click()
    page.locator(".fer-slider").wait_for(timeout=120_000)
    page.wait_for_timeout(500)
    page.screenshot(path=file)


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
            photograph(browser, url, folder)
            browser.close()
    finally:
        app.terminate()
        app.wait(timeout=20)


if __name__ == "__main__":
    main()
