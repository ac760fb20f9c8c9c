"""Attention maps by every method, and the cells that are picked from them."""

from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytorch_grad_cam import GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.backbones.ran import build_ran
from fer_space.errors import UnknownNameError
from fer_space.explain.library import METHODS, attentive_cells, to_grid, top_cells
from fer_space.explain.maps import DEFAULT, GRAD_CAM, scaled
from fer_space.model import Model
from fer_space.vision.preprocess import Preprocess
from tests.explain.test_maps import Logits
from tests.networks import lively_tiny, toy_card

PREPROCESS = Preprocess(16, 16, gray=False)
LIBRARY = {
    "grad-cam++": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "layercam": LayerCAM,
}


def maps_of(backbone: Backbone, pictures: Tensor, method: str, preprocess: Preprocess = PREPROCESS) -> Tensor:
    """Maps of all eight emotions, averaged with those of the mirror images."""
    model = Model(toy_card(preprocess=preprocess), backbone)
    maps = model.predict_reduced(pictures, maps=method).maps
    assert maps is not None
    return torch.from_numpy(maps)


@pytest.fixture
def pictures() -> Tensor:
    return torch.randint(
        0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )


def test_the_first_method_is_that_of_the_engine():
    assert next(iter(METHODS)) == DEFAULT


@pytest.mark.parametrize("method", LIBRARY)
def test_same_map_as_the_library_makes_on_the_whole_network(method: str, pictures: Tensor):
    pictures = torch.cat([pictures[..., :8], pictures[..., :8].flip(3)], dim=3)  # the same in the mirror
    maps = maps_of(lively_tiny(), pictures, method)
    reference = lively_tiny().requires_grad_(True)
    for k in range(8):
        with LIBRARY[method](model=Logits(reference), target_layers=[reference.body]) as cam:
            one_way = cam(PREPROCESS.normalise(pictures), [ClassifierOutputTarget(k)] * 2)
        enlarged = torch.nn.functional.interpolate(maps[:, k : k + 1], 16, mode="bilinear")[:, 0].numpy()
        for ours, theirs in zip(enlarged, (one_way + one_way[:, :, ::-1]) / 2, strict=True):
            if theirs.any():
                assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999


def test_eigencam_is_that_of_the_library_turned_to_where_the_features_are_strong(pictures: Tensor):
    pictures = torch.cat([pictures[..., :8], pictures[..., :8].flip(3)], dim=3)  # the same in the mirror
    backbone = lively_tiny()
    maps = maps_of(backbone, pictures, "eigencam")
    assert torch.equal(maps[:, 0], maps[:, 7])  # it knows no class
    features = backbone.body(PREPROCESS.normalise(pictures))
    strength = features.square().sum(dim=1)
    components = torch.from_numpy(get_2d_projection(features.numpy()))
    for ours, component, strong in zip(maps[:, 0], components, strength, strict=True):
        both = torch.stack([component, -component])
        turned = both[(both * (strong - strong.mean())).sum(dim=(1, 2)).argmax()]
        whole = (scaled(turned[None])[0] + scaled(turned[None])[0].flip(1)) / 2
        torch.testing.assert_close(ours, whole, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_maps_lie_between_0_and_1_and_nothing_is_left_behind(method: str, pictures: Tensor):
    backbone = lively_tiny().requires_grad_(False)
    maps = maps_of(backbone, pictures, method)
    assert maps.shape == (2, 8, 8, 8)
    assert maps.dtype == torch.float32
    assert maps.min() >= 0.0
    assert maps.max() <= 1.0
    assert all(not m._forward_hooks and not m._backward_hooks for m in backbone.modules())
    assert all(p.grad is None and not p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_views_of_a_face_are_laid_back_on_it(method: str):
    torch.manual_seed(0)
    backbone = build_ran(8).eval().requires_grad_(False)
    torch.nn.init.normal_(backbone.head.classifier.weight)
    pictures = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    preprocess = Preprocess(32, 32, gray=False)
    maps = maps_of(backbone.for_reading(), pictures, method, preprocess)
    own = maps_of(backbone.for_reading(), pictures, GRAD_CAM, preprocess)
    assert maps.shape[2:] == own.shape[2:]
    assert maps.max() > 0.0


def test_unknown_methods_are_named(pictures: Tensor):
    with pytest.raises(UnknownNameError, match="layercam"):
        maps_of(lively_tiny(), pictures, "tea leaves")


def test_threads_do_not_disturb_each_other(pictures: Tensor):
    backbone = lively_tiny().requires_grad_(False)
    expected = maps_of(backbone, pictures, "layercam")
    seen: list[bool] = []

    def look() -> None:
        for _ in range(5):
            seen.append(torch.equal(maps_of(backbone, pictures, "layercam"), expected))

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 20


@given(arrays(np.float32, (5, 5), elements=st.floats(0, 1, width=32)), st.integers(0, 49))
def test_attentive_cells_are_exactly_as_many(heatmap: np.ndarray, count: int):
    cells = attentive_cells(heatmap, count)
    assert cells.shape == (7, 7)
    assert cells.sum() == count


def test_grid_takes_area_means():
    maps = torch.arange(16.0).view(1, 4, 4)
    assert to_grid(maps, 2).tolist() == [[[2.5, 4.5], [10.5, 12.5]]]
    assert torch.equal(to_grid(maps, 4), maps)


def test_grid_of_a_small_map_is_smooth():
    grid = to_grid(torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]))
    assert grid.shape == (1, 7, 7)
    assert (grid[0].diff(dim=1) > -1e-6).all()
    assert len(grid.unique()) > 4


def test_top_cells_by_hand():
    grid = torch.tensor([[[0.1, 0.9], [0.8, 0.2]], [[0.5, 0.5], [0.5, 0.5]]])
    expected = [[[False, True], [True, False]], [[True, True], [False, False]]]  # ties in reading order
    assert top_cells(grid, 2).tolist() == expected


@given(count=st.integers(0, 49), levels=st.integers(1, 5), seed=st.integers(0, 1000))
def test_top_cells_are_exactly_as_many_and_none_outside_is_larger(count: int, levels: int, seed: int):
    grid = torch.randint(levels, (3, 7, 7), generator=torch.Generator().manual_seed(seed)).float()
    cells = top_cells(grid, count)
    assert cells.sum(dim=(1, 2)).tolist() == [count] * 3
    for values, chosen in zip(grid, cells, strict=True):
        if 0 < count < 49:
            assert values[chosen].min() >= values[~chosen].max()
