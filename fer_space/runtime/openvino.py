"""Networks in OpenVINO: converted in the process, without files of ONNX, and kept for the next start.

It computes them in about half of torch's time (docs/speed.md). Body and head become one graph each, and the
head with the gradients of its logits a third, so that attention maps cost no second pass through the body.
Graphs of weights with a known sha256 lie in the user's cache folder; their name holds the sha256 and the
versions of all that made them, so a graph is never read for another network.
"""

import hashlib
import logging
import shutil
import threading
import warnings
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from huggingface_hub import constants
from torch import Tensor, nn

import fer_space.backbones
from fer_space.backbones.base import Backbone, Head, Output
from fer_space.runtime.threads import cores

PARTS = ("body", "head")
EXAMPLES = 3  # pictures that a network is traced with: 1 and 2 would be taken for constants
FIELDS = ("logits", "affect", "embedding")  # of `Output`, in the order of a head's graph
EVIDENCE = "evidence"  # the third graph, and its last output
NAMES = {"features", EVIDENCE, *FIELDS}

log = logging.getLogger(__name__)


class OpenVinoRunner:
    """Runs the graphs of a network on the CPU, in float32.

    Args:
        graphs: OpenVINO models by part, as `converted` or `read` give them.
        head: the network's own, which computes what no graph does.
    """

    name = "openvino"

    def __init__(self, graphs: dict[str, Any], head: Head) -> None:
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # some processors would take bfloat16
            "INFERENCE_NUM_THREADS": min(cores(), torch.get_num_threads()),
            "NUM_STREAMS": "1",
            "ENABLE_CPU_PINNING": False,  # cores are shared with other processes
        }
        self._head = head
        self._has_evidence = EVIDENCE in graphs
        self._graphs = dict(graphs)
        self._compiled: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._requests = threading.local()
        self._compile("body")

    def body(self, pictures: Tensor) -> Tensor:
        """Run the body."""
        (features,) = self._run("body", pictures).values()
        return features

    def head(self, features: Tensor) -> Output:
        """Run the head."""
        return _output(self._run("head", features))

    def evidence(self, features: Tensor) -> tuple[Output, Tensor]:
        """Run the head, forwards and backwards."""
        if not self._has_evidence:
            return self._head.evidence(features)
        rows = self._run(EVIDENCE, features)
        return _output(rows), rows[EVIDENCE]

    def _run(self, part: str, rows: Tensor) -> dict[str, Tensor]:
        request = getattr(self._requests, part, None)  # one a thread: a request computes one thing at a time
        if request is None:
            request = self._compile(part).create_infer_request()
            setattr(self._requests, part, request)
        results = request.infer({0: rows.contiguous().numpy()}, share_inputs=True)
        return {
            name: torch.from_numpy(array)
            for output, array in results.items()
            for name in output.names & NAMES  # compiling adds names of its own
        }

    def _compile(self, part: str) -> Any:
        """Compile a graph when it is first wanted: whoever wants no maps keeps no weights for them."""
        with self._lock:
            if part not in self._compiled:
                self._compiled[part] = _core().compile_model(self._graphs.pop(part), "CPU", self._settings)
            return self._compiled[part]


def openvino_runner(
    network: Backbone, input_size: int, sha256: str, *, convert: bool = True
) -> OpenVinoRunner | None:
    """Make the runner of a network, from the cache where its graphs lie there.

    Args:
        network: on the CPU, float32, in evaluation mode.
        input_size: side in pixels of its pictures.
        sha256: of its weights.
        convert: convert a network whose graphs are not kept, which takes seconds.

    Returns:
        The runner, or None where there is none: where OpenVINO cannot take the network the log says so in one
        line.
    """
    kept = cache_folder() / graphs_name(sha256)
    if (graphs := read(kept)) is not None:
        return OpenVinoRunner(graphs, network.head)
    if not convert:
        return None
    try:
        graphs = converted(network, input_size)
        runner = OpenVinoRunner(graphs, network.head)
    except Exception as error:  # whatever torch's exporter or OpenVINO does not know
        log.warning("%s stays in torch: OpenVINO cannot take it (%s).", type(network).__name__, _line(error))
        return None
    keep(graphs, kept)
    return runner


