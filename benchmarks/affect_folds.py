"""How well does a head learn valence and arousal? Cross-validation on faces that people rated.

    python benchmarks/affect_folds.py diffusionfer:DIR --out runs/affect --table docs/affect.jsonl
    python benchmarks/affect_folds.py --table docs/affect.jsonl         the table again, without a training

Every face is predicted by a head that never saw it: five folds, stratified by expression. A head is trained
with the shipped weights as its start, twice: on frozen features, and with the whole network. Beside them
stands the circumplex readout of the shipped weights, as it is and after a straight line fitted on the
training faces of each fold, because its scale is that of other annotators. No epoch is chosen: the weights
after the last one count. Finished folds are kept in --out, so that a second call continues.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from fer_space import load_model
from fer_space.backbones.base import Backbone
from fer_space.data import open_data
from fer_space.data.faceset import FaceSet
from fer_space.errors import InputError
from fer_space.evaluation.metrics import ccc, pearson, rmse
from fer_space.evaluation.predict_dataset import predict_dataset
from fer_space.files import write_text
from fer_space.training.config import TrainConfig
from fer_space.training.data import LabelledPictures
from fer_space.training.folds import Fold
from fer_space.training.initialise import preprocess_for, start_of
from fer_space.training.parallel import run_workers
from fer_space.training.recipe import Recipe
from fer_space.training.trainer import Task, open_run
from fer_space.vision.preprocess import Preprocess

NETWORK = "mobilenet_v2"  # which never saw these faces
FOLDS = 5
BATCH = 128
SCORES = {"ccc": ccc, "pearson": pearson, "rmse": rmse}
Affect = NDArray[np.float64]


@torch.no_grad()
def affect_of(network: Backbone, preprocess: Preprocess, pictures: torch.Tensor) -> Affect:
    """Read valence and arousal float64 (N, 2) of pictures uint8 (N, C, n, n) and their mirror images."""
    seen = []
    for batch in torch.split(pictures, BATCH):
        inputs = preprocess.normalise(batch)
        affect = network(torch.cat([inputs, inputs.flip(3)])).affect  # (2 B, 2)
        assert affect is not None
        straight, mirrored = affect.chunk(2)
        seen.append((straight + mirrored) / 2)
    return torch.cat(seen).double().numpy()


def fold_config(data: str, freeze: str, weights: str) -> TrainConfig:
    """Give the same small budget to every fold."""
    return TrainConfig(
        backbone=NETWORK,
        data=data,
        epochs=12 if freeze == "backbone" else 8,
        batch_size=32,
        lr_body=2e-4,
        lr_head=3e-3 if freeze == "backbone" else 1e-3,
        ema_decay=0.98,
        affect_weight=1.0,
        freeze=freeze,
        init=weights,
        processes=2,
    )


def head_predictions(faces: FaceSet, config: TrainConfig, out: Path) -> Affect:
    """Predict valence and arousal float64 (N, 2) of every face, by the fold that held it out."""
    pictures = LabelledPictures.read(faces, preprocess_for(config))
    predicted = np.full((len(faces), 2), np.nan)
    for number, (rows, held_out) in enumerate(folds(faces)):
        folder = out / f"{config.freeze}-{number}"
        mine = config.changed(seed=number)
        open_run(mine, folder, resume=True)  # refuses what another config left there
        if not (folder / "affect.npy").is_file():
            few = pictures.select(rows[: mine.batch_size])  # no epoch is chosen by them
            network, recipe = start_of(mine).network, Recipe.of(mine)
            task = Task(mine, network, recipe, pictures.select(rows), few, folder, resume=True)
            fold = Fold(task, pictures.select(held_out), affect_of, "affect.npy")
            run_workers(fold, mine.processes, torch.device("cpu"))
        predicted[held_out] = np.load(folder / "affect.npy")
    return predicted


def folds(faces: FaceSet) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split into positions of training and of held-out faces, stratified by expression."""
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return list(splitter.split(np.zeros(len(faces)), faces.labels))


def circumplex_predictions(faces: FaceSet, backbone: str) -> Affect:
    """Derive valence and arousal from the probabilities of shipped weights that have no head for them."""
    return predict_dataset(load_model(backbone, device="cpu"), faces).valence_arousal


def rescaled(predicted: Affect, labels: Affect, faces: FaceSet) -> Affect:
    """Put each column on a straight line fitted to the training faces of each fold."""
    lines = np.empty_like(predicted)
    for rows, held_out in folds(faces):
        for column in range(2):
            slope, start = np.polyfit(predicted[rows, column], labels[rows, column], 1)
            lines[held_out, column] = slope * predicted[held_out, column] + start
    return lines


def scores(
    predicted: Affect, labels: Affect, rounds: int = 1000
) -> dict[str, dict[str, float | list[float]]]:
    """Score valence and arousal: CCC with its 95 % interval by bootstrap over the faces, Pearson, RMSE."""
    picks = np.random.default_rng(0).integers(0, len(labels), (rounds, len(labels)))
    results: dict[str, dict[str, float | list[float]]] = {}
    for column, name in enumerate(("valence", "arousal")):
        x, y = predicted[:, column], labels[:, column]
        interval = np.percentile([ccc(x[rows], y[rows]) for rows in picks], [2.5, 97.5])
        results[name] = {score: round(rule(x, y), 4) for score, rule in SCORES.items()}
        results[name]["ccc_interval"] = interval.round(4).tolist()
    return results


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Write the table of the docs."""
    lines = [
        "| valence and arousal | CCC valence | CCC arousal | Pearson | RMSE |",
        "|---|---:|---:|---:|---:|",
    ]
    for record in records:
        valence, arousal = record["valence"], record["arousal"]
        concordances = [
            f"{r['ccc']:.3f} ({r['ccc_interval'][0]:.3f} to {r['ccc_interval'][1]:.3f})"
            for r in (valence, arousal)
        ]
        pairs = [f"{valence[score]:.3f}, {arousal[score]:.3f}" for score in ("pearson", "rmse")]
        lines.append(f"| {' | '.join([record['method'], *concordances, *pairs])} |")
    return "\n".join(lines)


def measure(data: str, out: Path, weights: str) -> list[dict[str, Any]]:
    """Measure one record a method; finished folds in `out` are not trained again."""
    faces = open_data(data, "train")
    if faces.affect is None:
        raise InputError(f"{data} has no valence and arousal.")
    labels = faces.affect.astype(np.float64)
    derived = circumplex_predictions(faces, NETWORK)
    methods = {"circumplex": derived, "circumplex, rescaled": rescaled(derived, labels, faces)}
    for freeze in ("backbone", "none"):
        name = "head on frozen features" if freeze == "backbone" else "head and network trained"
        methods[name] = head_predictions(faces, fold_config(data, freeze, weights), out)
    return [
        {"method": name, "n": len(faces), **scores(predicted, labels)} for name, predicted in methods.items()
    ]


def main() -> None:
    """Measure into the file of the table, or read it, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", metavar="KIND:PATH")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where finished folds are kept")
    parser.add_argument("--weights", default=f"weights/{NETWORK}.safetensors", metavar="FILE")
    parser.add_argument("--table", type=Path, required=True, metavar="FILE", help="one JSON line a method")
    args = parser.parse_args()
    if args.data is not None:
        if args.out is None:
            parser.error("KIND:PATH needs --out DIR")
        records = measure(args.data, args.out, args.weights)
        lines = "".join(json.dumps(record) + "\n" for record in records)
        write_text(args.table, lines)
    print(markdown([json.loads(line) for line in args.table.read_text(encoding="utf-8").splitlines()]))


if __name__ == "__main__":
    main()
