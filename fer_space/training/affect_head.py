"""Valence and arousal for a trained network: a linear readout of what its head sees, all else untouched.

The emotions keep every weight, so their answers stay those that were measured. The readout is fitted in one
piece, by 1 - CCC over all faces (`fer_space.training.losses.affect_loss`) and a penalty on its weights that
cross-validation chooses.
"""

import torch
from torch import Tensor, nn

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import backbone_spec
from fer_space.card import AffectFit
from fer_space.emotions import EMOTIONS
from fer_space.model import Model
from fer_space.training.losses import affect_loss, concordance

FOLDS = 5
PENALTIES = (0.0003, 0.003, 0.03, 0.3)
STEPS = 150
BATCH = 128


def with_affect(name: str, backbone: Backbone, columns: list[int]) -> Backbone:
    """Build the same network with an empty readout of valence and arousal; its classes are `columns`."""
    wider = backbone_spec(name).build(len(EMOTIONS), True)
    wider.head.keep_classes(columns)
    start = {n: t for n, t in wider.state_dict().items() if n.startswith("head.affect.")}
    wider.load_state_dict(start | backbone.state_dict())
    return wider.eval().requires_grad_(False)


def fit_affect(model: Model, pictures: Tensor, affect: Tensor) -> AffectFit:
    """Fill the empty readout of a model's head.

    Args:
        model: its network is from `with_affect`.
        pictures: uint8 (N, C, h, w), N of at least two in every fold.
        affect: float (N, 2), valence and arousal in [-1, 1], no NaN.

    Returns:
        What the chosen penalty reached on faces held out.
    """
    layer = model.network.head.affect
    assert isinstance(layer, nn.Linear)
    straight, mirrored = _seen_by(layer, model, pictures)
    order = torch.randperm(len(affect), generator=torch.Generator().manual_seed(0)) % FOLDS
    scores = []
    for penalty in PENALTIES:
        held_out = torch.empty_like(affect)
        for fold in range(FOLDS):
            rest, here = order != fold, order == fold
            weights = _fit(torch.cat([straight[rest], mirrored[rest]]), affect[rest].repeat(2, 1), penalty)
            held_out[here] = (_read(straight[here], *weights) + _read(mirrored[here], *weights)) / 2
        scores.append(concordance(held_out, affect))
    best = max(range(len(PENALTIES)), key=lambda k: float(scores[k].sum()))
    weight, bias = _fit(torch.cat([straight, mirrored]), affect.repeat(2, 1), PENALTIES[best])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    valence, arousal = (round(value, 4) for value in scores[best].tolist())
    return AffectFit(n=len(affect), penalty=PENALTIES[best], ccc_valence=valence, ccc_arousal=arousal)


def _read(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.tanh(rows @ weight.T + bias)


@torch.no_grad()
def _seen_by(layer: nn.Linear, model: Model, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """What reaches the layer for each picture and for its mirror image, float (N, C) each."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        for batch in torch.split(pictures, BATCH):
            model.network.head(model.features(batch))
    finally:
        handle.remove()
    halves = [rows.chunk(2) for rows in seen]
    return torch.cat([first for first, _ in halves]), torch.cat([second for _, second in halves])


@torch.enable_grad()
def _fit(rows: Tensor, affect: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Weight (2, C) and bias (2,) that follow `affect` (N, 2); the penalty is on standardised features."""
    mean, spread = rows.mean(dim=0), rows.std(dim=0).clamp(min=1e-6)
    scaled = (rows - mean) / spread
    weight = torch.zeros(2, rows.shape[1], requires_grad=True)
    bias = affect.mean(dim=0).clamp(-0.99, 0.99).atanh().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = affect_loss(_read(scaled, weight, bias), affect) + penalty * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    unscaled = weight.detach() / spread
    return unscaled, bias.detach() - unscaled @ mean
