"""What keeping freed memory is worth: `python benchmarks/memory.py [BACKBONE ...]`.

Reads 256 faces in batches of 128 in a process of its own each time, as malloc comes and with
`fer_space.memory.keep_freed_memory`, in turns. Prints one JSON line a backbone: how many times faster it is.
"""

import argparse
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
KEPT, GIVEN_BACK = "kept", "given-back"


def seconds(name: str) -> float:
    """Time the reading of `FACES` faces once more after a first time."""
    model = load_model(name, device="cpu")
    faces = gray_face(model, FACES)
    for _ in range(2):
        started = time.perf_counter()
        model.logits(faces)
    return time.perf_counter() - started


def once(name: str, how: str) -> None:
    """Print `seconds` of this process, whose freed memory is kept or given back."""
    if how == KEPT and not keep_freed_memory():
        raise SystemExit("this C library cannot keep freed memory")
    print(seconds(name))


def in_a_process(name: str, how: str) -> float:
    """Call `once` in a new process."""
    command = [sys.executable, __file__, name, "--once", how]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Compare the two for every backbone named, Lite0 by default."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbones", nargs="*", default=["efficientnet_lite0"], metavar="BACKBONE")
    parser.add_argument("--once", choices=(KEPT, GIVEN_BACK), help="measure the first in this process alone")
    args = parser.parse_args()
    if args.once:
        once(args.backbones[0], args.once)
        return
    for name in args.backbones:
        pairs = [(in_a_process(name, GIVEN_BACK), in_a_process(name, KEPT)) for _ in range(ROUNDS)]
        ratios = [given_back / kept for given_back, kept in pairs]
        print(json.dumps({"backbone": name, "times_faster": round(statistics.median(ratios), 2)}))


if __name__ == "__main__":
    main()
