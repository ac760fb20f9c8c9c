"""Things drawn on a face by its 68 landmarks, or by those of an average training face.

    covered_rgb = occlude(photo_rgb, "sunglasses", face.landmarks)
    covered_rgb = occlude(crop_rgb, "surgical", opacity=0.5)

Landmarks are in iBUG order: jaw 0 to 16, brows 17 to 26, nose 27 to 35, eyes 36 to 47, mouth 48 to 67.
"""

from fer_space.occlusion.average import TEMPLATE_BRIDGE, TEMPLATE_JAW
from fer_space.occlusion.kinds import CROP_ONLY, OCCLUSIONS, Occlusion, occlude, region
from fer_space.occlusion.surgical import SURGICAL_BLUE, draw_mask, mask_polygon, template_mask
from fer_space.occlusion.upper import UPPER_SHARE, upper_face

__all__ = [
    "CROP_ONLY",
    "OCCLUSIONS",
    "SURGICAL_BLUE",
    "TEMPLATE_BRIDGE",
    "TEMPLATE_JAW",
    "UPPER_SHARE",
    "Occlusion",
    "draw_mask",
    "mask_polygon",
    "occlude",
    "region",
    "template_mask",
    "upper_face",
]
