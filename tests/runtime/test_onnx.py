"""The one rule for ONNX Runtime."""

import pytest

from fer_space.runtime.onnx import CPU, CUDA, MAX_THREADS, providers, session_options

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("gpu", "built_for", "chosen"),
    [(True, [CUDA, CPU], [CUDA, CPU]), (False, [CUDA, CPU], [CPU]), (True, [CPU], [CPU])],
)
def test_cuda_where_the_package_and_a_gpu_are(
    gpu: bool, built_for: list[str], chosen: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built_for)
    assert providers() == chosen


def test_a_session_takes_few_threads():
    assert 1 <= session_options().intra_op_num_threads <= MAX_THREADS
