"""What the tests of the deployment share: programs, mount namespaces, addresses and names."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import socketserver
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import randbelow

import pytest

from tests.support.answering import answering
from tests.support.process import ROOT

DEPLOY = ROOT / "deploy"
NAMES_PORT = 53
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
NO_SUCH_NAME = 3


def program(name: str) -> str:
    """The path of a program; skips where it is not installed."""
    path = shutil.which(name, path=PATH)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def with_mounts(mounts: Mapping[str, Path]) -> list[str]:
    """The start of a command that sees other files at these paths; skips where that cannot be."""
    script = "".join(
        f"mount --bind {shlex.quote(str(file))} {path} && " for path, file in mounts.items()
    )
    script += 'exec "$@"'
    command = [program("unshare"), "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"]).returncode:
        pytest.skip("no mount namespaces here")
    return command


def own_address() -> str:
    """An address of the loopback (127.0.0.0/8) that no other test and no other program uses."""
    return f"127.{1 + randbelow(254)}.{randbelow(256)}.{1 + randbelow(254)}"


def free_port() -> int:
    """A port that is free on every address now, and on an ``own_address`` stays so."""
    with socket.create_server(("", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def name_server(address: str, names: Mapping[str, str]) -> Iterator[None]:
    """Says which IPv4 address a name has at the moment, as the DNS of a container network does."""

    class Answer(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            query = self.rfile.read()
            # After the header of 12 bytes: labels after their lengths, a zero, type and class.
            labels, at = [], 12
            while length := query[at]:
                labels.append(query[at + 1 : at + 1 + length].decode())
                at += 1 + length
            found = names.get(".".join(labels))
            flags = 0x8180 if found else 0x8180 | NO_SUCH_NAME
            self.wfile.write(query[:2] + struct.pack(">5H", flags, 1, bool(found), 0, 0))
            self.wfile.write(query[12 : at + 5])
            if found:  # the name as a pointer to the question, type A, class IN, no time to live
                self.wfile.write(struct.pack(">3HIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(found))

    with answering(socketserver.ThreadingUDPServer((address, NAMES_PORT), Answer)):
        yield
