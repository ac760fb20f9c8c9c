"""Fetch a model of the Hugging Face Hub into the Hub cache: three files, none of which holds code.

The Hub's own client downloads them, with its progress bars on stderr, its time-outs (10 seconds of silence,
or `HF_HUB_DOWNLOAD_TIMEOUT`), its tries and its tokens; `HF_HUB_OFFLINE` keeps it from trying.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi
from safetensors import SafetensorError, safe_open

from fer_space.card import read_card
from fer_space.errors import FerSpaceError, SourceError, WeightsError
from fer_space.external.cache import CONFIG, Receipt, hub_cache
from fer_space.external.hub_config import labels_of, preprocess_of
from fer_space.external.published import CARD_FILE, WEIGHTS_FILE
from fer_space.external.specs import HUB, ExternalSpec, colour_of
from fer_space.files import sha256_of
from fer_space.vision.alignment import CropRule

PREPROCESSOR = "preprocessor_config.json"
TENSORS = "model.safetensors"
FILES = (CONFIG, PREPROCESSOR, TENSORS)

MAX_BYTES = 1_000_000_000
_SILENCE = 20.0

T = TypeVar("T")


def fetch_repo(repo: str, known: ExternalSpec | None, endpoint: str | None = None) -> Receipt:
    """Fetch `FILES` of a repository; the small ones first, so that no large one comes in vain.

    Args:
        repo: "OWNER/REPO".
        known: what the manifest says of it, or None.
        endpoint: of the Hub; None takes the one that the client is set to.

    Raises:
        SourceError: the Hub cannot be reached, the repository is not there, has no safetensors, is too
            large, or is no facial-expression model that can be read here.
    """
    api = HfApi(endpoint=endpoint)
    info = _asked(repo, lambda: _info(api, repo, known))
    if any(sibling.rfilename == CARD_FILE for sibling in info.siblings or ()):
        return _fetch_published(api, repo, info)
    _check_files(repo, info, FILES, known.max_bytes if known else MAX_BYTES)
    paths = {name: _get(api, repo, name, info.sha) for name in (CONFIG, PREPROCESSOR)}
    spec = _described(repo, info, paths)
    if known and known.labels != spec.labels:
        raise SourceError(f"{repo} names the labels {', '.join(spec.labels)}, not those of the manifest.")
    paths[TENSORS] = tensors = _get(api, repo, TENSORS, info.sha)
    _check_tensors(tensors, repo, info, known)
    if known:
        spec = _completed(known, spec)
    spec = spec.model_copy(update={"revision": info.sha, "parameters": _parameters(tensors, repo)})
    folder = tensors.parent.relative_to(hub_cache()).as_posix()
    return Receipt(
        spec, folder, {n: sha256_of(path) for n, path in paths.items()}, datetime.now(UTC).date().isoformat()
    )


def fetch_tensors(repo: str, endpoint: str | None = None) -> Path:
    """Fetch `TENSORS` of a repository alone, as a start of training; nothing of it is a model here.

    Args:
        repo: "OWNER/REPO", or "OWNER/REPO@COMMIT" for that commit and no later one.
        endpoint: of the Hub; None takes the one that the client is set to.

    Returns:
        The path of the file in the Hub cache.

    Raises:
        SourceError: the Hub cannot be reached, the repository is not there, has no safetensors or is too
            large.
    """
    api = HfApi(endpoint=endpoint)
    repo, _, revision = repo.partition("@")

    def ask() -> Any:
        return api.model_info(repo, revision=revision or None, timeout=_SILENCE, files_metadata=True)

    info = _asked(repo, ask)
    _check_files(repo, info, (TENSORS,), MAX_BYTES)
    path = _get(api, repo, TENSORS, info.sha)
    _check_tensors(path, repo, info, None)
    return path


def _fetch_published(api: HfApi, repo: str, info: Any) -> Receipt:
    """Fetch a model that was published from here, with its card and its calibration."""
    names = (CARD_FILE, WEIGHTS_FILE)
    _check_files(repo, info, names, MAX_BYTES)
    paths = {CARD_FILE: _get(api, repo, CARD_FILE, info.sha)}
    try:
        card = read_card(paths[CARD_FILE])
    except WeightsError as error:
        raise SourceError(f"{repo} cannot be read: {error}") from error
    paths[WEIGHTS_FILE] = weights = _get(api, repo, WEIGHTS_FILE, info.sha)
    if sha256_of(weights) != card.sha256:
        _delete(weights)
        raise SourceError(f"{WEIGHTS_FILE} of {repo} is not the file of its card (sha256); it was deleted.")
    spec = ExternalSpec(
        name=HUB + repo,
        title=card.name,
        kind="hub",
        source=repo,
        revision=info.sha,
        sha256=card.sha256,
        max_bytes=MAX_BYTES,
        licence=card.licence,
        data=card.data,
        labels=card.labels,
        affect=card.affect,
        parameters=card.parameters,
        preprocess=card.preprocess,
        crop=card.crop,
        colour=colour_of(HUB + repo),
    )
    folder = weights.parent.relative_to(hub_cache()).as_posix()
    sums = {name: sha256_of(path) for name, path in paths.items()}
    return Receipt(spec, folder, sums, datetime.now(UTC).date().isoformat())


def _completed(known: ExternalSpec, said: ExternalSpec) -> ExternalSpec:
    """The manifest knows what faces it learned from, the repository how it normalises them."""
    faces = known.preprocess
    preprocess = replace(said.preprocess, native_size=faces.native_size, gray=faces.gray)
    return known.model_copy(update={"preprocess": preprocess})


def _info(api: HfApi, repo: str, known: ExternalSpec | None) -> Any:
    revision = known.revision if known and known.revision else None
    return api.model_info(repo, revision=revision, timeout=_SILENCE, files_metadata=True)


def _described(repo: str, info: Any, paths: Mapping[str, Path]) -> ExternalSpec:
    """What the repository says of itself; how faces are best cut out it does not say: by their boxes."""
    return ExternalSpec(
        name=HUB + repo,
        title=repo.partition("/")[2],
        kind="hub",
        source=repo,
        revision=info.sha,
        sha256="",
        max_bytes=MAX_BYTES,
        licence=_licence(info),
        data="see its page on the Hub",
        labels=labels_of(_json(paths[CONFIG], repo), repo),
        affect=False,
        parameters=0,
        preprocess=preprocess_of(_json(paths[PREPROCESSOR], repo), repo),
        crop=CropRule(align=False, box_scale=1.0),
        colour=colour_of(HUB + repo),
    )


def _asked(repo: str, ask: Callable[[], T]) -> T:
    """What the Hub's client answers; its many errors, and those of its HTTP library, become one sentence."""
    try:
        return ask()
    except FerSpaceError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise SourceError(f"{repo} cannot be fetched from the Hugging Face Hub: {reason}.") from error


