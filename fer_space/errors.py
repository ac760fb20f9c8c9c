"""Every exception that this package raises on purpose. The message is a sentence for the user.

FerSpaceError
 +- InputError             what was handed in cannot be used
 |   +- ImageError         bytes that are no picture, or a picture past the limits
 |   +- VideoError         a file that is no video, or one past the limits
 |   +- SourceError        a file, folder or URL that cannot be read or is not allowed
 |   +- DataError          a data set that breaks its own rules
 |   +- UnknownNameError   a backbone, detector or option that does not exist
 |   +- OutputError        a file that cannot be written
 +- TrainingError          a run that cannot go on
 +- WeightsError           weights missing, damaged, or not those of their card
 +- MissingDependencyError an opt-in package or model is not installed
 +- LeaseError             a machine that is lent for the work cannot be had, or was taken back
"""

from collections.abc import Iterable


class FerSpaceError(Exception):
    """Base of all deliberate errors; catching it catches every one of them."""


class InputError(FerSpaceError):
    """What the caller handed in cannot be used."""


class ImageError(InputError):
    """The bytes are no picture, or the picture is past the limits."""


class VideoError(InputError):
    """The file is no video, a damaged one, or one past the limits."""


class SourceError(InputError):
    """A file, folder or URL cannot be read or is not allowed."""


class DataError(InputError):
    """A data set, or a row of it, breaks its own rules."""


class UnknownNameError(InputError):
    """A backbone, detector or option of that name does not exist."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownNameError":
        """The error for a `kind` of thing that has no `name` among the `known` ones."""
        return cls(f"There is no {kind} “{name}”. Choose from: {', '.join(known)}.")


class OutputError(InputError):
    """A file cannot be written where it was asked for."""


class TrainingError(FerSpaceError):
    """A run cannot go on: its loss is no number any more, or one of its processes was lost."""


class WeightsError(FerSpaceError):
    """Weights are missing, damaged, or not those that their card describes."""


class MissingDependencyError(FerSpaceError):
    """An opt-in package or model is not installed; the message says how to get it."""


class LeaseError(FerSpaceError):
    """A machine that is lent for the work cannot be had now, or was taken back too soon."""
