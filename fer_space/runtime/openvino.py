"""Networks in OpenVINO: converted in the process, without files of ONNX, and kept for the next start.

It computes them in about half of torch's time (docs/speed.md). Body and head become one graph each, and the
head with the attention maps of all classes a third, so that maps cost no second pass through the body. Graphs
lie in the user's cache folder; their name holds the sha256 of the weights, what was built of them, and the
versions of all that made them, so a graph is never read for another network. Where they lie there nobody has
to build the network, nor to import the library that it comes from.
"""

import hashlib
import logging
import os
import shutil
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from huggingface_hub import constants
from torch import Tensor, nn

import fer_space
import fer_space.backbones
from fer_space.backbones.base import Backbone, Output
from fer_space.explain.maps import attend
from fer_space.runtime.threads import cores

PARTS = ("body", "head")
KEPT_DAYS = 30  # since graphs were last read
EXAMPLES = 3  # pictures that a network is traced with: 1 and 2 would be taken for constants
FIELDS = ("logits", "affect", "embedding")  # of `Output`, in the order of a head's graph
MAPS = "maps"  # the third graph, and its last output
NAMES = {"features", MAPS, *FIELDS}
METHOD = ["fer_space", "method"]  # where the third graph says how its maps are made

log = logging.getLogger(__name__)
_starting = threading.Lock()


class OpenVinoRunner:
    """Runs the graphs of a network on the CPU, in float32.

    Args:
        graphs: OpenVINO models by part, as `converted` or `read` give them.
        folder: where they were read. What OpenVINO compiled of them is kept there, too, which it reads in
            half of the time at the next start.
    """

    name = "openvino"

    def __init__(self, graphs: dict[str, Any], folder: Path | None = None) -> None:
        self.method: str = graphs[MAPS].get_rt_info(METHOD).astype(str) if MAPS in graphs else ""
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # some processors would take bfloat16
            "INFERENCE_NUM_THREADS": min(cores(), torch.get_num_threads()),
            "NUM_STREAMS": "1",
            "ENABLE_CPU_PINNING": False,  # cores are shared with other processes
        }
        self._graphs = dict(graphs)
        self._folder = folder
        # Not those of compiled graphs: logits that are the embedding as well become one tensor there.
        self._names = {part: [_name(output) for output in graph.outputs] for part, graph in graphs.items()}
        self._compiled: dict[str, Any] = {}
        self._locks = {part: threading.Lock() for part in graphs}
        self._requests = threading.local()
        self._compile("body")

    def body(self, pictures: Tensor) -> Tensor:
        """Run the body."""
        (features,) = self._run("body", pictures).values()
        return features

    def head(self, features: Tensor) -> Output:
        """Run the head."""
        return _output(self._run("head", features))

    def maps(self, features: Tensor) -> tuple[Output, Tensor]:
        """Run the head, forwards and backwards."""
        rows = self._run(MAPS, features)
        return _output(rows), rows[MAPS]

    def prepare_maps(self) -> None:
        """Compile the graph of the maps, if there is one."""
        if self.method:
            self._compile(MAPS)

    def _run(self, part: str, rows: Tensor) -> dict[str, Tensor]:
        request = getattr(self._requests, part, None)  # one a thread: a request computes one thing at a time
        if request is None:
            request = self._compile(part).create_infer_request()
            setattr(self._requests, part, request)
        results = request.infer({0: rows.contiguous().numpy()}, share_inputs=True)
        return dict(zip(self._names[part], map(torch.from_numpy, results.to_tuple()), strict=True))

    def _compile(self, part: str) -> Any:
        """Compile a graph when it is first wanted: whoever wants no maps keeps no weights for them."""
        with self._locks[part]:
            if part not in self._compiled:
                self._compiled[part] = self._compiled_now(part)
                del self._graphs[part]
            return self._compiled[part]

    def _compiled_now(self, part: str) -> Any:
        file = None if self._folder is None else self._folder / f"{part}.xml"
        if file is None or not file.is_file() or not os.access(file.parent, os.W_OK):
            return _core().compile_model(self._graphs[part], "CPU", self._settings)
        # Kept without the weights, which OpenVINO finds by the file of the graph.
        kept = {"CACHE_DIR": str(file.parent), "CACHE_MODE": "OPTIMIZE_SIZE"}
        return _core().compile_model(str(file), "CPU", self._settings | kept)


def kept_runner(key: str) -> OpenVinoRunner | None:
    """Make the runner of a network that has been converted on this machine; None for others.

    Args:
        key: as `converted_runner` takes it.
    """
    folder = cache_folder() / graphs_name(key)
    graphs = read(folder)
    return None if graphs is None else OpenVinoRunner(graphs, folder)


def converted_runner(network: Backbone, input_size: int, key: str) -> OpenVinoRunner | None:
    """Convert a network, which takes seconds, keep its graphs, and make its runner.

    Args:
        network: on the CPU, float32, in evaluation mode.
        input_size: side in pixels of its pictures.
        key: sha256 of all that decides what it computes, hexadecimal.

    Returns:
        The runner, or None where OpenVINO cannot take the network; the log says so in one line.
    """
    try:
        graphs = converted(network, input_size)
        runner = OpenVinoRunner(graphs)
    except Exception as error:  # whatever torch's exporter or OpenVINO does not know
        log.warning("%s stays in torch: OpenVINO cannot take it (%s).", type(network).__name__, _line(error))
        return None
    keep(graphs, cache_folder() / graphs_name(key))
    return runner


