"""The benchmark of precision: what counts as the same, and what it says of the processor."""

from __future__ import annotations

import pytest

from benchmarks.precision.__main__ import Run, agreeing, native_bfloat16, table


def test_captions_agree_clip_by_clip() -> None:
    assert agreeing(["a", "b", "c"], ["a", "c", "c"]) == 2
    with pytest.raises(ValueError, match="shorter"):
        agreeing(["a", "b"], ["a"])


@pytest.mark.parametrize(("wrong", "verdict"), [(1, "reached"), (2, "MISSED")])
def test_the_verdict_is_on_both_halves_of_the_model(wrong: int, verdict: str) -> None:
    plain = [str(number) for number in range(100)]
    other = ["?"] * wrong + plain[wrong:]
    runs = {
        ("float32", "float32"): Run(plain, 1.0, 4.0),
        ("bfloat16", "float32"): Run(["?"] * 100, 1.0, 1.0),
        ("bfloat16", "bfloat16"): Run(other, 2.0, 1.0),
        ("float16", "float16"): Run(plain, 1.0, 1.0),
    }
    lines = table(runs)
    assert lines[-2:] == [
        f"Wanted of bfloat16 in both: at least 99%, {verdict}.",
        "Wanted of float16 in both: at least 99%, reached.",
    ]
    assert f"| {100 - wrong} of 100 | {100 - wrong}.00% | 20.00 | 0.50 | 10.00 | 4.00 |" in lines[4]


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile", "amx_bf16, avx512_bf16"),
        ("flags\t\t: fpu avx2 avx512f avx512bw", ""),
        ("Features\t: fp asimd bf16", "bf16"),
        ("bugs\t\t: bf16\nmodel name\t: amx_bf16", ""),
    ],
)
def test_native_bfloat16_is_read_off_the_flags(flags: str, native: str) -> None:
    assert native_bfloat16(f"processor\t: 0\n{flags}\n\nprocessor\t: 1\n{flags}\n") == native
