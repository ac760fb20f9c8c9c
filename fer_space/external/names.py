"""The outside models and the user's own ones by name. It costs a few small files, no model library."""

from fer_space.external.cache import receipts
from fer_space.external.own import OwnSpec, own_specs
from fer_space.external.specs import MANIFEST, OutsideSpec


def known() -> dict[str, OutsideSpec | OwnSpec]:
    """Every model that has a name here: of the manifest, fetched from the Hub, or the user's own."""
    fetched = {name: receipt.spec for name, receipt in receipts().items() if receipt.spec.kind == "hub"}
    return {**own_specs(), **MANIFEST, **fetched}  # a repository's own files say more than the manifest


def present() -> tuple[str, ...]:
    """Names of those that can be read now: fetched ones, then the user's own."""
    return (*receipts(), *own_specs())
