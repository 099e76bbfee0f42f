"""Caption metrics: values worked out by hand, and what happens where a program is missing."""

from __future__ import annotations

import gc
import math
import os
import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from training.captions.wording import normalize_caption
from training.evaluation import coco as metrics
from training.evaluation.coco import METRICS, Scores, score

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="there is no java")

CANDIDATES = {
    "dog": "A dog barks.",
    "rain": "rain pours",
    "birds": "Birds sing in the trees!",
}
REFERENCES = {
    "dog": ["a dog barks loudly", "the dog barks"],
    "rain": ["Rain falls on a roof."],
    "birds": ["birds sing in trees", "many birds sing in the morning"],
}


@pytest.fixture(autouse=True)
def no_spice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without SPICE's parser; touching SPICE all the same is an error."""
    monkeypatch.setattr(metrics, "spice_installed", lambda: False)
    monkeypatch.setattr(metrics, "Spice", None)
    monkeypatch.setattr(metrics.fluency, "load", lambda: None)


@pytest.fixture
def no_meteor(monkeypatch: pytest.MonkeyPatch) -> None:
    """METEOR needs many seconds to start, and most tests are not about it."""
    monkeypatch.setattr(metrics, "_meteor", lambda _, of: (0.5, [0.5] * len(of)))


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty program that is found as java; to be written."""
    program = tmp_path / "java"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return program


# Values ------------------------------------------------------------------------------------------


@needs_java
@pytest.mark.usefixtures("no_meteor")
def test_bleu_by_hand() -> None:
    """Candidates have 3 + 2 + 5 = 10 words, the references closest in length 3 + 5 + 4 = 12.

    (Of the birds', 4 and 6 are equally close to 5, and the shorter counts.) N-grams that occur in a
    reference, of all:
    1: a, dog, barks; rain, not pours; birds, sing, in, the, trees              (3 + 1 + 5) / 10
    2: a dog, dog barks; none; birds sing, sing in, in the, not the trees       (2 + 0 + 3) / 7
    3: a dog barks; -; birds sing in, sing in the, not in the trees             (1 + 0 + 2) / 4
    4: -; -; birds sing in the, not sing in the trees                           (0 + 0 + 1) / 2
    """
    found = score(CANDIDATES, REFERENCES).corpus
    brevity = math.exp(1 - 12 / 10)
    assert found["BLEU1"] == pytest.approx(brevity * 9 / 10)
    assert found["BLEU2"] == pytest.approx(brevity * (9 / 10 * 5 / 7) ** (1 / 2))
    assert found["BLEU3"] == pytest.approx(brevity * (9 / 10 * 5 / 7 * 3 / 4) ** (1 / 3))
    assert found["BLEU4"] == pytest.approx(brevity * (9 / 10 * 5 / 7 * 3 / 4 * 1 / 2) ** (1 / 4))


@needs_java
@pytest.mark.usefixtures("no_meteor")
def test_rouge_by_hand() -> None:
    """The best precision and the best recall, each over all references; beta is 1.2.

    dog: all 3 words, of 3, follow each other in the first reference of 4 words
    rain: 1 word of 2, in 5
    birds: 4 words of 5, in the first reference of 4 words
    """

    def f(precision: float, recall: float) -> float:
        return (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)

    found = score(CANDIDATES, REFERENCES)
    expected = {"dog": f(3 / 3, 3 / 4), "rain": f(1 / 2, 1 / 5), "birds": f(4 / 5, 4 / 4)}
    assert found.per_clip["ROUGE-L"] == pytest.approx(expected)
    assert found.corpus["ROUGE-L"] == pytest.approx(sum(expected.values()) / 3)


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D as Vedantam et al. (2015) define it, of texts that are tokens with spaces between."""

    def grams(text: str, n: int) -> Counter[tuple[str, ...]]:
        words = text.split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    def similarity(candidate: str, reference: str, n: int) -> float:
        def weigh(text: str) -> dict[tuple[str, ...], float]:
            return {
                gram: count * math.log(len(references) / max(1, documents[gram]))
                for gram, count in grams(text, n).items()
            }

        documents = Counter(
            g for texts in references for g in set().union(*(grams(t, n) for t in texts))
        )
        one, other = weigh(candidate), weigh(reference)
        norms = math.hypot(*one.values()) * math.hypot(*other.values())
        product = sum(
            min(one[gram], other[gram]) * other[gram] for gram in one.keys() & other.keys()
        )
        return product / norms if norms else 0.0

    return [
        10
        * sum(
            similarity(candidate, text, n)
            * math.exp(-((len(candidate.split()) - len(text.split())) ** 2) / (2 * 6**2))
            for text in texts
            for n in (1, 2, 3, 4)
        )
        / (4 * len(texts))
        for candidate, texts in zip(candidates, references, strict=True)
    ]


@needs_java
@pytest.mark.usefixtures("no_meteor")
def test_cider_is_cider_d() -> None:
    found = score(CANDIDATES, REFERENCES)
    expected = cider_d(
        [normalize_caption(text) for text in CANDIDATES.values()],
        [[normalize_caption(text) for text in texts] for texts in REFERENCES.values()],
    )
    assert found.per_clip["CIDEr"] == pytest.approx(dict(zip(CANDIDATES, expected, strict=True)))
    assert found.corpus["CIDEr"] == pytest.approx(sum(expected) / 3)


@needs_java
@pytest.mark.usefixtures("no_meteor")
def test_cider_by_hand() -> None:
    """Of "rain pours" only the word rain is in its reference, "rain falls on a roof".

    Words weigh ln(3 clips / clips whose references have it): all ln 3, but a, which is among the
    dog's references too, ln(3 / 2). The lengths differ by 3 words; 2, 3 and 4-grams have nothing in
    common, so that a quarter of the cosine is left, times 10.
    """
    rare, common = math.log(3), math.log(3 / 2)
    cosine = rare * rare / (math.hypot(rare, rare) * math.hypot(rare, rare, rare, rare, common))
    found = score(CANDIDATES, REFERENCES).per_clip["CIDEr"]["rain"]
    assert found == pytest.approx(10 / 4 * cosine * math.exp(-(3**2) / (2 * 6**2)))


@needs_java
@pytest.mark.usefixtures("no_meteor")
def test_a_clip_alone_has_no_cider() -> None:
    """Every word of its references occurs in all of one clip's references."""
    assert score({"a": "a dog barks"}, {"a": ["a dog barks"]}).corpus["CIDEr"] == 0


TREES = ["wind blows through the trees"]
ODD = {
    "same": ("rain falls on a roof", ["rain falls on a roof", "it rains"]),
    "pair": ("a dog barks", ["a dog is barking"]),
    "stem": ("a car passes by", ["a car passing by"]),
    "empty": ("", ["a dog barks", "rain falls"]),
    "marks": (" .?! \n", ["a dog barks"]),
    "unicode": ("Un café, “naïve” — ветер 😀", ["un café naïve ветер"]),
    "plain": ("wind in the trees", TREES),
    "lines": ("wind\nin\r\nthe\ttrees\n", TREES),
    "more lines": ("\u2028wind\x0bin\x0cthe\x85trees\x1c", TREES),
    "bars": ("||| wind ||| in the||| trees |||", ["|||wind blows||| through\nthe trees"]),
}
"""What a line protocol could stumble over."""


@pytest.fixture(scope="module")
def odd() -> Scores:
    """METEOR itself, started once. A pipe that it left open would warn, which is an error."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(metrics, "spice_installed", lambda: False)
        found = score(
            {clip: candidate for clip, (candidate, _) in ODD.items()},
            {clip: references for clip, (_, references) in ODD.items()},
        )
    gc.collect()
    return found


@needs_java
def test_meteor_by_hand(odd: Scores) -> None:
    """Denkowski and Lavie (2014): alpha 0.85, beta 0.2, gamma 0.6, and 0.75 for content words.

    pair: "a" (a function word) and "dog" (content) are found, in one piece. The jar misses the stem
    that barks and barking share: where a synonym is the same pair of words, neither counts.
    stem: all four words, in one piece that is the whole, "passes" by its stem, which counts 0.6.
    """
    precision = (0.75 * 1 + 0.25 * 1) / (0.75 * 2 + 0.25 * 1)
    recall = (0.75 * 1 + 0.25 * 1) / (0.75 * 2 + 0.25 * 2)
    mean = precision * recall / (0.85 * precision + 0.15 * recall)
    penalty = 0.6 * (1 / 2) ** 0.2
    meteor = odd.per_clip["METEOR"]
    assert meteor["same"] == 1
    assert meteor["pair"] == pytest.approx(mean * (1 - penalty))
    assert meteor["stem"] == pytest.approx((0.75 * (1 + 0.6) + 0.25 * 2) / (0.75 * 2 + 0.25 * 2))


@needs_java
def test_meteor_of_the_whole_set(odd: Scores) -> None:
    """What the jar says; not the mean of its clips."""
    assert odd.corpus["METEOR"] == pytest.approx(0.321146, abs=1e-6)


@needs_java
def test_odd_white_space_and_bars_change_nothing(odd: Scores) -> None:
    for metric in ("METEOR", "ROUGE-L"):
        of_clips = odd.per_clip[metric]
        assert 0 < of_clips["plain"] < 1
        assert of_clips["lines"] == of_clips["more lines"] == of_clips["bars"] == of_clips["plain"]


@needs_java
def test_an_empty_candidate_scores_nothing(odd: Scores) -> None:
    for of_clips in odd.per_clip.values():
        assert of_clips["empty"] == of_clips["marks"] == 0


@needs_java
def test_unicode_is_kept(odd: Scores) -> None:
    """Quotes, the dash and the face are no words to the tokenizer."""
    assert odd.per_clip["METEOR"]["unicode"] == 1
    assert odd.per_clip["ROUGE-L"]["unicode"] == pytest.approx(1)


@needs_java
def test_tokens_are_those_of_the_package() -> None:
    captions = [
        "A man can't stop, and he's gonna cannot (really) stop!",
        "",
        "The 2nd car's horn: 10:30 p.m. - $5 & 1/2 #x",
        "",
        "“Wind” … über den Bäumen — ветер; naïve café's",
        "...",
        "rain",
    ]
    normal = [normalize_caption(caption) for caption in captions]
    expected = PTBTokenizer().tokenize({0: [{"caption": caption} for caption in normal]})[0]
    assert metrics._tokenize(captions) == expected


# SPICE -------------------------------------------------------------------------------------------


def test_spice_needs_both_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(metrics.spice, "__file__", str(tmp_path / "spice.py"))
    (tmp_path / "lib").mkdir()
    assert not metrics.spice_installed()
    (tmp_path / "lib" / "stanford-corenlp-3.6.0.jar").touch()
    assert not metrics.spice_installed()
    (tmp_path / "lib" / "stanford-corenlp-3.6.0-models.jar").touch()
    assert metrics.spice_installed()


@needs_java
@pytest.mark.usefixtures("no_meteor")
def test_without_spice_the_others_are_there() -> None:
    found = score(CANDIDATES, REFERENCES)
    assert tuple(found.corpus) == METRICS
    absent = {name for name, value in found.corpus.items() if value is None}
    assert absent == {"SPICE", "SPIDEr", "SPIDEr-FL"}
    assert found.per_clip.keys() == {"METEOR", "ROUGE-L", "CIDEr"}
    assert found.corpus["METEOR"] == 0.5


class FakeSpice:
    """Answers as the package does, in sorted order: a tenth of the words a candidate has."""

    def compute_score(
        self, references: dict[int, list[str]], candidates: dict[int, list[str]]
    ) -> tuple[float, list[dict[str, dict[str, float]]]]:
        assert "--add-opens=java.base/java.util=ALL-UNNAMED" in os.environ["JDK_JAVA_OPTIONS"]
        assert references.keys() == candidates.keys()
        shares = [len(candidates[clip][0].split()) / 10 for clip in sorted(candidates)]
        return 0.0, [{"All": {"f": share}, "Size": {"f": 0.0}} for share in shares]


class FakeDetector:
    def errors(self, captions: Sequence[str]) -> list[bool]:
        return [caption.endswith(" and") for caption in captions]


@needs_java
@pytest.mark.usefixtures("no_meteor")
@pytest.mark.parametrize("given", [None, "-Dx=y"])
def test_spider(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """Twelve clips, so that the order of their numbers is not that of their names."""
    monkeypatch.setattr(metrics, "spice_installed", lambda: True)
    monkeypatch.setattr(metrics, "Spice", FakeSpice)
    monkeypatch.delenv("JDK_JAVA_OPTIONS", raising=False)
    if given:
        monkeypatch.setenv("JDK_JAVA_OPTIONS", given)
    candidates = {
        f"clip {i}": "word " * (i % 5) + ("and" if i % 3 else "") for i in range(12, 0, -1)
    }
    candidates["clip 7"] = "Words, and..."
    references = {clip: [f"word {clip}"] for clip in candidates}

    found = score(candidates, references)
    assert os.environ.get("JDK_JAVA_OPTIONS") == given
    assert found.corpus["SPIDEr-FL"] is None
    spice = {clip: len(text.split()) / 10 for clip, text in candidates.items()}
    assert found.per_clip["SPICE"] == pytest.approx(spice)
    spider = {clip: (found.per_clip["CIDEr"][clip] + spice[clip]) / 2 for clip in candidates}
    assert found.per_clip["SPIDEr"] == pytest.approx(spider)
    assert found.corpus["SPICE"] == pytest.approx(sum(spice.values()) / 12)
    assert found.corpus["SPIDEr"] == pytest.approx(sum(spider.values()) / 12)

    monkeypatch.setattr(metrics.fluency, "load", FakeDetector)
    found = score(candidates, references)
    ends = {clip: normalize_caption(text).endswith(" and") for clip, text in candidates.items()}
    assert ends["clip 7"]
    assert len(set(ends.values())) == 2
    fluent = {clip: spider[clip] * (0.1 if ends[clip] else 1) for clip in candidates}
    assert found.per_clip["SPIDEr-FL"] == pytest.approx(fluent)
    assert found.corpus["SPIDEr-FL"] == pytest.approx(sum(fluent.values()) / 12)
    assert found.corpus["SPIDEr"] == pytest.approx(sum(spider.values()) / 12)


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        ({}, {}, "nothing to score"),
        ({"a": "x"}, {}, "no references for 'a'"),
        ({"a": "x"}, {"a": ["x"], "b": ["y"]}, "no candidate for 'b'"),
        (
            {str(i): "x" for i in range(9)},
            {"0": ["x"]},
            "no references for '1', '2', '3' and 5 more",
        ),
    ],
)
def test_clips_on_one_side_only(
    candidates: dict[str, str], references: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        score(candidates, references)


@needs_java
@pytest.mark.parametrize("texts", [[], [""], ["a dog", "..."], ["“ ”"]])
def test_references_have_words(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="'b' needs at least one reference"):
        score({"a": "x", "b": "y"}, {"a": ["x"], "b": texts})


def test_no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="install a Java runtime"):
        score(CANDIDATES, REFERENCES)


@pytest.mark.parametrize(
    "program",
    ["echo no memory >&2; exit 1", "echo no memory >&2; cat >/dev/null; echo one line, not eight"],
)
def test_the_tokenizers_java_fails(java: Path, program: str) -> None:
    java.write_text(f"#!/bin/sh\n{program}\n")
    with pytest.raises(RuntimeError, match="tokenizer's Java failed: no memory"):
        score(CANDIDATES, REFERENCES)


@pytest.mark.parametrize(
    "program",
    [
        "echo no memory >&2; exit 1",
        "echo no memory >&2; while read -r line; do echo no number; done",
        "echo no memory >&2; while read -r line; do :; done",  # never answers
    ],
)
@pytest.mark.parametrize("clips", [1, 5000])
def test_meteors_java_fails(
    java: Path, monkeypatch: pytest.MonkeyPatch, program: str, clips: int
) -> None:
    """Whatever was written to it, and however much of that is still in the pipe."""
    java.write_text(f"#!/bin/sh\n{program}\n")
    monkeypatch.setattr(metrics, "TIMEOUT", 0.5)
    before = threading.active_count()
    captions = {clip: ["a dog barks " * 10] for clip in range(clips)}
    with pytest.raises(RuntimeError, match="METEOR's Java failed: no memory"):
        metrics._meteor(captions, captions)
    gc.collect()
    assert threading.active_count() == before
