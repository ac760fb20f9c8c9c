"""Every backbone that is built here, by name. Listing the names imports none of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from fer_space.backbones.originals import Original
from fer_space.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from fer_space.backbones.base import Backbone

_RESNET18 = ("fer_space.backbones.resnet:name_in_body", "", ("fc.", "feature."))
RESNETS = (Original("torchvision", "resnet18", *_RESNET18), Original("timm", "resnet18", *_RESNET18))
_TIMM = "fer_space.backbones.efficientnet:name_in_network"
LITE0 = (Original("timm", "tf_efficientnet_lite0", _TIMM), Original("timm", "tf_efficientnet_lite1", _TIMM))


@dataclass(frozen=True)
class BackboneSpec:
    """One backbone: a body and a head that `weights/NAME.safetensors` fills.

    Attributes:
        name: key in `BACKBONES` and stem of its weights and card.
        title: how the page and tables write it.
        target: "module:function" that builds the untrained network from a number of classes and
            whether it reads valence and arousal too.
        imagenet: "module:function" that fills its body with ImageNet weights, or "" without any.
        input_size: side in pixels that training uses when no other is asked for.
        colour: hex colour that marks it on the page.
        kind: "built in", or "rival" for a network of others that is shipped for comparison.
        official: "module:function" that reads a checkpoint of the paper's authors, or "" without any.
        originals: networks of libraries whose files fill its body.
        faces: "module:function" that fills its body from the folder of a face-recognition network, or "".
        faces_kind: what `--init KIND:DIR` calls that network, or "".
    """

    name: str
    title: str
    target: str
    input_size: int
    colour: str
    kind: Literal["built in", "rival"] = "built in"
    imagenet: str = ""
    official: str = ""
    originals: tuple[Original, ...] = ()
    faces: str = ""
    faces_kind: str = ""

    def build(self, num_classes: int, affect: bool = False) -> "Backbone":
        """Build the untrained network for `num_classes` emotions, with valence and arousal if `affect`."""
        backbone: Backbone = resolve_name(self.target)(num_classes, affect)
        return backbone

    def load_imagenet(self, backbone: "Backbone") -> None:
        """Fill the body with ImageNet weights; raises InputError when there are none for it."""
        if not self.imagenet:
            starts = ", ".join((*self.starts(), "matching:FILE (a relative)"))
            raise InputError(
                f"No package brings ImageNet weights for {self.name}: give --init {starts} or none."
            )
        resolve_name(self.imagenet)(backbone)

    def starts(self) -> tuple[str, ...]:
        """List what `--init` takes for this backbone beside a file of its own, with what the file is of."""
        libraries = dict.fromkeys(original.library for original in self.originals)
        found = [
            f"{library}:FILE ({' or '.join(o.name for o in self.originals if o.library == library)})"
            for library in libraries
        ]
        found += ["hub:OWNER/REPO (the same of the Hub)"] if "timm" in libraries else []
        found += ["official:FILE (its authors')"] if self.official else []
        return (*found, *([f"{self.faces_kind}:DIR (face recognition)"] if self.faces_kind else []))

    def load_official(self, backbone: "Backbone", path: Path, labels: Sequence[str] | None = None) -> None:
        """Fill the network from the authors' checkpoint.

        Args:
            backbone: of this spec.
            path: of the checkpoint.
            labels: the order of its classes; None takes the one that it has most often.

        Raises:
            InputError: it cannot be read or used.
        """
        if not self.official:
            raise InputError(f"There is no reader of official checkpoints for {self.name}.")
        resolve_name(self.official)(backbone, path, *([] if labels is None else [labels]))

    def load_faces(self, backbone: "Backbone", kind: str, folder: Path) -> None:
        """Fill the body from a face-recognition network's npm folder.

        Args:
            backbone: of this spec; its norms want `restore_norms` before training.
            kind: the network, as `--init KIND:DIR` names it.
            folder: where its files are.

        Raises:
            InputError: the network is none for this backbone, or its files are missing or wrong.
        """
        if kind != self.faces_kind:
            others = ", ".join(s.name for s in BACKBONES.values() if s.faces_kind == kind)
            raise InputError(f"--init {kind}: is a start for {others}, not for {self.name}.")
        resolve_name(self.faces)(backbone, folder)


BACKBONES: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        BackboneSpec(
            name="efficientnet_lite0",
            title="EfficientNet-Lite0",
            target="fer_space.backbones.efficientnet:build_lite0",
            input_size=96,
            colour="#2563eb",
            imagenet="fer_space.backbones.efficientnet:load_imagenet",
            originals=LITE0,
        ),
        BackboneSpec(
            name="efficientnet_lite0_masked",
            title="Lite0, mask-trained",
            target="fer_space.backbones.efficientnet:build_lite0",
            input_size=96,
            colour="#0891b2",
            imagenet="fer_space.backbones.efficientnet:load_imagenet",
            originals=LITE0,
        ),
        BackboneSpec(
            name="mobilenet_v2",
            title="MobileNet-v2",
            target="fer_space.backbones.efficientnet:build_mobilenet_v2",
            input_size=96,
            colour="#16a34a",
            originals=(
                Original("torchvision", "mobilenet_v2", "fer_space.backbones.efficientnet:name_of_mobilenet"),
                Original("timm", "mobilenetv2_100", _TIMM),
            ),
        ),
        BackboneSpec(
            name="vgg16",
            title="VGG16",
            target="fer_space.backbones.vgg:build_vgg16",
            input_size=48,
            colour="#d97706",
            originals=(
                Original("torchvision", "vgg16_bn", "fer_space.backbones.vgg:name_in_body"),
                Original(
                    "torchvision",
                    "vgg16",
                    "fer_space.backbones.vgg:name_of_convolution",
                    "fer_space.backbones.vgg:idle_norms",
                    folded=True,
                ),
            ),
        ),
        BackboneSpec(
            name="efficientnet_b2",
            title="EfficientNet-B2",
            target="fer_space.backbones.efficientnet:build_b2",
            input_size=96,
            colour="#7c3aed",
            imagenet="fer_space.backbones.efficientnet:load_imagenet_b2",
            originals=(
                Original("timm", "tf_efficientnet_b2", _TIMM),
                Original(
                    "timm",
                    "tf_efficientnet_lite2",
                    "fer_space.backbones.efficientnet:name_of_lite2",
                    "fer_space.backbones.efficientnet:open_gates",
                ),
            ),
        ),
        BackboneSpec(
            name="efficientnet_b3",
            title="EfficientNet-B3",
            target="fer_space.backbones.efficientnet:build_b3",
            input_size=96,
            colour="#64748b",
            originals=(Original("timm", "tf_efficientnet_b3", _TIMM),),
        ),
        BackboneSpec(
            name="dan",
            title="DAN",
            target="fer_space.backbones.dan:build_dan",
            input_size=64,
            colour="#db2777",
            official="fer_space.backbones.dan:load_official",
            originals=RESNETS,
        ),
        BackboneSpec(
            name="ran",
            title="RAN",
            target="fer_space.backbones.ran:build_ran",
            input_size=64,
            colour="#92400e",
            official="fer_space.backbones.ran:load_official",
            originals=RESNETS,
        ),
        BackboneSpec(
            name="vit",
            title="ViT",
            target="fer_space.backbones.vit:build_vit",
            input_size=96,
            colour="#dc2626",
            originals=LITE0[:1],
        ),
        BackboneSpec(
            name="mobilenet_v1_faces",
            title="MobileNet-v1, faces",
            target="fer_space.backbones.mobilenet_v1:build_mobilenet_v1",
            input_size=96,
            colour="#c026d3",
            faces="fer_space.backbones.mobilenet_v1:load_hse",
            faces_kind="hse",
        ),
        BackboneSpec(
            name="mobilenet_v1_faces_masked",
            title="MobileNet-v1, mask-trained",
            target="fer_space.backbones.mobilenet_v1:build_mobilenet_v1",
            input_size=96,
            colour="#4f46e5",
            faces="fer_space.backbones.mobilenet_v1:load_hse",
            faces_kind="hse",
        ),
        BackboneSpec(
            name="resnet29_faces",
            title="ResNet-29, faces",
            target="fer_space.backbones.resnet29:build_resnet29",
            input_size=112,
            colour="#15703b",
            faces="fer_space.backbones.resnet29:load_dlib",
            faces_kind="dlib",
        ),
        BackboneSpec(
            name="faceapi",
            title="face-api",
            target="fer_space.backbones.faceapi:build_face_api",
            input_size=112,
            colour="#7a8500",
            kind="rival",
            official="fer_space.backbones.faceapi:load_face_api",
        ),
        BackboneSpec(
            name="human_emotion",
            title="Human",
            target="fer_space.backbones.human_emotion:build_human_emotion",
            input_size=64,
            colour="#a97bd9",
            kind="rival",
            official="fer_space.backbones.human_emotion:load_human_emotion",
        ),
    )
}


def backbone_spec(name: str) -> BackboneSpec:
    """Look up a backbone that is built here; raises UnknownNameError with the names that exist."""
    if name not in BACKBONES:
        raise UnknownNameError.of("backbone", name, BACKBONES)
    return BACKBONES[name]
