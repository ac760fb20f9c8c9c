"""What bodies in eight-bit integers would gain and cost: `python benchmarks/int8.py ferplus:DIR [A,B]`.

Quantises the OpenVINO body of each backbone with NNCF (`pip install nncf`, which nothing else here needs),
calibrated on training faces, and reads the validation split with both. Prints one JSON line a backbone:
accuracy of both, how many answers changed, and how many times faster the body is on one face with its mirror
image and on sixteen. It is worth its file where accuracy moves by .1 point at most and the time does not.
"""

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from fer_space import load_model
from fer_space.data import open_data
from fer_space.evaluation.metrics import accuracy
from fer_space.model import Model, mean_of_both
from fer_space.runtime.openvino import OpenVinoRunner, converted
from fer_space.training.data import LabelledPictures

BACKBONES = ("efficientnet_lite0", "mobilenet_v2", "vgg16")
CALIBRATED_ON = 300  # faces
BATCH_SIZE = 64
ROUNDS = 15


def runners(model: Model, faces: torch.Tensor) -> tuple[OpenVinoRunner, OpenVinoRunner]:
    """Make the runner in float32 and the one whose body computes in integers.

    Args:
        model: in torch, on the CPU.
        faces: uint8 (N, C, n, n), reduced, that calibrate the ranges.
    """
    import nncf  # not installed with the rest

    nncf.set_log_level(logging.ERROR)
    size = model.card.preprocess.input_size
    inputs = model.card.preprocess.normalise(faces)
    plain, small = converted(model.network, size), converted(model.network, size)
    samples = nncf.Dataset([row[None].numpy() for row in inputs])
    small["body"] = nncf.quantize(small["body"], samples, subset_size=len(inputs))
    return OpenVinoRunner(plain), OpenVinoRunner(small)


def answers(model: Model, runner: OpenVinoRunner, pictures: torch.Tensor) -> np.ndarray:
    """Probabilities float (N, 8) of reduced pictures, averaged with their mirror images."""
    logits = []
    for batch in torch.split(pictures, BATCH_SIZE):
        inputs = model.card.preprocess.normalise(batch)
        both = runner.head(runner.body(torch.cat([inputs, inputs.flip(3)]))).logits
        logits.append(mean_of_both(both))
    return model.card.probabilities(torch.cat(logits).numpy())


def in_turns(jobs: list[Callable[[], object]]) -> list[float]:
    """Median seconds of each job."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(ROUNDS):
        for job, spent in zip(jobs, times, strict=True):
            started = time.perf_counter()
            job()
            spent.append(time.perf_counter() - started)
    return [statistics.median(spent) for spent in times]


def record(name: str, train: LabelledPictures, valid: LabelledPictures) -> dict[str, object]:
    """Compare the two on the validation split, then time them."""
    model = load_model(name, device="cpu", runtime="torch")
    plain, small = runners(model, train.pictures[:CALIBRATED_ON])
    before, after = (answers(model, runner, valid.pictures) for runner in (plain, small))
    labels = valid.labels.numpy()
    faster = {}
    for count in (2, 32):
        inputs = model.card.preprocess.normalise(valid.pictures[:count])
        slow, fast = in_turns([lambda: plain.body(inputs), lambda: small.body(inputs)])  # noqa: B023
        faster[f"faster_{count // 2}"] = round(slow / fast, 2)
    return {
        "backbone": name,
        "valid": round(100 * accuracy(before, labels), 2),
        "valid_int8": round(100 * accuracy(after, labels), 2),
        "changed": round(100 * float((before.argmax(1) != after.argmax(1)).mean()), 2),
        **faster,
    }


def main() -> None:
    """Measure each backbone."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", metavar="KIND:PATH")
    parser.add_argument("--backbones", default=",".join(BACKBONES), metavar="A,B")
    args = parser.parse_args()
    train, valid = open_data(args.data, "train"), open_data(args.data, "valid")
    for name in args.backbones.split(","):
        preprocess = load_model(name, device="cpu").card.preprocess
        few = LabelledPictures.read(train, preprocess, CALIBRATED_ON)
        print(json.dumps(record(name, few, LabelledPictures.read(valid, preprocess))), flush=True)


if __name__ == "__main__":
    main()
