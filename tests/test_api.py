"""What `import fer_space` offers."""

import subprocess
import sys

import pytest

import fer_space


def test_everything_that_is_promised_is_there():
    assert set(fer_space.__all__) == {
        "Comparison",
        "Cover",
        "Engine",
        "Face",
        "Model",
        "ModelOutput",
        "Prediction",
        "__version__",
        "list_models",
        "load_image",
        "load_model",
    }
    for name in fer_space.__all__:
        assert getattr(fer_space, name) is not None
    assert set(fer_space.__all__) <= set(dir(fer_space))


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="Motor"):
        _ = fer_space.Motor


def test_importing_brings_nothing_heavy():
    code = "import sys, fer_space; assert not {'torch', 'numpy', 'cv2', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
