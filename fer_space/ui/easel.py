"""A slider between two pictures and a picture to paint on, which Gradio offers only with files on disk.

Both are HTML with data URIs; what is painted travels as one, too.
"""

from html import escape

from fer_space.ui.hiding import Window

_SHEET = 640  # longer side of the canvas in pixels

SLIDER_JS = """
element.addEventListener('input', (event) => {
  event.target.closest('.fer-slider')?.style.setProperty('--cut', `${event.target.value}%`);
});
"""


def slider_html(
    original_uri: str, covered_uri: str, size_wh: tuple[int, int], window: Window, subject: str
) -> str:
    """Build two pictures on top of each other with a handle that moves the border between them.

    Args:
        original_uri: data URI of the free picture.
        covered_uri: data URI of the covered one, which has the same sides.
        size_wh: their width and height, at any scale.
        window: left, top, right, bottom of what is shown, at the same scale.
        subject: what they show, as "photo".
    """
    shape, place = _frame(size_wh, window)
    original, covered = (
        f'<img src="{uri}" alt="The {escape(subject)}, {state}" style="{place}">'
        for uri, state in ((original_uri, "free"), (covered_uri, "covered"))
    )
    return (
        f'<figure class="fer-slider fer-window" style="--cut:50%;{shape}">{original}'
        f'<div class="fer-over">{covered}</div><hr>'
        '<input type="range" min="0" max="100" value="50" aria-label="Border between original and covered">'
        '<span aria-hidden="true">original</span><span aria-hidden="true">covered</span></figure>'
    )


def easel_html(photo_uri: str, size_wh: tuple[int, int], window: Window) -> str:
    """Build a window of the photo with a clear canvas on it, a brush and its buttons.

    Args:
        photo_uri: data URI of the whole picture at any scale.
        size_wh: width and height of the picture in pixels.
        window: left, top, right, bottom of what is shown, in pixels of the picture.
    """
    shape, place = _frame(size_wh, window)
    width, height = window[2] - window[0], window[3] - window[1]
    scale = _SHEET / max(width, height)
    sides = f'width="{max(1, round(width * scale))}" height="{max(1, round(height * scale))}"'
    return (
        f'<div class="fer-easel"><div class="fer-sheet fer-window" style="{shape}">'
        f'<img src="{photo_uri}" alt="" style="{place}">'
        f'<canvas {sides} aria-label="Paint over the face" role="img"></canvas></div>'
        '<div class="fer-brushes"><label>Brush <input type="range" min="8" max="160" value="56"></label>'
        '<label>Colour <input type="color" value="#1f2937"></label>'
        '<button type="button" data-do="wipe">Wipe</button>'
        '<button type="button" data-do="read" class="fer-read">Read what I painted</button></div></div>'
    )


def _frame(size_wh: tuple[int, int], window: Window) -> tuple[str, str]:
    """The style of a frame that shows a window of a picture, and that of the picture in it."""
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    shape = f"aspect-ratio:{width}/{height};--ratio:{width / height:.4f}"
    place = (
        f"width:{100 * size_wh[0] / width:.3f}%;left:{-100 * left / width:.3f}%;"
        f"top:{-100 * top / height:.3f}%"
    )
    return shape, place


EASEL_JS = """
let from = null;
const sheet = () => element.querySelector('canvas');
const place = (event) => {
  const box = sheet().getBoundingClientRect();
  return [(event.clientX - box.left) * sheet().width / box.width,
          (event.clientY - box.top) * sheet().height / box.height];
};
const draw = (to) => {
  const pen = sheet().getContext('2d');
  pen.lineCap = pen.lineJoin = 'round';
  pen.lineWidth = Number(element.querySelector('input[type=range]').value);
  pen.strokeStyle = element.querySelector('input[type=color]').value;
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  from = to;
};
element.addEventListener('pointerdown', (event) => {
  if (event.target !== sheet()) return;
  event.preventDefault();
  try { sheet().setPointerCapture(event.pointerId); } catch {}
  from = place(event);
  draw(from);
});
element.addEventListener('pointermove', (event) => { if (from) draw(place(event)); });
for (const end of ['pointerup', 'pointercancel']) element.addEventListener(end, () => { from = null; });
element.addEventListener('click', (event) => {
  const action = event.target.dataset.do;
  if (action === 'wipe') sheet().getContext('2d').clearRect(0, 0, sheet().width, sheet().height);
  if (action === 'read') trigger('submit', {strokes: sheet().toDataURL('image/png')});
});
"""
