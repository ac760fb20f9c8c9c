"""The Space: build the engine and the page, and serve them. `python app.py` opens it on port 7860.

HOST and PORT in the environment change the address; a Space sets GRADIO_SERVER_NAME and _PORT.
"""

import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

# Uploads lie in a folder of this process alone, which goes when the process ends.
uploads = TemporaryDirectory(prefix="fer-space-")
os.environ.setdefault("GRADIO_TEMP_DIR", uploads.name)
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when the first library starts OpenMP

import spaces  # noqa: E402  before torch, so that a lent GPU can be seen

# isort: split
from fer_space.engine import Engine  # noqa: E402
from fer_space.ui.page import build_page, serving_options  # noqa: E402

engine = Engine()
engine.preload()  # now, so that the first visitor does not wait, and because ZeroGPU wants it so
# On ZeroGPU hardware a GPU is lent for the length of one call; everywhere else this changes nothing.
stream = spaces.GPU(duration=15)(engine.stream)
sensitivity = spaces.GPU(duration=15)(engine.sensitivity)
demo = build_page(
    engine,
    stream=stream,
    sensitivity=sensitivity,
    examples=Path(__file__).resolve().parent / "examples",
)


def setting(*names: str, default: str) -> str:
    """The first of these environment variables that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name))), default)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as after Ctrl-C: tidy up
    demo.launch(
        server_name=setting("HOST", "GRADIO_SERVER_NAME", default="127.0.0.1"),
        server_port=int(setting("PORT", "GRADIO_SERVER_PORT", default="7860")),
        **serving_options(),
    )
