"""Files of torchvision and timm, with random weights in the layout of their own networks."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model

from fer_space.backbones.specs import BACKBONES
from fer_space.errors import InputError, WeightsError
from fer_space.tensors import load_tensors
from fer_space.training.config import TrainConfig
from fer_space.training.initialise import Start, initialise, start_of


def lively(network: nn.Module) -> nn.Module:
    """Give norms statistics and slopes that are not those of a fresh network."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


def original(library: str, name: str) -> nn.Module:
    """A network without the large layers of a VGG, which are left anyway."""
    with torch.device("meta"):
        network = timm.create_model(name) if library == "timm" else get_model(name, weights=None)
    if name.startswith("vgg"):
        network.classifier = nn.Sequential(nn.Linear(2, 2))
    network.to_empty(device="cpu")
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()
    return lively(network)


def of_timm(network: nn.Module, pictures: Tensor) -> Tensor:
    return network.forward_features(pictures)


def of_vgg(network: nn.Module, pictures: Tensor) -> Tensor:
    return network.features[:-1](pictures)


def of_features(network: nn.Module, pictures: Tensor) -> Tensor:
    return network.features(pictures)


def of_resnet(network: nn.Module, pictures: Tensor) -> Tensor:
    return nn.Sequential(*list(network.children())[:-2])(pictures)


def without_last_blocks(network: nn.Module, pictures: Tensor) -> Tensor:
    """Lite1 without the blocks by which it is deeper than Lite0."""
    for stage in range(1, 6):
        network.blocks[stage] = network.blocks[stage][:-1]
    return network.forward_features(pictures)


def started(backbone: str, library: str, name: str, folder: Path) -> tuple[nn.Module, Start]:
    """Write the original with random weights to a file and start a backbone from it."""
    network, path = original(library, name), folder / "given.safetensors"
    save_file(network.state_dict(), path)
    spec = BACKBONES[backbone]
    return network, initialise(spec.build(8), spec, f"{library}:{path}")


Answer = Callable[[nn.Module, Tensor], Tensor]
AGREE: list[tuple[str, str, str, Answer]] = [
    ("vgg16", "torchvision", "vgg16", of_vgg),
    ("vgg16", "torchvision", "vgg16_bn", of_vgg),
    ("mobilenet_v2", "torchvision", "mobilenet_v2", of_features),
    ("mobilenet_v2", "timm", "mobilenetv2_100", of_timm),
    ("dan", "torchvision", "resnet18", of_resnet),
    ("dan", "timm", "resnet18", of_timm),
    ("efficientnet_lite0", "timm", "tf_efficientnet_lite0", of_timm),
    ("efficientnet_lite0_masked", "timm", "tf_efficientnet_lite1", without_last_blocks),
    ("efficientnet_b2", "timm", "tf_efficientnet_b2", of_timm),
    ("efficientnet_b3", "timm", "tf_efficientnet_b3", of_timm),
]


@torch.no_grad()
@pytest.mark.parametrize(("backbone", "library", "name", "answer"), AGREE)
def test_features_are_those_of_the_original(
    backbone: str, library: str, name: str, answer: Answer, tmp_path: Path
):
    network, start = started(backbone, library, name, tmp_path)
    pictures = torch.randn(2, 3, 64, 64)
    expected = answer(network, pictures)
    assert expected.std() > 1e-6
    found = start.network.eval().body(pictures)
    assert (found - expected).norm() <= 1e-4 * expected.norm()
    assert f"of {library}'s {name}, left " in start.told
    assert start.folded == (name == "vgg16")


