"""Recordings decoded once: what is stored is what was decoded, and nothing else is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.recordings import tone, write
from training.scenes import store
from training.scenes.store import Source, build


def sources(folder: Path) -> list[Source]:
    return [
        Source(write(folder / "bark.wav", tone("Bark")), "bark", ("Bark", "Dog"), "one"),
        Source(write(folder / "rain.flac", tone("Rain", 0.5), 44_100), "rain", (), "two"),
    ]


def test_what_is_stored_is_what_was_decoded(tmp_path: Path) -> None:
    heard = build(tmp_path / "store", sources(tmp_path))
    bark, rain = heard.recordings
    assert (bark.name, bark.labels, bark.group) == ("bark", ("Bark", "Dog"), "one")
    assert rain.labels == ()
    assert len(heard) == 2
    np.testing.assert_allclose(heard.samples(0), tone("Bark"), rtol=0, atol=1e-4)
    assert len(heard.samples(1)) == pytest.approx(16_000 * 32_000 / 44_100, abs=2)
    assert heard.samples(1).dtype == np.float32


def test_it_is_written_once_and_anew_for_other_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = sources(tmp_path)
    build(tmp_path / "store", given)
    with monkeypatch.context() as patched:
        patched.setattr(store, "decode", lambda *_: pytest.fail("decoded again"))
        assert len(build(tmp_path / "store", given)) == 2
    assert len(build(tmp_path / "store", given[:1])) == 1


def test_esc50_is_taken_by_fold_and_called_as_audioset_does(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    rows = ["filename,fold,category,esc10", "a.wav,1,dog,True", "b.wav,4,dog,True"]
    rows += ["c.wav,3,can_opening,False"]
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(rows))
    found = store.esc50_sources(tmp_path, (1, 2, 3))
    assert [(one.name, one.labels, one.group) for one in found] == [
        ("ESC-50/a.wav", ("Bark",), "esc50-1"),
        ("ESC-50/c.wav", ("Can opening",), "esc50-3"),
    ]
    assert found[0].path == tmp_path / "audio" / "a.wav"


def test_of_the_real_recordings_a_twentieth_of_the_origins_chooses(tmp_path: Path) -> None:
    rows = ["file,labels,source,original_path,licence,credit,split"]
    rows += [f"audio/{i}-{cut}.wav,Bark;Dog,x,{i}.wav,CC0,,train"
             for i in range(300) for cut in range(2)]  # fmt: skip
    rows += ["audio/v.wav,Rain,y,v.wav,CC0,,validation"]
    (tmp_path / "sounds.csv").write_text("\n".join(rows))
    found = store.sound_sources(tmp_path)
    assert 0.9 < len(found) / 600 < 0.99
    names = {one.name for one in found}
    assert "sounds/audio/v.wav" not in names
    for i in range(300):
        assert len(names & {f"sounds/audio/{i}-{cut}.wav" for cut in range(2)}) in (0, 2)
