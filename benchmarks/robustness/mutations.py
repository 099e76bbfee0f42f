"""What is done to an intact file: each a function of the file and a source of randomness alone.

Some work on its bytes, some on its parts. Of some it is known how much sound the mutant must hold
or be told to lack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.robustness.seeds import Seed, seeds
from benchmarks.robustness.trees import OGG, Node, Nodes, foreign, walk

Random = np.random.Generator

EXTREMES = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0xFFFFFF)
EXTREMES += (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 1 << 63, (1 << 64) - 1)
SIZES = (0, 1, 2, 3, 255, 256, 65_535, 65_536, 1 << 20, 3 << 20)
"""Bytes of a tag."""


# -- bytes ------------------------------------------------------------------------------------


def flip(seed: Seed, random: Random) -> bytes:
    """Change a few bits or bytes, half of the times in the header."""
    data = bytearray(seed.data)
    reach = min(len(data), 400) if random.integers(2) else len(data)
    for at in random.integers(reach, size=random.integers(1, 17)):
        data[at] = random.choice([data[at] ^ (1 << random.integers(8)), random.integers(256)])
    return bytes(data)


def truncate(seed: Seed, random: Random) -> bytes:
    """Cut the end off."""
    return seed.data[: random.integers(1, len(seed.data))]


def splice(seed: Seed, random: Random) -> bytes:
    """Put the start of one file before the end of another."""
    other = seeds()[random.integers(len(seeds()))].data
    return seed.data[: random.integers(1, len(seed.data))] + other[random.integers(len(other)) :]


def zero(seed: Seed, random: Random) -> bytes:
    """Overwrite a run with zeros."""
    data = bytearray(seed.data)
    start = random.integers(400 if random.integers(2) else len(data))
    length = min(len(data) - start, int(2 ** random.uniform(0, 15)))
    data[start : start + length] = bytes(length)
    return bytes(data)


def damage(seed: Seed, random: Random) -> bytes:
    """Change bytes that are sound, and no checksum with them."""
    data = bytearray(seed.data)
    leaves = [node.body for node in _leaves(seed.tree(), seed) if isinstance(node.body, bytes)]
    for _ in range(random.integers(1, 4)):
        body = leaves[random.integers(len(leaves))]
        place = seed.data.find(body)
        start = place + int(random.integers(min(len(body), 64), len(body) + 1))
        length = min(place + len(body) - start, int(2 ** random.uniform(0, 11)))
        data[start : start + length] = random.bytes(length) if random.integers(2) else bytes(length)
    return bytes(data)


# -- parts ------------------------------------------------------------------------------------


def lie(seed: Seed, random: Random) -> bytes:
    """State sizes that are not true."""

    def change(nodes: Nodes, place: int) -> None:
        node = nodes[place]
        true = len(node.body)
        near = true + int(random.integers(-9, 10))
        node.claim = abs(int(random.choice([near, true * 2, true // 2, _extreme(random)])))

    return _change(seed, random, change)


def distort(seed: Seed, random: Random) -> bytes:
    """Set fields to extreme values, and put the checksums right."""

    def change(nodes: Nodes, place: int) -> None:
        node = nodes[place]
        if node.prefix and random.integers(2):
            node.prefix = _set(node.prefix, random)
        elif isinstance(node.body, bytes) and node.body and random.integers(8):
            node.body = _set(node.body, random)
        elif node.kind:
            node.kind = _set(node.kind, random)

    return _change(seed, random, change)


def delete(seed: Seed, random: Random) -> bytes:
    """Leave parts out."""
    return _change(seed, random, lambda nodes, place: nodes.__delitem__(place))


def swap(seed: Seed, random: Random) -> bytes:
    """Let two parts change places."""

    def change(nodes: Nodes, place: int) -> None:
        other = int(random.integers(len(nodes)))
        nodes[place], nodes[other] = nodes[other], nodes[place]

    return _change(seed, random, change)


def duplicate(seed: Seed, random: Random) -> bytes:
    """Repeat parts, up to a thousand times."""
    dialect = seed.dialect
    assert dialect

    def change(nodes: Nodes, place: int) -> None:
        part = dialect.write([nodes[place]])
        times = min(int(2 ** random.uniform(0, 10)), (1 << 21) // (len(part) + 1))
        nodes.insert(place, Node(None, part * times))

    return _change(seed, random, change)


def shorten(seed: Seed, random: Random) -> bytes:
    """Cut parts off, whose sizes say so."""

    def change(nodes: Nodes, place: int) -> None:
        node = nodes[place]
        node.body = node.body[: random.integers(len(node.body) + 1)]

    return _change(seed, random, change)


def nest(seed: Seed, random: Random) -> bytes:
    """Put parts into parts of their own kind, up to a thousand deep."""
    dialect = seed.dialect
    assert dialect

    def change(nodes: Nodes, place: int) -> None:
        node = nodes[place]
        if node.kind is None:
            return
        body = dialect.write([node])
        for _ in range(min(int(2 ** random.uniform(0, 10)), (1 << 22) // len(body))):
            body = dialect.wrap(node.kind, node.prefix + body, None)
        nodes[place] = Node(None, body)

    return _change(seed, random, change)


def tag(seed: Seed, random: Random) -> bytes:
    """Add parts that every reader must skip, some of them of absurd size."""
    tree, dialect = seed.tree(), seed.dialect
    assert dialect
    for _ in range(random.integers(1, 4)):
        body = _filling(random, int(random.choice(SIZES)), seed.data)
        if dialect is OGG:
            _add_foreign(tree, body, random)
        elif dialect.optional:
            nodes, first, last = dialect.places(tree)
            kind = dialect.optional[random.integers(len(dialect.optional))]
            if kind[:3] == b"ID3":
                body = dialect.wrap(b"PRIV\0\0", body, None)
            nodes.insert(int(random.integers(first, last + 1)), Node(kind, body))
    return dialect.write(tree)


def _add_foreign(tree: Nodes, body: bytes, random: Random) -> None:
    """Pages of a stream of their own: all streams start before any goes on (RFC 3533, 4)."""
    tree.insert(1, foreign(b"unheard of", 0, 2))
    tree.insert(int(random.integers(4, len(tree) + 1)), foreign(body, 1, 4))


def _filling(random: Random, size: int, data: bytes) -> bytes:
    """Content of a tag: nothing, text, noise, or sound files."""
    kind = random.integers(4)
    if kind == 0:
        return bytes(size)
    if kind == 1:
        return b"A" * size
    if kind == 2:
        return random.bytes(size)
    return (data * (size // len(data) + 1))[:size]


def _change(seed: Seed, random: Random, change: Callable[[Nodes, int], None]) -> bytes:
    """Change one to three nodes, the larger ones among them no more often than the others."""
    assert seed.dialect
    tree = seed.tree()
    for _ in range(random.integers(1, 4)):
        places = [*walk(tree)]
        if places:
            change(*places[random.integers(len(places))])
    return seed.dialect.write(tree)


def _leaves(nodes: Nodes, seed: Seed) -> Nodes:
    """Those that are sound."""
    return [
        holder[place]
        for holder, place in walk(nodes)
        if seed.dialect is None or seed.dialect.sound(holder[place])
    ]


def _set(data: bytes, random: Random) -> bytes:
    size = int(random.choice([1, 2, 4, 8]))
    at = int(random.integers(min(len(data), 96))) // min(size, 4) * min(size, 4)
    order = "big" if random.integers(2) else "little"
    value = (_extreme(random) % 256**size).to_bytes(size, order)
    return (data[:at] + value + data[at + size :])[: max(len(data), at)]


def _extreme(random: Random) -> int:
    return EXTREMES[random.integers(len(EXTREMES))]


BYTES = (flip, truncate, splice, zero)
PARTS = (damage, lie, distort, delete, swap, duplicate, shorten, nest, tag)
KNOWN = (truncate, damage, tag)
"""Of these the mutant holds all of the sound, or lacks some of it without wanting to."""
UNTOLD = ("mp3-bare", "aac", "amr")
"""Formats in which nothing tells how much follows: cut between two frames, they are whole."""


@dataclass(frozen=True)
class Mutant:
    """A file that is not as it should be."""

    number: int
    format: str
    mutation: str
    data: bytes
    known: bool
    """Whether it should be heard as long as the intact one is, or the answer should say why not."""


def mutant(number: int, seed: int = 0) -> Mutant:
    """The same for the same numbers."""
    random = np.random.default_rng([seed, number])
    one = seeds()[number % len(seeds())]
    mutations = BYTES if one.dialect is None else BYTES + PARTS
    mutation = mutations[number // len(seeds()) % len(mutations)]
    data = mutation(one, random)
    while data == one.data:  # there was nothing of the kind to change
        mutation, data = flip, flip(one, random)
    known = mutation in KNOWN and not (mutation is truncate and one.format in UNTOLD)
    return Mutant(number, one.format, mutation.__name__, data, known)
