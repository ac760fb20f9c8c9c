"""The same reading of many pictures on Ray: several processes here, or the machines of a cluster.

    write_with_ray(BulkReader(Engine(), ["dan"]), ["photos"], Path("faces"), workers=2)

Every worker holds an engine of its own and reads the pictures itself, so sources are paths that all machines
see, or URLs.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from fer_space.bulk import BATCH, BulkReader, Written, finished, pictures_of, schema_of, several
from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.sources.files import as_text, names_in

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers

WORKERS = 2  # where nobody says how many
PICTURES = 4 * BATCH  # in a block, which is what a kill can cost


class Worker:
    """Reads blocks of pictures; Ray makes one in each process.

    Args:
        weights_dir, device, runtime: of the engine.
        backbones, detector, boost_rare, ensemble: see `BulkReader`.
    """

    def __init__(
        self,
        weights_dir: Path,
        device: str,
        runtime: str,
        backbones: Sequence[str],
        detector: str,
        boost_rare: bool,
        ensemble: str,
    ) -> None:
        engine = Engine(weights_dir, device, runtime)
        self.reader = BulkReader(
            engine, backbones, detector=detector, boost_rare=boost_rare, ensemble=ensemble
        )

    def __call__(self, block: dict[str, Any]) -> Any:
        """Read the pictures whose names a block has in "source", as bytes; gives a table of Arrow."""
        import pyarrow

        rows = chain.from_iterable(self.reader.rows(pictures_of(map(os.fsdecode, block["source"]))))
        return pyarrow.Table.from_pylist(list(rows), schema_of(self.reader))


def write_with_ray(
    reader: BulkReader, sources: str | Iterable[str], folder: str | Path, *, workers: int = WORKERS
) -> Written:
    """Read pictures into a folder of Parquet files, a row a face; pictures that are in it are not read again.

    Args:
        reader: says how pictures are read, and reads nothing itself.
        sources: files, folders and URLs; one or several.
        folder: the table, one file a block; programs that read Parquet take the folder for a table.
        workers: processes that read, each on one core.

    Raises:
        InputError: standard input is among the sources, or there are fewer than one worker.
        OutputError: the folder holds another table.
    """
    import ray
    from ray.data import SaveMode

    folder, sources = Path(folder), several(sources)
    if "-" in sources:
        raise InputError("Ray's workers have no standard input: name files, folders or URLs.")
    if workers < 1:
        raise InputError("--workers is at least 1.")
    _, done = finished(folder, schema_of(reader))
    asked = list(chain.from_iterable(map(names_in, sources)))
    pictures = set(map(as_text, asked))
    names = [name for name in asked if as_text(name) not in done]
    if not names:
        return Written(0, _failed(folder, pictures), len(pictures))
    ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    settings = {
        "weights_dir": reader.engine.registry.weights_dir.resolve(),
        "device": str(reader.engine.device),
        "runtime": reader.engine.runtime,
        "backbones": [model.name for model in reader.models],
        "detector": reader.detector,
        "boost_rare": reader.boost_rare,
        "ensemble": reader.ensemble,
    }
    blocks = max(workers, -(-len(names) // PICTURES))
    table = ray.data.from_items([{"source": os.fsencode(name)} for name in names], override_num_blocks=blocks)
    read = table.map_batches(
        Worker, batch_size=None, concurrency=workers, num_cpus=1, fn_constructor_kwargs=settings
    )
    read.write_parquet(str(folder.resolve()), mode=SaveMode.APPEND)
    return Written(len(names), _failed(folder, pictures), len(pictures))


def _failed(folder: Path, names: set[str]) -> int:
    """How many of the pictures could not be read, by what stands in the folder."""
    return sum(row["problem"] is not None for row in _problems(folder) if row["source"] in names)


def _problems(folder: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    for part in folder.glob("*.parquet"):
        yield from pyarrow.parquet.read_table(part, columns=["source", "problem"]).to_pylist()
