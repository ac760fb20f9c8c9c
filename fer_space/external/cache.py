"""Which external models are here: a receipt for each lies in the Hub cache's place for files of libraries.

Models of the Hub lie where every program finds them, in the Hub cache itself. A receipt says which commit was
fetched and what each file's sha256 was, so that a later change is noticed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from fer_space.errors import MissingDependencyError, WeightsError
from fer_space.external.specs import ExternalSpec
from fer_space.files import sha256_of, write_text

CONFIG = "config.json"  # of a repository: which network it is


@dataclass(frozen=True)
class Receipt:
    """What was fetched.

    Attributes:
        spec: of the model, complete.
        folder: where the files lie, in parts of `hub_cache()` for a repository and of `home()` for a file.
        sha256: hexadecimal, by file name.
        date: of the fetch, "2026-11-25".
    """

    spec: ExternalSpec
    folder: str
    sha256: Mapping[str, str]
    date: str

    @property
    def paths(self) -> dict[str, Path]:
        """Where each file is, by its name."""
        base = (hub_cache() if self.spec.kind == "hub" else home()) / self.folder
        return {name: base / name for name in self.sha256}

    @property
    def weights_sha256(self) -> str:
        """The sha256 of the file with the weights."""
        return next(sha256 for name, sha256 in self.sha256.items() if not name.endswith(".json"))

    @property
    def config_sha256(self) -> str:
        """The sha256 of the file that says what network the weights belong to; "" where there is none."""
        return self.sha256.get(CONFIG, "")

    def is_here(self) -> bool:
        """Whether every file is there; what is in them is looked at by `verified`."""
        return all(path.is_file() for path in self.paths.values())

    def verified(self) -> dict[str, Path]:
        """Paths of the files, each of them as it was fetched.

        Raises:
            MissingDependencyError: a file is gone.
            WeightsError: a file has changed, or cannot be read.
        """
        for name, path in self.paths.items():
            if not path.is_file():
                raise not_fetched(self.spec)
            try:
                digest = sha256_of(path)
            except OSError as error:
                raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
            if digest != self.sha256[name]:
                raise WeightsError(
                    f"{name} of {self.spec.name} has changed since it was fetched (sha256): delete {path} and"
                    f" run `fer-space fetch {self.spec.name}` again."
                )
        return self.paths

    def write(self) -> None:
        """Put the receipt into `home()`."""
        values = {
            "spec": self.spec.model_dump(mode="json"),
            "folder": self.folder,
            "sha256": dict(self.sha256),
            "date": self.date,
        }
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        write_text(receipt_path(self.spec.name), text)


def home() -> Path:
    """The folder of receipts and single files."""
    return Path(constants.HF_ASSETS_CACHE) / "fer-space"


def hub_cache() -> Path:
    """The folder of the Hub cache."""
    return Path(constants.HF_HUB_CACHE)


def stem_of(name: str) -> str:
    """A model's name as it can stand in a file's name."""
    return name.replace(":", "--").replace("/", "--")


def receipt_path(name: str) -> Path:
    """Where the receipt of a model is or would be."""
    return home() / f"{stem_of(name)}.json"


def read_receipt(path: Path) -> Receipt | None:
    """Read a receipt; None where there is none.

    Raises:
        WeightsError: it is damaged; fetching writes it anew.
    """
    try:
        values = json.loads(path.read_bytes())
        spec = ExternalSpec.from_values(values["spec"])
        names = {str(name): str(sha256) for name, sha256 in values["sha256"].items()}
        if not names or any("/" in name or "\\" in name or name.startswith(".") for name in names):
            raise ValueError("no names of files")
        return Receipt(spec, str(values["folder"]), names, str(values["date"]))
    except FileNotFoundError:
        return None
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError, WeightsError) as error:
        raise WeightsError(
            f"The receipt {path.name} of a fetched model is damaged: delete it, and fetch the model again."
        ) from error


def earlier_receipt(path: Path) -> Receipt | None:
    """Read a receipt; one that is damaged counts as none, as where it is about to be written anew."""
    try:
        return read_receipt(path)
    except WeightsError:
        return None


def receipts() -> dict[str, Receipt]:
    """The receipts of all models whose files are here, by the models' names, in alphabetical order."""
    found = (earlier_receipt(path) for path in sorted(home().glob("*.json")))
    return {receipt.spec.name: receipt for receipt in found if receipt is not None and receipt.is_here()}


def damaged_receipts() -> dict[str, str]:
    """What is wrong with receipts that cannot be read, by the name of the file."""
    problems: dict[str, str] = {}
    for path in sorted(home().glob("*.json")):
        try:
            read_receipt(path)
        except WeightsError as error:
            problems[path.stem] = str(error)
    return problems


def receipt_of(spec: ExternalSpec) -> Receipt:
    """The receipt of a model; raises MissingDependencyError when the model was not fetched."""
    receipt = earlier_receipt(receipt_path(spec.name))
    if receipt is None or not receipt.is_here():
        raise not_fetched(spec)
    return receipt


def not_fetched(spec: ExternalSpec) -> MissingDependencyError:
    """The error for a model that is not here, with the remedy."""
    return MissingDependencyError(
        f"{spec.name} is not here: `fer-space fetch {spec.name}` downloads it. Licence: {spec.licence}"
    )