@torch.no_grad()
def converted(network: Backbone, input_size: int) -> dict[str, Any]:
    """Turn a network into OpenVINO models that take any number of pictures.

    Args:
        network: on the CPU, float32, in evaluation mode.
        input_size: side in pixels of its pictures.

    Returns:
        A model for each of `PARTS`, and for maps if there are any; outputs of the head are named as the
        fields of `Output`.
    """
    pictures = torch.zeros(EXAMPLES, 3, input_size, input_size)
    features = network.body(pictures).contiguous()
    graphs = {"body": _converted(network.body, pictures, ["features"])}
    heads = {"head": _Rows(network.head)}
    if network.head.has_maps:
        heads[MAPS] = _Attending(network.head)
    for part, rows in heads.items():
        graphs[part] = _converted(rows, features, list(rows.named(features)))
    if network.head.has_maps:
        graphs[MAPS].set_rt_info(network.head.method, METHOD)
    return graphs


def cache_folder() -> Path:
    """The folder of graphs, beside fetched models."""
    return Path(constants.HF_ASSETS_CACHE) / "fer-space" / "openvino"


def graphs_name(key: str) -> str:
    """Name the folder of a network's graphs by all that decides what they compute."""
    return f"{key[:32]}-{_versions()}"


def is_kept(key: str) -> bool:
    """Whether the network with this key has been converted on this machine."""
    return (cache_folder() / graphs_name(key)).is_dir()


def keep(graphs: dict[str, Any], folder: Path) -> None:
    """Write graphs to a folder that appears whole or not at all; a full disk is no error.

    Graphs beside it that nobody has read for `KEPT_DAYS` go: other versions of what made them left them.
    """
    import openvino

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.iterdir():
            with suppress(FileNotFoundError):  # another process was faster
                if time.time() - other.stat().st_mtime > KEPT_DAYS * 86_400:
                    shutil.rmtree(other, ignore_errors=True)
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
    with suppress(OSError):  # of a cache that only others may write
        os.utime(folder)
    try:
        optional = [MAPS] if (folder / f"{MAPS}.xml").exists() else []
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
        # An embedding may be the logits, and OpenVINO 2025 takes no tensor for two outputs.
        first, *others = self.named(features).values()
        return first, *(row * 1.0 for row in others)

    def named(self, features: Tensor) -> dict[str, Tensor]:
        return _fields(self.inner(features))


class _Attending(_Rows):
    """The same with the attention maps of every class."""

    def named(self, features: Tensor) -> dict[str, Tensor]:
        output, maps = attend(self.inner, features)
        return _fields(output) | {MAPS: maps}


def _name(output: Any) -> str:
    """What `converted` called an output of a graph; OpenVINO may have added names of its own."""
    (name,) = output.names & NAMES
    return str(name)


def _fields(output: Output) -> dict[str, Tensor]:
    return {name: row for name in FIELDS if (row := getattr(output, name)) is not None}


def _output(rows: dict[str, Tensor]) -> Output:
    return Output(rows["logits"], rows.get("affect"), rows.get("embedding"))


def _converted(module: nn.Module, example: Tensor, names: list[str]) -> Any:
    batch = torch.export.Dim("batch", min=1, max=4096)
    with _quiet():
        program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},), strict=False)
        _drop_idle_slices(program)
        graph = _graph_of(program)
    for output, name in zip(graph.outputs, names, strict=True):
        output.set_names({name})
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user what libraries say about their own future, as warnings and to the root logger."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    root = logging.getLogger()
    root.addFilter(nothing)  # concerns what is logged to it directly
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(nothing)


def _graph_of(program: torch.export.ExportedProgram) -> Any:
    """Do what `openvino.convert_model` does, which would tell its makers of every conversion."""
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    decoder = TorchFXPythonDecoder.from_exported_program(program)  # has to outlive what reads it
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    apply_moc_transformations(graph, cf=False, smart_reshape=True)  # a third is left to be read at each start
    return graph


def _drop_idle_slices(program: torch.export.ExportedProgram) -> None:
    """Take out slices of everything: PyTorch 2.8 writes one for each ":" of an index, OpenVINO takes none."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten.slice.Tensor and len(node.args) == 1 and not node.kwargs:
            (whole,) = node.args
            node.replace_all_uses_with(whole)
            program.graph_signature.replace_all_uses(node.name, whole.name)
            graph.erase_node(node)


def _core() -> Any:
    with _starting:  # of two threads one makes it
        return _only_core()


@lru_cache(maxsize=1)
def _only_core() -> Any:
    import openvino

    return openvino.Core()


@lru_cache(maxsize=1)
def _versions() -> str:
    """A short hash of the versions of what makes graphs, and of the code of all networks and their maps."""
    import openvino

    made_by = hashlib.sha256(f"{torch.__version__} {openvino.__version__} {version('transformers')}".encode())
    networks = sorted(Path(fer_space.backbones.__path__[0]).glob("*.py"))
    package = Path(fer_space.__path__[0])
    others = (package / "explain" / "maps.py", package / "external" / "heads.py")
    for path in (*networks, *others):
        if path.name != "specs.py":  # a list
            made_by.update(path.read_bytes())
    return made_by.hexdigest()[:16]


def _line(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
