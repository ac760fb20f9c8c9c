import torch

from fer_space.backbones.vgg import build_vgg16


@torch.no_grad()
def test_a_face_of_48_pixels_ends_on_a_map_of_3_by_3():
    backbone = build_vgg16(8).eval()
    features = backbone.body(torch.randn(1, 3, 48, 48))
    assert features.shape == (1, 512, 3, 3)
    assert torch.equal(backbone.head(features).logits, torch.zeros(1, 8))
    assert backbone.parameter_count() < 15e6
