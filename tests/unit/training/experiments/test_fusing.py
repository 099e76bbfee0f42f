"""The rows of EDTC's ablation in miniature, from scenes to report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.encoders.mobilenet import Trunk
from model.published import yamnet
from tests.support.networks import tagger
from training import __main__ as command
from training.evaluation import coco
from training.experiments import fusing, fusing_material, fusing_report, probing
from training.experiments.esc_scenes import Roots
from training.experiments.fusing import Streams
from training.experiments.testing import PER_CLIP
from training.recipes import edtc

DOCS = Path(__file__).parents[4] / "docs"


def scored(candidates: dict[str, str], references: dict[str, tuple[str, ...]]) -> coco.Scores:
    """What stands in for the metrics, which have tests of their own and take Java."""
    assert candidates.keys() == references.keys()
    corpus = {metric: 0.5 for metric in coco.METRICS if metric != "SPICE"}
    return coco.Scores(corpus, {metric: dict.fromkeys(candidates, 0.5) for metric in PER_CLIP})


@pytest.mark.usefixtures("_few")
def test_a_study_is_done_once_and_reported(
    roots: Roots,
    tmp_path: Path,
    captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {"STEPS": 2, "CHECKS": 2}.items():
        monkeypatch.setattr(fusing, name, value)
    for name, value in {
        "BART_STEPS": 1, "TEXT_STEPS": 1, "BATCH": 2, "WIDTH": 8, "FFN": 8, "HEADS": 2,
        "WIDTHS": {"mobilenet": captioner.encoder.width, "efficientat": 384, "yamnet": 1024},
    }.items():  # fmt: skip
        monkeypatch.setattr(fusing_material, name, value)
    monkeypatch.setattr(probing, "LEAST", 1)
    rows = ("mobilenet", "efficientat", "yamnet", "best-translator", "fuser-twin")
    monkeypatch.setattr(fusing, "PROBED", rows[:3])
    for module in (fusing, fusing_report):
        monkeypatch.setattr(module, "ROWS", {name: fusing.ROWS[name] for name in rows})
    monkeypatch.setattr(coco, "score", scored)
    monkeypatch.setattr(
        fusing, "baseline_search", lambda **_: baseline_search(max_length=10, num_beams=2)
    )
    monkeypatch.setattr(edtc, "BASE", tmp_path / "base")
    checkpoint.save(tmp_path / "base", captioner, tokenizer, baseline_search(max_length=10))
    torch.save(tagger().state_dict(), tmp_path / "teacher.pt")
    monkeypatch.setattr(yamnet, "installed", lambda: tmp_path / "yamnet.zip")
    monkeypatch.setattr(yamnet, "read_trunk", lambda _: Trunk().state_dict())
    page = tmp_path / "fused.md"
    page.write_text(f"before\n{fusing_report.START}\nold\n{fusing_report.END}\nafter\n")
    arguments = [
        *("--esc50", str(roots.esc50), "--sounds", str(roots.sounds)),
        *("--clotho", str(roots.clotho), "--audiocaps", str(roots.audiocaps)),
        *("--encoder", str(tmp_path / "teacher.pt"), "--seeds", "2"),
        *("--output", str(tmp_path / "study"), "--docs", str(tmp_path)),
    ]

    def run(*more: str) -> str:
        monkeypatch.setattr("sys.argv", ["training", "reproduce", *more, *arguments])
        command.main()
        return capsys.readouterr().out

    run("edtc", "report", "--part", "3/5")
    results = tmp_path / "study" / "results"
    alone = {f"{name}-0" for name in fusing.ALL}
    assert {path.stem for path in results.iterdir()} == alone | {
        "best-translator-0", "best-translator-1",
    }, "which is best alone is found first"  # fmt: skip
    first = (results / "mobilenet-0.json").stat().st_mtime_ns

    run("edtc", "report")
    assert {path.stem for path in results.iterdir()} == {
        "bundled-0",
        "probe-0",
        *(f"{row}-{n}" for row in rows for n in (0, 1)),
    }
    assert (results / "mobilenet-0.json").stat().st_mtime_ns == first, "it was done"
    found = {path.stem: json.loads(path.read_text()) for path in results.iterdir()}
    lowest = min(
        [f"{name}-0" for name in fusing.ALL],
        key=lambda name: min(loss for _, loss in found[name]["validation"]),
    )
    assert found["best-translator-1"]["parts"] == [lowest.removesuffix("-0")]
    assert [step for step, _ in found["fuser-twin-0"]["validation"]] == [1, 2]
    assert {*found["fuser-twin-0"]["scores"]} == {"human", "grammar"}
    assert {*found["fuser-twin-0"]["validated"]["scores"]} == {"human", "grammar"}
    assert {*found["bundled-0"]["scores"]} == {"human", "grammar"}
    assert not list((tmp_path / "study" / "runs").iterdir())
    text = page.read_text()
    assert text.startswith(f"before\n{fusing_report.START}\n10 runs of 2 steps")
    assert text.endswith(f"{fusing_report.END}\nafter\n")
    assert "| fuser-twin | 2 |" in text
    assert "TRANSLATOR: behind the best alone" in text
    assert "TRANSLATOR: behind FUSER" not in text, "there are no rows of it"
    assert "| bundled | 1 | 0.500 | " in text
    assert re.search(r"^\| yamnet \| [01]\.\d{3} \| [+-]\d\.\d{3} \(", text, re.MULTILINE)
    assert (tmp_path / "images" / "fused.png").stat().st_size > 1000
    assert "seed" not in run("edtc", "report"), "nothing was left to do"


def test_a_row_hears_the_encoders_it_names() -> None:
    frames = torch.arange(3.0).repeat_interleave(torch.tensor([384, 384, 1024]))
    frames = frames.expand(2, 4, -1)

    def heard(*parts: str) -> Tensor:
        return Streams(parts)(frames, torch.tensor([4, 3])).frames[0, 0]

    assert heard("yamnet").tolist() == [2.0] * 1024
    assert heard("efficientat", "mobilenet").tolist() == [1.0] * 384 + [0.0] * 384
    assert heard(*["mobilenet"] * 3).tolist() == [0.0] * 3 * 384


def result(
    row: str, seed: int, cider: float = 0.1, parts: tuple[str, ...] = ("yamnet",), loss: float = 1.5
) -> dict[str, object]:
    scores = dict.fromkeys((*fusing_report.METRICS,), cider)
    return {
        "row": row, "seed": seed, "parts": parts, "steps": 9, "parameters": 10, "learnt_s": 60,
        "losses": [[1, 2.0]], "validation": [[5, loss + 0.1], [9, loss]],
        "scores": {"human": scores},
        "per_clip": {"human": {name: [cider] * 30 for name in fusing_report.COMPARED}},
    }  # fmt: skip


def test_gains_are_of_the_seeds_that_both_have() -> None:
    some = [result("yamnet", seed, 0.2) for seed in range(3)]
    some += [result("best-translator", 0, 0.3), result("concat", 0, 0.1), result("concat", 2, 0.1)]
    summary = fusing_report.summarize(some)
    assert summary["best"] == "yamnet"
    found = {gain["what"]: gain for gain in summary["gains"]}
    ensemble = found["the ensemble: three joined linearly over the best alone"]
    assert (ensemble["seeds"], ensemble["CIDEr"]["mean"]) == ([0, 2], -0.1)
    text = fusing_report.text(summary)
    assert "| TRANSLATOR: behind the best alone | 1 | +0.100 (+0.100 to +0.100) |" in text
    assert "(-0.100 to -0.100) | the reverse |" in text
    assert "| best-translator | HTSAT + TRANSLATOR | 0.182 | 0.450 |" in text


def test_the_bundled_recipe_is_held_against_every_row_on_validation() -> None:
    some = [result("mobilenet", seed, loss=2.0) for seed in range(3)]
    some += [result("fuser", 0, loss=1.9), result("fuser", 2, loss=2.2)]
    text = fusing_report.text(fusing_report.summarize(some))
    assert "| fuser | +0.050 | -0.100 | +0.200 |" in text
    assert "| mobilenet | +0" not in text


def test_what_is_said_of_the_validation_is_held_against_the_bundled_encoder() -> None:
    some = [result("mobilenet", seed, 0.2) for seed in range(3)]
    some += [result("fuser", 0, 0.1), result("fuser", 2, 0.3), result("concat", 0, 0.4)]
    for seed, one in enumerate(some[:5]):  # concat was run before it was asked
        one["validated"] = result("", 0, 0.05 * (seed + 1))
    some.append(result("bundled", 0, 0.15) | {"validated": result("", 0, 0.12)})
    text = fusing_report.text(fusing_report.summarize(some))
    table = text.partition("What is said of the validation's human scenes")[2]
    table = table.partition("The paper's figures")[0]
    assert "| bundled | 1 | 0.120 | 0.120 | 0.150 | 0.150 |  |  |" in table
    assert "| mobilenet | 3 | 0.100 | 0.100 | 0.200 | 0.200 |  |  |" in table
    # seeds 0 and 2 of both: 0.20 less 0.05, 0.25 less 0.15
    assert "| fuser | 2 | 0.225 | 0.225 | 0.200 | 0.200 | +0.125 (" in table
    assert "concat" not in table


def test_the_page_says_what_the_kept_figures_say() -> None:
    summary = json.loads((DOCS / "fused.json").read_text())
    page = (DOCS / "fused.md").read_text()
    made = page.partition(fusing_report.START)[2].partition(fusing_report.END)[0]
    assert made == f"\n{fusing_report.text(summary)}\n"
