"""One Hub-ready folder a model: its card and weights as they are here, and what timm and transformers read.

from fer_space.publishing.model_folder import write_folder
write_folder("efficientnet_lite0", Path("weights"), Path("hub"))
"""

import json
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from fer_space.backbones.efficientnet import EfficientNet
from fer_space.backbones.specs import BACKBONES
from fer_space.card import Card, check_sha256, paths_of, read_card
from fer_space.errors import UnknownNameError
from fer_space.external.published import CARD_FILE, WEIGHTS_FILE
from fer_space.files import replacing, write_text
from fer_space.publishing.page import OWNER, page_of, repository_of
from fer_space.tensors import load_tensors, save_tensors

TIMM_WEIGHTS = "model.safetensors"
TIMM_CONFIG = "config.json"
_BODY, _CLASSIFIER = "body.network.", "head.classifier."


def write_folder(name: str, weights_dir: Path, target: Path, owner: str = OWNER) -> Path:
    """Write TARGET/NAME, which `load_model("folder:TARGET/NAME")` reads.

    Where the network is timm's, `timm.create_model("local-dir:TARGET/NAME", pretrained=True)` and the
    image-classification pipeline of transformers read it too: there, bias and temperature are folded into
    the classifier, so that a plain softmax gives calibrated probabilities. Files that are there are replaced.

    Args:
        name: of a backbone.
        weights_dir: holds its weights and card.
        target: the folder of folders.
        owner: whose repository on the Hub it will be (`repository_of`).

    Returns:
        The model's folder.

    Raises:
        UnknownNameError: there is no such backbone.
        WeightsError: its files are missing or do not belong together.
        OutputError: the folder cannot be written.
    """
    if name not in BACKBONES:
        raise UnknownNameError.of("backbone", name, BACKBONES)
    weights, card_path = paths_of(name, weights_dir)
    card = read_card(card_path)
    check_sha256(card, weights)
    folder = target / name
    write_text(folder / CARD_FILE, card.to_json())
    with replacing(folder / WEIGHTS_FILE) as temporary:
        shutil.copyfile(weights, temporary)
    network = BACKBONES[name].build(len(card.labels), card.affect)
    is_timm = isinstance(network, EfficientNet)
    if is_timm:
        config = timm_config(card, network.body.network)
        write_text(folder / TIMM_CONFIG, json.dumps(config, indent=2) + "\n")
        save_tensors(timm_tensors(card, load_tensors(weights)), folder / TIMM_WEIGHTS, half=False)
    write_text(
        folder / "README.md", page_of(card, BACKBONES[name], repository_of(name, owner), is_timm=is_timm)
    )
    return folder


def timm_tensors(card: Card, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name the tensors as timm does, with the calibration folded into the classifier."""
    body = {name.removeprefix(_BODY): t for name, t in tensors.items() if name.startswith(_BODY)}
    weight, bias = tensors[f"{_CLASSIFIER}weight"], tensors[f"{_CLASSIFIER}bias"]
    bias = bias + bias.new_tensor(card.bias)
    return body | {
        "classifier.weight": weight / card.temperature,
        "classifier.bias": bias / card.temperature,
    }


def timm_config(card: Card, network: Any) -> dict[str, Any]:
    """Describe the network as timm's own repositories do."""
    preprocess, known = card.preprocess, network.pretrained_cfg
    labels = list(card.labels)
    return {
        "architecture": known["architecture"],
        "num_classes": len(labels),
        "num_features": network.num_features,
        "global_pool": "avg",
        "label_names": labels,
        "pretrained_cfg": {
            "input_size": [3, preprocess.input_size, preprocess.input_size],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(preprocess.mean),
            "std": list(preprocess.std),
            "num_classes": len(labels),
            "label_names": labels,
            "first_conv": known["first_conv"],
            "classifier": known["classifier"],
            "license": "mit",
        },
    }