def _check_files(repo: str, info: Any, names: Sequence[str], max_bytes: int) -> None:
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings or ()}
    if names[-1] not in sizes:
        raise SourceError(f"{repo} holds no {names[-1]}; other formats may run code and are not read.")
    if missing := [name for name in names if name not in sizes]:
        raise SourceError(f"{repo} holds no {missing[0]}.")
    if any(sizes[name] is None for name in names) or sum(sizes[name] for name in names) > max_bytes:
        raise SourceError(f"{repo} is larger than the limit of {max_bytes / 1e6:g} MB.")


def _get(api: HfApi, repo: str, name: str, commit: str) -> Path:
    """Download one file of a commit, unless it is in the Hub cache; returns its path there."""
    return Path(
        _asked(
            repo,
            lambda: api.hf_hub_download(
                repo, name, revision=commit, cache_dir=hub_cache(), etag_timeout=_SILENCE
            ),
        )
    )


def _check_tensors(path: Path, repo: str, info: Any, known: ExternalSpec | None) -> None:
    """Delete the file with the weights unless it is the one that manifest and Hub promise."""
    stored = next(sibling.lfs for sibling in info.siblings if sibling.rfilename == TENSORS)
    promised = {known.sha256 if known else "", stored.sha256 if stored else ""} - {""}
    if promised - {sha256_of(path)}:
        _delete(path)
        raise SourceError(f"{TENSORS} of {repo} is not the file that is expected (sha256); it was deleted.")


def _delete(path: Path) -> None:
    """Delete a file of the Hub cache, where names are links to contents."""
    path.resolve().unlink()
    path.unlink(missing_ok=True)


def _json(path: Path, repo: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{path.name} of {repo} is not JSON.") from error
    if not isinstance(values, dict):
        raise SourceError(f"{path.name} of {repo} is no JSON object.")
    return values


def _parameters(path: Path, repo: str) -> int:
    """Number of weights and biases, from the header of the file."""
    try:
        with safe_open(path, framework="pt") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise SourceError(f"{TENSORS} of {repo} is damaged.") from error
    return sum(prod(shape) for shape in shapes)


def _licence(info: Any) -> str:
    """The licence that a repository's card names, in its authors' word."""
    card = info.card_data
    named = card.get("license") if card else None
    return f"{named}, as its authors say on the Hub." if named else "Not stated by its authors."
