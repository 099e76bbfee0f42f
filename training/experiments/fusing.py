"""``python -m training reproduce edtc``: the rows of EDTC's ablation (Tan et al. 2024, Table 2).

The paper's three encoders are published and frozen. Three that are at hand stand in for them, on
the plain clips of ESC Scenes 2: the bundled checkpoint's, EfficientAT's, and YAMNet. Everything
lies in one folder and is done once: scenes, frames, and a result per row and seed; a study that was
stopped goes on where it was.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model import checkpoint
from model.adapters import EdtcAdapter
from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import CaptionerConfig, EdtcAdapterConfig, MaskingConfig, TranslatorConfig
from model.contracts import Parts
from model.decoders import BartDecoder
from model.difference import DIFFERENCES
from model.types import Encoded
from training.captions.tokenizer import MAX_TOKENS
from training.experiments import fusing_material as material
from training.experiments import runs
from training.experiments.esc_scenes import Roots
from training.experiments.fusing_material import Study
from training.experiments.probing import probe
from training.experiments.testing import plain
from training.fit import Budget, Stage, best, curves, fit, load_weights
from training.losses import Captioning, Twinned
from training.losses.twinned import SMOOTHING
from training.recipes.adl import KeptSources
from training.recipes.edtc import LEARNS, cycles
from training.recipes.recipe import Plan
from training.samples.by_length import ByLength
from training.samples.features import Waveforms
from training.samples.frames import FrameSamples, KeptFrames

ALL = tuple(material.WIDTHS)
BUNDLED = "bundled"
"""The bundled checkpoint as it is, which is no row: it learns nothing here."""
PROBE = "probe"
"""What a linear probe hears in the encoders' frames."""
PROBED = (*ALL, "concat-bundled", "concat")
"""Rows whose encoders are asked."""
BEST = "best"
"""The encoder that, alone and with the first seed, had the lowest loss on validation."""
WINDOW = 32
FUSER = 1
TRANSLATOR = TranslatorConfig(encoder_layers=2, decoder_layers=1)
STEPS, RATE = 450, 1e-3
CHECKS = 5
"""How often the loss of validation is told."""


@dataclass(frozen=True)
class Row:
    """What a row has of its own."""

    parts: tuple[str, ...] = ALL
    """Encoders, the same one possibly several times."""
    fuser: bool = False
    """Else their frames are joined by a linear map."""
    translator: bool = False
    twin: bool = False


ROWS = {
    **{name: Row((name,)) for name in ALL},
    "concat": Row(),
    "concat-bundled": Row(("mobilenet", "yamnet")),
    "fuser": Row(fuser=True),
    "best-fuser": Row((BEST,) * 3, fuser=True),
    "fuser-translator": Row(fuser=True, translator=True),
    "best-translator": Row((BEST,), translator=True),
    "best-twin": Row((BEST,), translator=True, twin=True),
    "fuser-twin": Row(fuser=True, translator=True, twin=True),
}
"""The paper's nine, in which HTSAT is the best encoder; ``concat`` is the control that it lacks.

``concat-bundled`` joins the two encoders whose weights may come with the bundled checkpoint.
"""


def reproduce(
    *,
    roots: Roots,
    parts: Mapping[str, Path],
    output: Path,
    seeds: int,
    part: tuple[int, int] = (0, 1),
) -> None:
    """Train and test every row with every seed; ``part`` (n, m) does every m-th.

    ``parts`` are the files or folders of the encoders (``encoders.read``), by name.

    Raises:
        CheckpointError: one of them cannot be read.
    """
    left = runs.left(output, ROWS, seeds, part)
    once: dict[str, Callable[[Study], dict[str, Any]]] = {
        BUNDLED: partial(_told, parts["mobilenet"]),
        PROBE: _probed,
    }
    undone = [name for name in once if part[0] == 0 and not runs.path(output, name, 0).exists()]
    if not left and not undone:
        return
    study = material.prepare(roots, parts, output)
    for name in undone:
        print(name, flush=True)
        runs.keep(output, name, 0, once[name](study))
    for name, seed in left:
        _done(study, name, seed)


def _told(bundled: Path, study: Study) -> dict[str, Any]:
    """What a whole checkpoint, which has learned from no scene, says of the plain clips."""
    own = checkpoint.load(bundled, torch.float32)
    plan = Plan(own.model, own.tokenizer, own.generation, [])
    rate = own.model.encoder.sample_rate

    def heard(split: str) -> dict[str, Any]:
        kept = study.sources[split]
        waveforms = Waveforms(study.output / "scenes", kept.clips, rate)
        return plain(plan, replace(kept, features=waveforms))

    return {**heard("test"), "validated": heard("validation")}


