"""What can go wrong on the road bytes -> waveform -> ... -> caption.

The tree follows the data::

    AudiodiffError
    ├── AudioError              a clip cannot become a waveform
    │   ├── EmptyAudio          there are no bytes, or no samples in them
    │   ├── UnsupportedFormat   the bytes are not audio that can be decoded
    │   ├── CorruptAudio        it is audio, but cut short or with non-finite samples
    │   ├── AudioTooShort       shorter than one encoder frame
    │   ├── AudioTooLong        longer than the limit in seconds
    │   └── AudioTooLarge       more channels, rate or decoded bytes than allowed
    ├── OptionsError            generation options that cannot be met
    └── CheckpointError         a checkpoint directory that cannot be loaded

Messages say what to do about it. HTTP statuses live in ``service/problems.py``.
"""


class AudiodiffError(Exception):
    """Base of every error this project raises on purpose."""


class AudioError(AudiodiffError):
    """A clip cannot become a waveform."""


class EmptyAudio(AudioError):
    """There are no bytes, or no samples in them."""


class UnsupportedFormat(AudioError):
    """The bytes are not audio that can be decoded."""


class CorruptAudio(AudioError):
    """It is audio, but cut short or with non-finite samples."""


class AudioTooShort(AudioError):
    """The clip is shorter than one encoder frame."""


class AudioTooLong(AudioError):
    """The clip is longer than the limit in seconds."""


class AudioTooLarge(AudioError):
    """The clip has more channels, a higher rate or more decoded bytes than allowed."""


class OptionsError(AudiodiffError):
    """Generation options that cannot be met."""


class CheckpointError(AudiodiffError):
    """A checkpoint directory that cannot be loaded."""
