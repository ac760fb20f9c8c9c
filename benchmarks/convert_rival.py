"""Convert a network of others from its npm package into weights and a card of this project.

    npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
    python benchmarks/convert_rival.py faceapi package/model [WEIGHTS]
    npm pack @vladmandic/human@3.3.6 && tar xzf vladmandic-human-3.3.6.tgz
    python benchmarks/convert_rival.py human_emotion package/models [WEIGHTS]

WEIGHTS is the folder that gets NAME.safetensors and NAME.json, by default weights/. Numbers stay
in fp32 but for the last layers of a network that a megabyte would not hold. Nothing is trained: the card says
what the authors say, its bias is 0 and its temperature 1 until they are fitted on a validation split.
"""

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from fer_space.backbones.specs import backbone_spec
from fer_space.card import WEIGHTS_DIR, Card, paths_of, write_card
from fer_space.files import sha256_of
from fer_space.vision.alignment import CropRule

MEGABYTE = 10**6  # bytes
HEADER = 128  # bytes a tensor takes in a file's header


class Origin(NamedTuple):
    """What the authors say, and the framing that suits their network.

    Attributes:
        data: what it learned from.
        archive: what `npm pack` writes.
        folder: of the models in the archive.
        crop: framing of the face.
    """

    data: str
    archive: str
    folder: str
    crop: CropRule


ORIGINS = {
    "faceapi": Origin(
        "unknown: “public data sets and pictures from the web”, see github.com/justadudewhohacks/face-api.js",
        "vladmandic-face-api-1.7.15.tgz",
        "package/model",
        CropRule(),
    ),
    "human_emotion": Origin(
        "FER-2013, see github.com/oarriaga/face_classification",
        "vladmandic-human-3.3.6.tgz",
        "package/models",
        CropRule(),
    ),
}


def convert(name: str, folder: Path, weights: Path) -> Card:
    """Write weights and card of a rival.

    Args:
        name: one of `ORIGINS`.
        folder: of the unpacked npm package's models.
        weights: where the two files go.

    Returns:
        The card.

    Raises:
        InputError: the folder does not hold the network.
    """
    origin, spec = ORIGINS[name], backbone_spec(name)
    original = import_module(spec.target.partition(":")[0])
    backbone = spec.build(len(original.LABELS))
    spec.load_official(backbone, folder)
    count = backbone.parameter_count()
    path, _ = paths_of(name, weights)
    save_file(fitting(backbone.state_dict()), path)
    card = Card(
        name=name,
        architecture=spec.target,
        labels=original.LABELS,
        preprocess=original.PREPROCESS,
        crop=origin.crop,
        bias=(0.0,) * len(original.LABELS),
        temperature=1.0,
        parameters=count,
        sha256=sha256_of(path),
        data=origin.data,
        licence=f"MIT. From the npm package {original.PACKAGE}.",
        command=f"npm pack {original.PACKAGE} && tar xzf {origin.archive} && "
        f"python benchmarks/convert_rival.py {name} {origin.folder}",
    )
    write_card(card, weights)
    return card


def fitting(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round matrices to fp16, from the last layer backwards, until a megabyte holds all.

    The last ones, because what is rounded there goes through no further layer: face-api's answers move by
    .0001, and by .0013 if all were rounded.
    """
    fitted = {name: tensor.contiguous() for name, tensor in tensors.items()}
    size = sum(tensor.nbytes for tensor in fitted.values()) + HEADER * len(fitted)
    for name, tensor in list(tensors.items())[::-1]:
        if size > MEGABYTE and tensor.ndim > 1:
            fitted[name] = fitted[name].half()
            size -= tensor.nbytes // 2
    return fitted


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert one network; `arguments` are the words of the command, None those of this process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=ORIGINS)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("weights", type=Path, nargs="?", default=WEIGHTS_DIR, metavar="WEIGHTS")
    args = parser.parse_args(arguments)
    card = convert(args.name, args.folder, args.weights)
    size = paths_of(args.name, args.weights)[0].stat().st_size
    print(f"{args.name}: {card.parameters:,} numbers, {size:,} bytes, sha256 {card.sha256}")


if __name__ == "__main__":
    main()
