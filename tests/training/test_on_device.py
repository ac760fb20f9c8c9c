"""A batch on a GPU that is not there: fake tensors know where they would lie, and what would be waited for.

An operation on tensors of two devices fails under `FakeTensorMode`, and so does one whose result the
processor would have to look at (`.item()`, `if tensor`, rows picked by a mask).
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from fer_space.model import Model
from fer_space.training import camera, masking, params, recipe
from fer_space.training.config import TrainConfig
from fer_space.training.distillation import Teaching
from fer_space.training.losses import TrainingLoss, affect_loss
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Recipe
from fer_space.vision import preprocess
from fer_space.vision.preprocess import Preprocess
from tests.networks import build_tiny, striped_faces, toy_card

# A fake GPU wanted a real driver before.
pytestmark = pytest.mark.skipif(torch.__version__ < "2.9", reason="PyTorch fakes no GPU before 2.9")

GPU = torch.device("cuda:0")
CACHES = (preprocess._per_channel, masking._texture, camera._field, camera._table, camera._dct)


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    """A mode in which the GPU exists; what was cached for real devices is forgotten before and after."""
    for cache in CACHES:
        cache.cache_clear()
    yield FakeTensorMode(allow_non_fake_inputs=True)
    for cache in CACHES:
        cache.cache_clear()


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask": 0.5, "upper": 0.5, "label_smoothing": 0.1, "target": "pld"},
        {"blur": 0.5, "jpeg": 0.5, "noise": 0.5, "gamma": 0.5, "decolour": 0.5},
        {"mix": "mixup"},
        {"mix": "cutmix", "affect_weight": 1.0},
        {"mix": "snapmix"},
        {"mix": "attentive-cutmix"},
        {"class_weights": "dynamic", "loss": "ldam"},
        {"teachers": "somebody", "precision": "bf16"},
    ],
    ids=str,
)
def test_a_batch_is_made_on_the_device_with_one_copy_and_nobody_waits(
    fake: FakeTensorMode, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
):
    config = TrainConfig(backbone="tiny", data="folder:x", size=12, native_size=12, **changes)
    faces = striped_faces(32)
    sampled = Recipe.of(config).sample(faces, torch.arange(16), 12, torch.Generator().manual_seed(0))
    shipment = Recipe.of(config).shipment(faces, sampled, Worker())
    copies: list[torch.device] = []

    def there(tensor: Tensor) -> Tensor:
        return fake.from_tensor(tensor).to(GPU)

    def ship(value: object, device: torch.device) -> object:
        copies.append(device)
        found: list[Tensor] = []
        params._collect(value, found)
        return params._rebuild(value, iter([there(tensor) for tensor in found]))

    monkeypatch.setattr(recipe, "ship", ship)
    monkeypatch.setattr(Recipe, "shipment", lambda *_: shipment)
    with fake, torch.no_grad():
        with GPU:
            network, other = (build_tiny(8, config.affect_weight > 0) for _ in range(2))
        with monkeypatch.context() as patch:  # fake weights cannot be moved, and need not be
            patch.setattr(nn.Module, "to", lambda module, *_, **__: module)
            patch.setattr(nn.Module, "half", lambda module: module)
            guide = Model(toy_card(), other, GPU)
        teaching = Teaching([guide], 0.5) if config.teachers else None
        on_gpu = replace(faces, pictures=there(faces.pictures))
        object.__setattr__(on_gpu, "present_there", there(faces.present))
        made = Recipe.of(config, guide, teaching)
        batch = made.batch(on_gpu, sampled, Preprocess(12, 12, gray=True), network, Worker(device=GPU))
        output = network(batch.inputs)
        loss = TrainingLoss(config, torch.ones(8)).to(GPU)
        figures = [loss(output.logits, batch.targets)]
        loss.learn(loss.sums(output.logits, batch.targets))
        if output.affect is not None:
            figures.append(affect_loss(output.affect, batch.affect))
    assert all(isinstance(figure, FakeTensor) and figure.device == GPU for figure in figures)
    assert copies == [GPU]


def test_a_shipment_arrives_as_it_was_sent():
    sampled = Recipe.of(TrainConfig(backbone="tiny", data="folder:x")).sample(
        striped_faces(7), torch.arange(7), 12, torch.Generator().manual_seed(0)
    )
    found: list[Tensor] = []
    params._collect(sampled, found)
    packed, places = params.pack(found)
    arrived = [params.unpack(packed, start, sent) for start, sent in zip(places, found, strict=True)]
    assert {tensor.dtype for tensor in found} == {torch.float32, torch.int64, torch.bool}
    assert all(torch.equal(sent, got) for sent, got in zip(found, arrived, strict=True))
    assert params.ship(sampled, torch.device("cpu")) is sampled
