"""Terminals that lack letters, and users that lack a name."""

from __future__ import annotations

import getpass
import io
import os
import pwd
import sys

import pytest
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from cli import terminal

NAME = "caf\u00e9 \u96e8 \udcff.wav"
"""A letter that Latin-1 has, one that it lacks, and a byte that is none in UTF-8."""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"caf? ? \xff.wav"),
        ("latin-1", b"caf\xe9 ? \xff.wav"),
        ("cp1252", b"caf\xe9 ? \xff.wav"),
        ("cp932", b"caf? \x89J \xff.wav"),
        ("utf-8", b"caf\xc3\xa9 \xe9\x9b\xa8 \xff.wav"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(
    stream: str, encoding: str, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_ = io.BytesIO()
    monkeypatch.setattr(sys, stream, io.TextIOWrapper(bytes_, encoding, errors="strict"))
    terminal.tolerate_any_text()
    print(NAME, end="", file=getattr(sys, stream), flush=True)
    assert bytes_.getvalue() == written


@pytest.fixture
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uid that passwd does not know, and no variable that tells a name."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("_nobody")
def test_a_user_without_a_name_gets_one() -> None:
    with pytest.raises((KeyError, OSError)):
        default_cache_dir()
    terminal.name_the_user()
    assert getpass.getuser() == str(os.getuid())
    assert default_cache_dir()


def test_a_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    terminal.name_the_user()
    assert getpass.getuser() == "me"
