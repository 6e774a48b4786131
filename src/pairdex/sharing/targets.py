"""The targets of all kinds of addresses that a collection can be pushed to."""

from __future__ import annotations

from pairdex.downloads.object_stores import SCHEMES
from pairdex.errors import InvalidArgument
from pairdex.sharing.folder_target import FolderTarget
from pairdex.sharing.hub_target import HubTarget
from pairdex.sharing.object_target import ObjectTarget
from pairdex.sharing.place import Place
from pairdex.sharing.target import Target

__all__ = ["target_of"]


def target_of(place: Place) -> Target:
    """Return the target of an address.

    Raises
    ------
    InvalidArgument
        Nothing can be pushed to this kind of address.
    MissingExtra
        The package that reaches it is not installed.
    """
    if place.scheme == "file":
        return FolderTarget(place)
    if place.scheme == "hf":
        return HubTarget(place)
    if place.scheme in SCHEMES:
        return ObjectTarget(place)
    raise InvalidArgument(
        f"nothing can be pushed to {place}; expected s3://, gs://, az://, hf:// or file:///folder; "
        "a web server publishes a folder that was pushed to with file://",
        field="url",
    )
