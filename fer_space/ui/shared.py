"""What both tabs share: the queue of the models, quiet events, and the pieces of script that they need."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gradio as gr

MODELS = "models"  # one queue for every event that runs a model
REMEMBER_S = 1800
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

# Hands over the index of the clicked button; after a redraw the keyboard is put back where it was. A click
# on the photo beside its boxes hands over the place, in parts of the photo's sides.
PICK_JS = """
let picked = null;
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) {
    picked = button.dataset.index;
    trigger('select', {index: Number(picked)});
  } else if (event.target.closest('.fer-stage')) {
    const stage = event.target.closest('.fer-stage').getBoundingClientRect();
    const across = (event.clientX - stage.left) / stage.width;
    trigger('click', {across, down: (event.clientY - stage.top) / stage.height});
  }
});
watch('value', () => {
  if (picked !== null) element.querySelector(`[aria-pressed][data-index="${picked}"]`)?.focus();
  picked = null;
});
"""
LIVE_JS = "element.setAttribute('aria-live', 'polite');"


def model_event(*progress_on: Any, bar: bool = False) -> dict[str, Any]:
    """Options of an event that runs a model: private, one at a time, the last of many clicks wins.

    Args:
        progress_on: the components that show that it runs.
        bar: whether it reports how far it is.
    """
    return {
        "api_visibility": "private",
        "concurrency_id": MODELS,
        "concurrency_limit": 1,
        "trigger_mode": "always_last",
        "show_progress": "full" if bar else "minimal",
        "show_progress_on": list(progress_on),
    }


def given(event: gr.EventData, name: str) -> Any:
    """What the page sent with an event under a name; None where a forged event lacks it."""
    try:
        return getattr(event, name)
    except (AttributeError, KeyError, TypeError):
        return None


def counting(progress: gr.Progress) -> Callable[[Sequence[str]], Iterable[str]]:
    """Go through backbones and show how far that is."""

    def each(names: Sequence[str]) -> Iterable[str]:
        counted: Iterable[str] = progress.tqdm(list(names), unit="models")
        return counted

    return each
