"""What keeping freed memory is worth: `python benchmarks/memory.py [BACKBONE ...]`.

Reads 256 faces in batches of 128 in a process of its own each time, as malloc comes and with
`fer_space.memory.keep_freed_memory`, in turns. Prints one JSON line a backbone: how many times faster it is.
"""

import json
import statistics
import subprocess
import sys
import time

from fer_space import load_model
from fer_space.evaluation.cost import gray_face
from fer_space.memory import keep_freed_memory

ROUNDS = 3
FACES = 256


def seconds(name: str) -> float:
    """Time the reading of `FACES` faces once more after a first time."""
    model = load_model(name, device="cpu")
    faces = gray_face(model, FACES)
    for _ in range(2):
        started = time.perf_counter()
        model.logits(faces)
    return time.perf_counter() - started


def in_a_process(name: str, how: str) -> float:
    """Call `seconds` in a new process; `how` is "kept" or "given back"."""
    command = [sys.executable, __file__, "--once", name, how]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Compare the two for every backbone named, Lite0 by default."""
    for name in sys.argv[1:] or ["efficientnet_lite0"]:
        pairs = [(in_a_process(name, "given back"), in_a_process(name, "kept")) for _ in range(ROUNDS)]
        ratios = [given_back / kept for given_back, kept in pairs]
        print(json.dumps({"backbone": name, "times_faster": round(statistics.median(ratios), 2)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        if sys.argv[3] == "kept" and not keep_freed_memory():
            raise SystemExit("this C library cannot keep freed memory")
        print(seconds(sys.argv[2]))
    else:
        main()