@torch.no_grad()
def converted(network: Backbone, input_size: int) -> dict[str, Any]:
    """Turn a network into OpenVINO models that take any number of pictures.

    Args:
        network: on the CPU, float32, in evaluation mode.
        input_size: side in pixels of its pictures.

    Returns:
        A model for each of `PARTS`, and for the evidence of maps if the head knows it without autograd;
        outputs of the head are named as the fields of `Output`.
    """
    pictures = torch.zeros(EXAMPLES, 3, input_size, input_size)
    features = network.body(pictures).contiguous()
    graphs = {"body": _converted(network.body, pictures, ["features"])}
    heads = {"head": _Rows(network.head)}
    if type(network.head).jacobian is not Head.jacobian:
        heads[EVIDENCE] = _Evidence(network.head)
    for part, rows in heads.items():
        graphs[part] = _converted(rows, features, list(rows.named(features)))
    return graphs


def cache_folder() -> Path:
    """The folder of graphs, beside fetched models."""
    return Path(constants.HF_ASSETS_CACHE) / "fer-space" / "openvino"


def graphs_name(sha256: str) -> str:
    """Name the folder of a network's graphs by all that decides what they compute."""
    return f"{sha256[:32]}-{_versions()}"


def is_kept(sha256: str) -> bool:
    """Whether the network whose weights have this sha256 has been converted on this machine."""
    return (cache_folder() / graphs_name(sha256)).is_dir()


def keep(graphs: dict[str, Any], folder: Path) -> None:
    """Write graphs to a folder that appears whole or not at all; a full disk is no error."""
    import openvino

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(mkdtemp(prefix=".unfinished-", dir=folder.parent))
        try:
            for part, graph in graphs.items():
                openvino.save_model(graph, unfinished / f"{part}.xml", compress_to_fp16=False)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, RuntimeError) as error:  # also: another process was faster
        log.info("Graphs are not kept in %s: %s", folder, _line(error))


def read(folder: Path) -> dict[str, Any] | None:
    """Read the graphs of a folder; None where it is missing or damaged, which then goes."""
    if not folder.is_dir():
        return None
    try:
        optional = [EVIDENCE] if (folder / f"{EVIDENCE}.xml").exists() else []
        return {part: _core().read_model(folder / f"{part}.xml") for part in (*PARTS, *optional)}
    except RuntimeError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


class _Rows(nn.Module):
    """A head that returns a tuple of what it has, for exporters that know no named tuples with holes."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.inner: Any = head

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(features).values())

    def named(self, features: Tensor) -> dict[str, Tensor]:
        return _fields(self.inner(features))


class _Evidence(_Rows):
    """The same with how much each place of the features speaks for each class."""

    def named(self, features: Tensor) -> dict[str, Tensor]:
        output, evidence = self.inner.evidence(features)
        return _fields(output) | {EVIDENCE: evidence}


def _fields(output: Output) -> dict[str, Tensor]:
    return {name: row for name in FIELDS if (row := getattr(output, name)) is not None}


def _output(rows: dict[str, Tensor]) -> Output:
    return Output(rows["logits"], rows.get("affect"), rows.get("embedding"))


def _converted(module: nn.Module, example: Tensor, names: list[str]) -> Any:
    import openvino

    batch = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about their own future
        program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},), strict=False)
        graph = openvino.convert_model(program)
    for output, name in zip(graph.outputs, names, strict=True):
        output.set_names({name})
    return graph


@lru_cache(maxsize=1)
def _core() -> Any:
    import openvino

    return openvino.Core()


@lru_cache(maxsize=1)
def _versions() -> str:
    """A short hash of the versions of torch and OpenVINO, and of the code of all networks."""
    import openvino

    made_by = hashlib.sha256(f"{torch.__version__} {openvino.__version__}".encode())
    for path in sorted(Path(fer_space.backbones.__path__[0]).glob("*.py")):
        if path.name != "specs.py":  # a list
            made_by.update(path.read_bytes())
    return made_by.hexdigest()[:16]


def _line(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