@torch.no_grad()
def test_every_view_of_ran_is_read_by_the_original(tmp_path: Path):
    network, start = started("ran", "torchvision", "resnet18", tmp_path)
    pictures = torch.randn(2, 3, 64, 64)
    whole = start.network.eval().body(pictures)[:, -512:]
    torch.testing.assert_close(whole, of_resnet(network, pictures), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_vit_takes_the_first_stages_of_lite0(tmp_path: Path):
    network, start = started("vit", "timm", "tf_efficientnet_lite0", tmp_path)
    pictures = torch.randn(2, 3, 64, 64)
    expected = network.blocks[:3](network.bn1(network.conv_stem(pictures)))
    (cells,) = start.network.eval().body.network(pictures)
    torch.testing.assert_close(cells, expected)
    assert "took 90 tensors" in start.told
    assert "left 206 (" in start.told


def test_b2_takes_lite2_behind_open_gates(tmp_path: Path):
    network, start = started("efficientnet_b2", "timm", "tf_efficientnet_lite2", tmp_path)
    given = network.state_dict()
    own = start.network.state_dict()
    for name, tensor in given.items():
        if name.startswith(("conv_head", "bn2", "classifier")):
            continue
        assert torch.equal(own[f"body.network.{name}"], tensor), name
    gates = [name for name in own if name.endswith("se.conv_expand.weight")]
    assert len(gates) == 23
    assert not any(own[name].any() for name in gates)


@pytest.mark.parametrize("backbone", ["dan", "ran"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_body_alone_is_an_official_start(backbone: str, prefix: str, tmp_path: Path):
    """The ResNet-18 that DAN's authors start from has its classifier, RAN's one has features beside it."""
    given = original("torchvision", "resnet18").state_dict()
    given = {name: t for name, t in given.items() if not name.endswith("num_batches_tracked")}
    given |= {"fc.weight": torch.zeros(2, 512), "fc.bias": torch.zeros(2), "feature.weight": torch.zeros(5)}
    path = tmp_path / "resnet18_msceleb.safetensors"
    save_file({prefix + name: tensor for name, tensor in given.items()}, path)
    spec = BACKBONES[backbone]
    start = initialise(spec.build(8), spec, f"official:{path}")
    assert torch.equal(start.network.state_dict()["body.layer4.1.bn2.weight"], given["layer4.1.bn2.weight"])
    assert (
        "took 100 tensors of torchvision's resnet18, left 3 (fc.bias, fc.weight, feature.weight)"
        in start.told
    )


@pytest.mark.parametrize("name", ["features.10.weight", "features.denseblock1.weight"])
@pytest.mark.parametrize("backbone", ["dan", "ran"])
def test_another_network_is_no_official_start(backbone: str, name: str, tmp_path: Path):
    save_file({name: torch.zeros(3)}, tmp_path / "other.safetensors")
    spec = BACKBONES[backbone]
    with pytest.raises(InputError):
        initialise(spec.build(8), spec, f"official:{tmp_path / 'other.safetensors'}")


def test_norms_of_a_plain_vgg_are_put_back(tmp_path: Path):
    save_file(original("torchvision", "vgg16").state_dict(), tmp_path / "given.safetensors")
    config = TrainConfig(backbone="vgg16", data="", init=f"torchvision:{tmp_path / 'given.safetensors'}")
    start = start_of(config)
    pictures = torch.randint(0, 256, (8, 1, 48, 48), generator=torch.Generator().manual_seed(1)).byte()
    start.settle(config, pictures)
    assert start.network.body.features[1].running_mean.any()


def test_what_is_no_such_file_is_refused(tmp_path: Path):
    path = tmp_path / "given.safetensors"
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}, path)
    spec = BACKBONES["vgg16"]
    with pytest.raises(
        InputError, match=r"none of these networks: torchvision's vgg16_bn \(features.1.weight"
    ):
        initialise(spec.build(8), spec, f"torchvision:{path}")
    with pytest.raises(InputError, match=r"vgg16 starts from torchvision:FILE \(vgg16_bn or vgg16\)"):
        initialise(spec.build(8), spec, f"timm:{path}")


@pytest.mark.parametrize("prefix", ["", "matching:", "net2net:", "official:", "torchvision:"])
def test_pickles_are_not_opened(prefix: str, tmp_path: Path):
    spec = BACKBONES["mobilenet_v2"]
    with pytest.raises(InputError, match="not opened here"):
        initialise(spec.build(8), spec, f"{prefix}{tmp_path / 'given.pth'}")


def test_the_line_that_converts_a_pickle_does_so(tmp_path: Path):
    pickle = tmp_path / "resnet18_msceleb.pth"
    given = original("torchvision", "resnet18").state_dict()
    torch.save({"state_dict": given, "epoch": 3}, pickle)
    with pytest.raises(WeightsError) as refused:
        load_tensors(pickle)
    line = str(refused.value).partition('python -c "')[2].removesuffix('"')
    converted = pickle.with_suffix(".safetensors")
    exec(line.replace(pickle.name, str(pickle)).replace(converted.name, str(converted)), {})
    found = load_tensors(converted)
    assert found.keys() == given.keys()
    assert torch.equal(found["conv1.weight"], given["conv1.weight"])


@pytest.mark.parametrize("name", [name for name, spec in BACKBONES.items() if not spec.imagenet])
def test_where_no_default_start_is_the_message_says_which_to_give(name: str):
    spec = BACKBONES[name]
    with pytest.raises(InputError, match=r"give --init .*none\.$") as refused:
        initialise(nn.Identity(), spec, "imagenet")
    for start in spec.starts():
        assert start in str(refused.value)
