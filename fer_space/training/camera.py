"""What cameras do to a picture, so that sets are not told apart by theirs: `sample` decides, `apply` does.

Colour, gamma, blur, noise and JPEG, in the order in which a camera does them, each to a share of the
pictures.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from fer_space.training.params import Params
from fer_space.vision.preprocess import LUMA

LARGEST_BLUR = 0.02  # standard deviation, as a share of the side: about 2 pixels of 96
LARGEST_NOISE = 14.0  # standard deviation, of 255
LARGEST_GAMMA = 0.5  # of the logarithm: exponents from .61 to 1.65
JPEG_QUALITY = (15.0, 75.0)
BLOCK = 8
FIELD = 512  # pixels a side of the noise from which every picture takes a window

# ITU-T T.81 (1992), annex K.1, table of luminance, row by row
QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True, eq=False)
class CameraParams(Params):
    """What was sampled for a batch of B pictures.

    Attributes:
        gray: bool (B,), who loses colours.
        gamma: float (B,), exponent; 1 leaves a picture as it is.
        blur: float (B,), standard deviation as a share of the side; 0 for none.
        noise: float (B,), standard deviation of 255; 0 for none.
        window: int64 (B, 2), where in the noise field each picture's noise begins.
        quality: float (B,), of the JPEG file in [1, 100]; 0 for none.
    """

    gray: Tensor
    gamma: Tensor
    blur: Tensor
    noise: Tensor
    window: Tensor
    quality: Tensor


@dataclass(frozen=True)
class Camera:
    """Photograph faces with random cameras.

    Attributes:
        decolour, gamma, blur, noise, jpeg: share of the pictures to which each happens.
    """

    decolour: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing ever happens."""
        return not (self.decolour or self.gamma or self.blur or self.noise or self.jpeg)

    def sample(self, count: int, rng: torch.Generator) -> CameraParams:
        """Sample for `count` pictures from `rng`; nothing else is random."""

        def happens(share: float) -> Tensor:
            return torch.rand(count, generator=rng) < share

        def level(share: float, low: float, high: float, otherwise: float) -> Tensor:
            value = low + (high - low) * torch.rand(count, generator=rng)
            return torch.where(happens(share), value, otherwise)

        return CameraParams(
            gray=happens(self.decolour),
            gamma=level(self.gamma, -LARGEST_GAMMA, LARGEST_GAMMA, 0.0).exp(),
            blur=level(self.blur, 0.25 * LARGEST_BLUR, LARGEST_BLUR, 0.0),
            noise=level(self.noise, 0.2 * LARGEST_NOISE, LARGEST_NOISE, 0.0),
            window=torch.randint(FIELD, (count, 2), generator=rng),
            quality=level(self.jpeg, *JPEG_QUALITY, 0.0),
        )

    def apply(self, pictures: Tensor, params: CameraParams) -> Tensor:
        """Photograph pictures float (B, C, S, S), values 0 to 255; shape and range stay."""
        if self.decolour and pictures.shape[1] == 3:
            pictures = torch.where(_rows(params.gray), _luma(pictures), pictures)
        if self.gamma:
            pictures = (pictures / 255.0).clamp(min=1e-6) ** _rows(params.gamma) * 255.0
        if self.blur:
            pictures = blurred(pictures, params.blur * pictures.shape[-1])
        if self.noise:
            pictures = pictures + _noise(pictures, params.window) * _rows(params.noise)
        if self.jpeg:
            pictures = torch.where(
                _rows(params.quality) > 0.0, compressed(pictures, params.quality), pictures
            )
        return pictures.clamp(0.0, 255.0)


def blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """Convolve each picture float (B, C, S, S) with a Gaussian of its own `sigma` float (B,) in pixels.

    Kernels reach as far as the largest sigma needs (`LARGEST_BLUR`); edge pixels repeat beyond the picture.
    """
    count, channels, size, _ = pictures.shape
    reach = max(1, round(2.5 * LARGEST_BLUR * size))
    offsets = torch.arange(-reach, reach + 1, device=pictures.device)
    kernels = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-2)[:, None]) ** 2)  # (B, 2 reach + 1)
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = functional.pad(pictures, [reach] * 4, mode="replicate").reshape(
        1, count * channels, *[size + 2 * reach] * 2
    )
    across = functional.conv2d(flat, kernels[:, None, None, :], groups=count * channels)
    down = functional.conv2d(across, kernels[:, None, :, None], groups=count * channels)
    return down.view(count, channels, size, size)


def compressed(pictures: Tensor, quality: Tensor) -> Tensor:
    """Round the cosine transform of 8 x 8 blocks as a JPEG file of each picture's quality does.

    Channels are treated alike, by the table of luminance: what is left out is the coarser colour of JPEG.

    Args:
        pictures: float (B, C, S, S), values 0 to 255.
        quality: float (B,) in [1, 100], of libjpeg's scale; other values give something or other.
    """
    count, channels, size, _ = pictures.shape
    rest = -size % BLOCK
    padded = functional.pad(pictures, (0, rest, 0, rest), mode="replicate") - 128.0
    across = padded.shape[-1] // BLOCK
    basis, table = _dct(pictures.device), _table(pictures.device)
    percent = quality.clamp(1.0, 100.0)
    scale = torch.where(percent < 50.0, 5000.0 / percent, 200.0 - 2.0 * percent)
    steps = ((table * scale[:, None, None] + 50.0) / 100.0).floor().clamp(1.0, 255.0)  # (B, 8, 8)
    blocks = padded.view(count, channels, across, BLOCK, across, BLOCK).transpose(3, 4)
    steps = steps[:, None, None, None]
    rounded = (basis @ blocks @ basis.T / steps).round() * steps
    restored = (basis.T @ rounded @ basis).transpose(3, 4).reshape(padded.shape)
    return restored[..., :size, :size] + 128.0


def _rows(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _luma(pictures: Tensor) -> Tensor:
    red, green, blue = torch.split(pictures, 1, dim=1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _noise(pictures: Tensor, window: Tensor) -> Tensor:
    """Normal noise (B, C, S, S): each picture's own window of one field, whose edges meet."""
    size, channels = pictures.shape[-1], pictures.shape[1]
    place = (window[:, :, None] + torch.arange(size, device=pictures.device)) % FIELD  # (B, 2, S)
    rows, columns = place[:, 0, :, None], place[:, 1, None, :]
    return _field(pictures.device)[:channels, rows, columns].transpose(0, 1)


@lru_cache(maxsize=4)
def _field(device: torch.device) -> Tensor:
    """Normal numbers float32 (3, FIELD, FIELD), the same in every run."""
    return torch.randn(3, FIELD, FIELD, generator=torch.Generator().manual_seed(0)).to(device)


@lru_cache(maxsize=4)
def _table(device: torch.device) -> Tensor:
    return torch.tensor(QUANTISATION, dtype=torch.float32).to(device)


@lru_cache(maxsize=4)
def _dct(device: torch.device) -> Tensor:
    """Orthonormal cosine transform float32 (8, 8): rows are frequencies."""
    k, x = torch.arange(BLOCK)[:, None], torch.arange(BLOCK)[None]
    waves = torch.cos(torch.pi * (x + 0.5) * k / BLOCK)
    return (waves / waves.square().sum(dim=1, keepdim=True).sqrt()).to(device)
