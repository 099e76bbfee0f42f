"""What the process finds around it: streams of any encoding, and a user without a name."""

from __future__ import annotations

import codecs
import getpass
import io
import os
import sys

_HANDLER = "audiodiff.replace"


def tolerate_any_text() -> None:
    """Have standard output and error write what their encoding lacks as question marks.

    The bytes of a file name that is not text are written as they are.
    """
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes stand in a text as surrogates: PEP 383."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return b"".join(
        bytes([ord(one) - 0xDC00]) if "\udc80" <= one <= "\udcff" else b"?" for one in lacking
    ), error.end


def name_the_user() -> None:
    """Give a user without a name one: torch asks for it to name a folder, and fails otherwise."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # no variable tells it, and the uid has no entry in passwd
        os.environ["LOGNAME"] = str(os.getuid())


def warn(message: str) -> None:
    """On standard error."""
    print(f"audiodiff: {message}", file=sys.stderr)
