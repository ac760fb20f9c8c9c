"""What a face costs when many are read, and whether that grows: `python benchmarks/scale.py`.

Writes pictures of one face each into a temporary folder, small and large numbers of them, and reads each
folder into a table in a process of its own. Prints JSON lines with processor seconds a face, which a busy
machine does not change much, and the peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
SIDE = 256  # of a picture, with a face of about 100 pixels


def make_pictures(folder: Path, count: int) -> None:
    """Write `count` pictures, all different, each with the example's face."""
    folder.mkdir()
    with Image.open(EXAMPLE) as photo:
        for number in range(count):
            left, top = 110 + number % 20, 10 + number // 20 % 20
            crop = photo.convert("RGB").crop((left, top, left + SIDE, top + SIDE))
            crop.save(folder / f"{number:06d}.jpg", quality=90)


def read_folder(folder: Path, backbones: str) -> dict[str, object]:
    """Read a folder in a child process and say what it cost."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "fer_space.cli", "predict", str(folder), "--backbones", backbones]
    subprocess.run([*command, "--parquet", str(folder.with_suffix(".parquet"))], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": round(seconds, 1), "peak_memory_mb": round(after.ru_maxrss / 1024)}


def main() -> None:
    """Read folders of growing size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="1000,10000", help="pictures in each folder")
    parser.add_argument("--backbones", default="mobilenet_v1_faces,efficientnet_lite0")
    args = parser.parse_args()
    with TemporaryDirectory() as temporary:
        for count in map(int, args.counts.split(",")):
            folder = Path(temporary) / f"of{count}"
            make_pictures(folder, count)
            cost = read_folder(folder, args.backbones)
            a_face = float(str(cost["cpu_seconds"])) / count
            record = {"faces": count, **cost, "cpu_ms_a_face": round(1000 * a_face, 2)}
            print(json.dumps(record | {"cpu_hours_a_million": round(a_face * 1e6 / 3600, 1)}), flush=True)


if __name__ == "__main__":
    main()
