"""AudioDiffCaps in its published layout (nttcslab/audio-diff-caps), once its clips are made.

``datasets/adc_{scene}/{split}/adc_{scene}_{split}.csv`` names the two clips of each pair and up to
five sentences on how to make the second of the first; ``jams/`` beside it says of what the first
clips were mixed. The clips themselves, ``{key}_s1.wav`` and ``{key}_s2.wav`` in ``wav/`` beside
it, are not published: whoever has FSD50K and ESC-50 mixes the first ones from the jams, by the
published script, and gets the second ones from its authors. Its licence (NTT, for evaluation) lets
nobody pass any of it on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from training.datasets.errors import DataError
from training.datasets.table import rows

SCENES = ("rain", "traffic")
SPLITS = ("dev", "eval")
CAPTIONS = tuple(f"caption_{number}" for number in range(1, 6))
COLUMNS = ("key", "s1_fn", "s2_fn", *CAPTIONS)
MIXED = "scaper"
"""The namespace of the annotation that says of what a clip was mixed."""


@dataclass(frozen=True)
class ClipPair:
    """Two clips, and what people wrote of how to get from one to the other."""

    key: str
    before: Path | None
    """None where the clip is not at hand."""
    after: Path | None
    captions: tuple[str, ...]
    """One to five."""


@dataclass(frozen=True)
class Layer:
    """A sound of a first clip."""

    label: str
    source: str
    """The recording's file name."""
    role: str
    """background or foreground."""
    start_s: float
    seconds: float
    source_start_s: float
    snr_db: float
    """Over the background."""


def read(root: Path, scene: str, split: str) -> list[ClipPair]:
    """The pairs of one scene and split, in the order of the CSV file.

    Raises:
        FileNotFoundError: there is no such table under ``root``; the message says where it must be.
        DataError: as :func:`rows` does, or a pair has no sentence or occurs twice.
    """
    folder = _folder(root, scene, split)
    path = folder / f"adc_{scene}_{split}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: point to a copy of nttcslab/audio-diff-caps, whose licence you "
            "have accepted"
        )
    found: dict[str, ClipPair] = {}
    for where, row in rows(path, COLUMNS, empty=CAPTIONS):
        captions = tuple(text for name in CAPTIONS if (text := row.get(name, "")))
        if not captions:
            raise DataError(f"{where}: {row['key']} has no caption")
        if row["key"] in found:
            raise DataError(f"{where}: {row['key']} occurs twice")
        before, after = (_at_hand(folder / "wav" / row[name]) for name in ("s1_fn", "s2_fn"))
        found[row["key"]] = ClipPair(row["key"], before, after, captions)
    return list(found.values())


def layers(root: Path, scene: str, split: str, key: str) -> list[Layer]:
    """Of what the first clip of a pair was mixed, by its jams file.

    Raises:
        FileNotFoundError: it is not there.
        DataError: it is no such file.
    """
    path = _folder(root, scene, split) / "jams" / f"{key}_s1.jams"
    try:
        annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
        (mixed,) = (one for one in annotations if one["namespace"] == MIXED)
        return [
            Layer(
                label=event["value"]["label"],
                source=Path(event["value"]["source_file"]).name,
                role=event["value"]["role"],
                start_s=float(event["value"]["event_time"]),
                seconds=float(event["value"]["event_duration"]),
                source_start_s=float(event["value"]["source_time"]),
                snr_db=float(event["value"]["snr"]),
            )
            for event in mixed["data"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not say of what a clip was mixed: {error}") from error


def _folder(root: Path, scene: str, split: str) -> Path:
    if scene not in SCENES or split not in SPLITS:
        raise ValueError(f"AudioDiffCaps has {SCENES} and {SPLITS}, not {scene} and {split}")
    return root / "datasets" / f"adc_{scene}" / split


def _at_hand(path: Path) -> Path | None:
    return path if path.is_file() else None