def _probed(study: Study) -> dict[str, Any]:
    return probe(study.sources, {row: slices(ROWS[row].parts) for row in PROBED}, ALL[0])


def _done(study: Study, name: str, seed: int) -> dict[str, Any]:
    """A row's result, of a run where there is none yet."""
    path = runs.path(study.output, name, seed)
    if not path.exists():
        row = ROWS[name]
        if BEST in row.parts:
            row = replace(row, parts=(_best(study),) * len(row.parts))
        print(f"{name}, seed {seed}", flush=True)
        found = _run(row, seed, study, runs.folder(study.output, name, seed))
        runs.keep(study.output, name, seed, {**asdict(row), **found})
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _best(study: Study) -> str:
    lowest = {name: min(loss for _, loss in _done(study, name, 0)["validation"]) for name in ALL}
    return min(lowest, key=lowest.__getitem__)


def _run(row: Row, seed: int, study: Study, folder: Path) -> dict[str, Any]:
    """Learn; test the weights that validated best."""
    began = time.process_time()
    train, validation = study.sources["train"], study.sources["validation"]
    torch.manual_seed(seed)
    model = captioner(row, study.bart)
    loss = Twinned(model, study.text) if row.twin else Captioning(model, SMOOTHING)
    checked = STEPS // CHECKS
    stage = Stage(
        "captions",
        ByLength(_samples(train, seed), material.BATCH, seed=seed),
        loss,
        LEARNS,
        Budget(
            STEPS, material.BATCH, RATE, weight_decay=0.01, save_steps=checked, workers=0, seed=seed
        ),
        _samples(validation, 0),
        after_step=loss.merge if isinstance(loss, Twinned) else None,
        schedule=cycles,
    )
    last = fit(stage, folder)
    learnt_s = round(time.process_time() - began)
    chosen = best(last)
    load_weights(loss, chosen)
    learned = curves(last)
    shutil.rmtree(folder)
    search = baseline_search(max_length=MAX_TOKENS)
    plan = Plan(model, train.tokenizer, search, [stage])
    scores = plain(plan, study.sources["test"])
    return {
        "steps": STEPS,
        "step": int(chosen.name.rpartition("-")[2]),
        "learnt_s": learnt_s,
        "parameters": sum(each.numel() for each in model.parameters()),
        **learned,
        **scores,
        "validated": plain(plan, validation),
    }


def _samples(sources: KeptSources, seed: int) -> FrameSamples:
    return FrameSamples(
        sources.clips, sources.features, sources.tokenizer,
        condition=None, reference_share=0, mixgen_share=0, seed=seed,
    )  # fmt: skip


class Streams(KeptFrames):
    """Some of the encoders that were kept, the same one possibly several times."""

    def __init__(self, parts: Sequence[str]) -> None:
        super().__init__()
        self.slices = slices(parts)

    def forward(self, frames: Tensor, lengths: Tensor) -> Encoded:
        """[B, T, D of all], zero beyond ``lengths`` [B] -> [B, T, D of these]."""
        return super().forward(torch.cat([frames[..., each] for each in self.slices], 2), lengths)


def slices(parts: Sequence[str]) -> list[slice]:
    """Where the frames of these encoders lie among those that are kept."""
    widths = material.WIDTHS
    ends = dict(zip(widths, accumulate(widths.values()), strict=True))
    return [slice(ends[name] - widths[name], ends[name]) for name in parts]


def captioner(row: Row, bart: BartDecoder) -> CaptionerModel:
    """Small, on the frames of the row's encoders; its decoder starts as ``bart`` is."""
    streams = tuple(material.WIDTHS[name] for name in row.parts)
    adapter = EdtcAdapterConfig(
        streams=streams,
        window=WINDOW,
        heads=material.HEADS,
        fuser_layers=FUSER if row.fuser else None,
        translator=TRANSLATOR if row.translator else None,
    )
    block = MaskingConfig()
    parts = Parts(
        Streams(row.parts),  # type: ignore[arg-type]
        EdtcAdapter(inputs=sum(streams), width=material.WIDTH, **adapter.keywords()),
        DIFFERENCES[block.name](width=material.WIDTH),
        deepcopy(bart),
    )
    decoder = material.decoder_config(bart.bart.model.shared.num_embeddings)
    return CaptionerModel(
        CaptionerConfig(adapter=adapter, difference=block, decoder=decoder), parts
    )
