"""WebVTT and SubRip, as parsers of others read them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import srt as parser
import webvtt

from engine.subtitles import cue, srt, vtt

ENTRIES: list[dict[str, Any]] = [
    {"start_s": 0.0, "end_s": 1.28, "caption": "a dog is barking & a cat <meows> --> loudly"},
    {"start_s": 59.9999, "end_s": 61.5, "caption": "the birds are singing"},
    {"start_s": 7199.68, "end_s": 7200.0, "caption": "rain falls"},
]
SAID = ["[dog barking & cat <meows> --> loudly]", "[birds singing]", "[rain falls]"]


def test_webvtt() -> None:
    text = vtt(ENTRIES, ["It ends --> early & <so on>."])
    found = webvtt.from_string(text)
    assert [(one.start, one.end) for one in found] == [
        ("00:00:00.000", "00:00:01.280"),
        ("00:01:00.000", "00:01:01.500"),
        ("01:59:59.680", "02:00:00.000"),
    ]
    assert [one.raw_text for one in found] == [
        "[dog barking &amp; cat &lt;meows&gt; --&gt; loudly]", *SAID[1:]
    ]  # fmt: skip
    assert text.startswith("WEBVTT\n\nNOTE It ends --&gt; early &amp; &lt;so on&gt;.\n\n00:00")
    assert list(webvtt.from_string(vtt([]))) == []


def test_subrip() -> None:
    found = [*parser.parse(srt(ENTRIES))]
    assert [one.content for one in found] == SAID
    assert [one.index for one in found] == [1, 2, 3]
    assert found[1].start == timedelta(seconds=60)
    assert found[2].end == timedelta(hours=2)
    assert parser.compose(found) == srt(ENTRIES) + "\n"
    assert srt([]) == ""


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("a dog is barking", "[Dog barking]"),
        ("An engine and the wind are heard.", "[Engine and wind heard]"),
        ("theatre", "[Theatre]"),
        ("the", "[The]"),
    ],
)
def test_sentence_case_and_the_small_words(caption: str, said: str) -> None:
    assert cue(caption, sentence_case=True) == said
    assert cue(caption, sentence_case=False).lower() == said.lower()


def test_sentence_case_of_files() -> None:
    assert "[Birds singing]" in vtt(ENTRIES, sentence_case=True)
    assert "[Birds singing]" in srt(ENTRIES, sentence_case=True)
