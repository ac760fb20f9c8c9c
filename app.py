"""The Space: build the engine and the page, and serve them. `python app.py` opens it on port 7860.

HOST and PORT in the environment change the address.
"""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when the first library starts OpenMP

import spaces  # before torch, so that a lent GPU can be seen

# isort: split
from pathlib import Path

from fer_space.engine import Engine
from fer_space.ui.page import build_page, serving_options

engine = Engine()
engine.preload()  # now, so that the first visitor does not wait, and because ZeroGPU wants it so
# On ZeroGPU hardware a GPU is lent for the length of one call; everywhere else this changes nothing.
compare = spaces.GPU(duration=15)(engine.compare)
demo = build_page(engine, compare=compare, examples=Path(__file__).resolve().parent / "examples")

if __name__ == "__main__":
    demo.launch(
        server_name=os.environ.get("HOST", "127.0.0.1"),
        server_port=int(os.environ.get("PORT", "7860")),
        **serving_options(),
    )
