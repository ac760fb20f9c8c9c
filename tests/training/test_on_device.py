"""A step on a GPU that is not there: fake tensors know where they would lie, and what would be waited for."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from fer_space.backbones.base import Backbone
from fer_space.training import camera, masking, recipe, shipping
from fer_space.training.config import TrainConfig
from fer_space.training.losses import TrainingLoss
from fer_space.training.optim import AveragedWeights
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Guide, Recipe
from fer_space.training.state import TrainState
from fer_space.training.step import Task, train_step
from fer_space.training.teaching import Teacher, Teaching
from fer_space.vision import preprocess
from tests.networks import build_tiny, striped_faces, tiny_card

GPU = torch.device("cuda:0")
CACHES = (preprocess._per_channel, masking._texture, camera._field, camera._table, camera._dct)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTensorMode:
    """A mode in which the GPU exists; what was cached for real devices is forgotten before and after."""
    for cache in CACHES:
        cache.cache_clear()
    yield FakeTensorMode(allow_non_fake_inputs=True)
    for cache in CACHES:
        cache.cache_clear()


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
        {"sam": 0.05, "precision": "bf16"},
        {"class_weights": "dynamic", "loss": "ldam"},
        {"teachers": "somebody"},
    ],
    ids=str,
)
def test_a_step_stays_on_the_device_and_waits_for_nothing(
    tiny: str, fake: FakeTensorMode, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
):
    config = TrainConfig("tiny", "folder:x", size=12, native_size=12, **changes)  # type: ignore[arg-type]
    faces = striped_faces(32)
    rng = torch.Generator().manual_seed(0)
    draw = Recipe.of(config).draw(faces, torch.arange(16), 12, rng)
    asked: list[int] = []

    def ship(value: object, device: torch.device) -> object:
        asked.append(1)
        found: list[Tensor] = []
        shipping._collect(value, found)
        return shipping._rebuild(value, iter([there(tensor) for tensor in found]))

    def there(tensor: Tensor) -> Tensor:
        return fake.from_tensor(tensor).to(GPU)

    monkeypatch.setattr(recipe, "ship", ship)
    monkeypatch.setattr(Recipe, "draw", lambda *_: draw)
    with fake:
        with GPU:
            networks: list[Backbone] = [build_tiny(8, config.affect_weight > 0) for _ in range(2)]
        other = networks[1].eval()
        teacher = Teacher(other, tiny_card(), there(torch.zeros(8)))
        teaching = Teaching([teacher], 0.5) if config.teachers else None
        made = Recipe.of(config, Guide(other, tiny_card().preprocess), teaching)
        on_gpu = replace(faces, pictures=there(faces.pictures))
        object.__setattr__(on_gpu, "present_there", there(faces.present))
        weights = [p for p in networks[0].parameters()]
        state = TrainState(
            networks[0].train(),
            AveragedWeights(networks[0], 0.9),
            TrainingLoss(config, torch.ones(8)).to(GPU),
            torch.optim.SGD(weights, 0.1, foreach=True),
            torch.optim.lr_scheduler.ConstantLR(torch.optim.SGD(weights, 0.1)),
            rng,
        )
        task = Task(config, on_gpu, on_gpu, made, Worker(device=GPU))
        figures = train_step(state, task, [torch.arange(16)], 12)
    assert isinstance(figures, FakeTensor)
    assert figures.device == GPU
    assert len(asked) == 1
