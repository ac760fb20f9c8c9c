"""A visitor in headless Chromium: opens the page, uploads, tabs, and notes what goes wrong."""

import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
DESK, PHONE = (1400, 1000), (390, 844)


@dataclass
class Visit:
    """A page that was opened, with what its console complained of and what it asked other hosts for."""

    page: Page
    errors: list[str]
    strangers: list[str]

    def example(self, name: str) -> None:
        self.page.get_by_role("button", name=f"Example: {name}").click()

    def upload(self, name: str, data: bytes) -> None:
        file = {"name": name, "mimeType": "image/png", "buffer": data}
        self.page.locator("#fer-file").set_input_files(file)

    def open_settings(self) -> None:
        self.page.locator("#fer-settings > button").click()

    def open_maps(self) -> None:
        self.page.locator("#fer-maps > button").click()

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def paste(self, data: bytes) -> None:
        """Ctrl+V with a picture, anywhere on the page."""
        self._hand_over("paste", (data,), "picture.jpg", "image/jpeg")

    def drop(self, *files: bytes, name: str = "picture.jpg", kind: str = "image/jpeg") -> None:
        """Let files fall anywhere on the page."""
        self._hand_over("drop", files, name, kind)

    def _hand_over(self, event: str, files: tuple[bytes, ...], name: str, kind: str) -> None:
        self.page.evaluate(
            """([event, texts, name, type]) => {
              const bag = new DataTransfer(), options = {bubbles: true, cancelable: true};
              for (const text of texts) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                bag.items.add(new File([bytes], name, {type}));
              }
              const made = event === 'paste' ? new ClipboardEvent('paste', {...options, clipboardData: bag})
                : new DragEvent('drop', {...options, dataTransfer: bag});
              document.body.dispatchEvent(made);
            }""",
            [event, [b64encode(data).decode() for data in files], name, kind],
        )

    @property
    def rows(self):
        """The models that have read the face."""
        return self.page.locator(".fer-matrix:visible tr[data-model]")

    @property
    def cards(self):
        return self.page.locator(".fer-card:visible")

    @property
    def verdict(self):
        return self.page.locator(".fer-verdict:visible")

    @property
    def outcome(self):
        return self.page.locator(".fer-outcome:visible")

    @property
    def alert(self):
        return self.page.locator("[role=alert]:visible")


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds, so many seconds at most."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it does not hold after {seconds} seconds"
        time.sleep(0.02)


def film(frame_bgr: np.ndarray, file: Path) -> None:
    planes = cv2.cvtColor(cv2.resize(frame_bgr, (480, 480)), cv2.COLOR_BGR2YUV_I420).tobytes()
    file.write_bytes(b"YUV4MPEG2 W480 H480 F10:1 Ip A1:1 C420jpeg\n" + 3 * (b"FRAME\n" + planes))


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window: neither the page nor a part that something cuts off."""
    return page.evaluate(
        """document.documentElement.scrollWidth <= window.innerWidth
        && ['card', 'scroll', 'hero', 'panel', 'stage', 'strip']
        .flatMap(name => [...document.querySelectorAll('.fer-' + name)])
        .every(part => part.getBoundingClientRect().right <= window.innerWidth)"""
    )


CLIPPED_JS = """[
  ...[...document.querySelectorAll('.fer-palette span, .fer-matrix tbody th, .fer-controls input:read-only'),
    ...document.querySelectorAll('.fer-face b, .fer-tile small')]
    .filter((words) => words.scrollWidth > words.clientWidth),
  ...[...document.querySelectorAll('.fer-controls .wrap-inner:has(.icon-wrap)')].filter((box) => {
    const input = box.querySelector('input'), end = input.getBoundingClientRect().right;
    const arrow = box.querySelector('.icon-wrap').getBoundingClientRect();
    return arrow.width && end - parseFloat(getComputedStyle(input).paddingRight) > arrow.left;
  }),
  ...[...document.querySelectorAll('.block input[type=range]')].filter((slider) =>
    slider.parentElement.lastElementChild.getBoundingClientRect().right
      > slider.closest('.block').getBoundingClientRect().right),
].filter((part) => part.offsetParent).map((part) => part.ariaLabel || part.value || part.textContent)"""


def clipped(page: Page) -> list[str]:
    """Words that are cut off, or run into something; sliders that stick out of their box."""
    return page.evaluate(CLIPPED_JS)


def tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"Tab never reached “{name}”")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText || ''").strip()


# Own words whose colour stands out from what is behind them by less than WCAG 2's 4.5.
PALE_WORDS_JS = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = node => {
    for (let n = node; n; n = n.parentElement) {
      const c = rgb(getComputedStyle(n).backgroundColor);
      if (c.length === 3 || c[3] > .8) return c;
    }
    return [255, 255, 255];
  };
  const own = '[class*=fer-] :is(h1, h2, h3, p, strong, span, b, th, td, small, dt, dd, li, text)';
  return [...document.querySelectorAll(own)].filter(n => n.textContent.trim()).map(n => {
    const style = getComputedStyle(n), svg = n.tagName === 'text';
    const behind = ground(n);
    const [low, high] = [light(rgb(svg ? style.fill : style.color)), light(behind)].sort((a, b) => a - b);
    return [(high + .05) / (low + .05), n.className, n.textContent];
  }).filter(([contrast]) => contrast < 4.5);
}"""
