"""Which version this is."""

from importlib import metadata


def version() -> str:
    """The installed version of this package."""
    try:
        return metadata.version("audiodiff")
    except metadata.PackageNotFoundError:
        return "not installed"
