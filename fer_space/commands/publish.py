"""`fer-space publish`: write folders that the Hugging Face Hub takes as they are; upload them if asked."""

import argparse
from pathlib import Path

from huggingface_hub import HfApi

from fer_space.backbones.specs import BACKBONES
from fer_space.card import WEIGHTS_DIR, paths_of
from fer_space.commands.options import backbone_names
from fer_space.errors import InputError, SourceError, WeightsError
from fer_space.publishing.model_folder import write_folder
from fer_space.publishing.page import OWNER, repository_of
from fer_space.publishing.space import write_space
from fer_space.registry import Registry

SPACE = "space"  # the folder of the Space beside those of the models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="gets one folder a model")
    parser.add_argument("--backbone", default="", metavar="NAMES", help="default: all whose weights are here")
    parser.add_argument("--space", action="store_true", help=f"write the Space, too, into DIR/{SPACE}")
    parser.add_argument("--dry-run", action="store_true", help="write the folders and upload nothing")
    parser.add_argument("--owner", default="", help="whose repositories on the Hub they become")


def check(args: argparse.Namespace) -> None:
    """Raise InputError unless it is clear where the folders go."""
    if not args.dry_run and not args.owner:
        raise InputError(
            "Say whose repositories they become (--owner), or write the folders alone (--dry-run)."
        )


def run(args: argparse.Namespace) -> int:
    """Write the folders, say which, and upload them unless this is a dry run."""
    check(args)
    here = [name for name in BACKBONES if all(path.is_file() for path in paths_of(name, WEIGHTS_DIR))]
    names = here if args.backbone in ("", "all") else backbone_names(args.backbone, Registry(WEIGHTS_DIR))
    if not names:
        raise WeightsError(f"There are no weights in {WEIGHTS_DIR}. Train a backbone and export it.")
    folders = []
    for name in names:
        folder = write_folder(name, WEIGHTS_DIR, args.folder, args.owner or OWNER)
        folders.append((folder, repository_of(name, args.owner or OWNER), "model"))
        print(folder)
    if args.space:
        folder = write_space(Path(__file__).parents[2], args.folder / SPACE)
        folders.append((folder, f"{args.owner or OWNER}/fer-space", "space"))
        print(folder)
    if not args.dry_run:
        for folder, repository, kind in folders:
            print(upload(HfApi(), folder, repository, kind))
    return 0


def upload(api: HfApi, folder: Path, repository: str, kind: str) -> str:
    """Put a folder into a repository of the Hub, which is made where it is missing; returns its address.

    Args:
        api: the Hub's client, with the token of `hf auth login`.
        folder: what is uploaded; large files go through Xet by themselves.
        repository: OWNER/NAME.
        kind: "model" or "space".

    Raises:
        SourceError: the Hub cannot be reached or says no.
    """
    try:
        sdk = "gradio" if kind == "space" else None
        url = api.create_repo(repository, repo_type=kind, space_sdk=sdk, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type=kind, folder_path=folder)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"{repository} was not uploaded: {reason}") from error
    return str(url)
