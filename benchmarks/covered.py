"""Write the portraits of `examples/`, under each cover, as a labelled folder: the gallery of the docs.

python benchmarks/covered.py covered
fer-space test --backbone mobilenet_v2 --data folder:covered --out results
fer-space plot gallery results/mobilenet_v2-covered-test.parquet folder:covered
"""

import argparse
import csv
from pathlib import Path

from fer_space.engine import Engine
from fer_space.occlusion import OCCLUSIONS, occlude
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import encode_png, load_image

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="DIR")
    out = parser.parse_args().out
    engine = Engine()
    with (EXAMPLES / "faces.csv").open(newline="", encoding="utf-8") as table:
        portraits = [(row["file"], row["label"]) for row in csv.DictReader(table)]
    for file, label in portraits:
        photo = load_image(EXAMPLES / file)
        (face,) = engine.detect(photo)
        crop = crop_face(photo, face, CropRule()).image_rgb
        folder = out / "test" / label
        folder.mkdir(parents=True, exist_ok=True)
        for kind in OCCLUSIONS:
            (folder / f"{Path(file).stem}-{kind}.png").write_bytes(encode_png(occlude(crop, kind)))


if __name__ == "__main__":
    main()
