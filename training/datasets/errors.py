"""What can go wrong on the road to a data set."""

from model.errors import AudiodiffError


class DataError(AudiodiffError):
    """A data set cannot be fetched or is not whole; the message says what to do about it."""
