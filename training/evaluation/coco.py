"""The caption metrics of the field: BLEU, METEOR, ROUGE-L, CIDEr, SPICE, SPIDEr, SPIDEr-FL.

The scorers are those of ``pycocoevalcap``, the coco-caption toolkit; what is here feeds them as the
DCASE 2023 task 6A baseline does. The Penn Treebank tokenizer, METEOR and SPICE run on Java.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from threading import Lock, Timer

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.spice import spice
from pycocoevalcap.spice.spice import Spice
from pycocoevalcap.tokenizer import ptbtokenizer

from training.captions.wording import normalize_caption
from training.evaluation import fluency

METRICS = (
    *("BLEU1", "BLEU2", "BLEU3", "BLEU4", "METEOR"),
    *("ROUGE-L", "CIDEr", "SPICE", "SPIDEr", "SPIDEr-FL"),
)
FLUENCY_PENALTY = 0.1
"""What SPIDEr is multiplied by where the caption is not fluent (DCASE 2023)."""
TIMEOUT = 1800
"""Seconds after which the tokenizer and METEOR count as hung; METEOR needs some to load."""

_OPENED = ("java.lang", "java.math", "java.net", "java.text", "java.util", "java.util.concurrent")
"""Packages of Java that SPICE's cache looks into, which Java 17 and newer forbid unless asked."""

Tokenized = dict[int, list[str]]
"""Clip -> captions: what the scorers take. Numbers, because SPICE sorts its clips by name."""


@dataclass(frozen=True)
class Scores:
    """What ``score`` found, by the names of ``METRICS``."""

    corpus: dict[str, float | None]
    """Of the whole set. None: not installed."""
    per_clip: dict[str, dict[str, float]]
    """Metric -> clip -> value, of those installed. BLEU has none: it counts over the set. So does
    METEOR, but it has values of clips too; the others' corpus values are the means of these."""


def score(candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Scores:
    """Score one candidate per clip against its references.

    Captions are normalized (``normalize_caption``) and then tokenized. CIDEr is coco-caption's:
    clipped, with a Gaussian penalty (sigma 6) on the difference in length, times 10, which makes it
    CIDEr-D in all but name. Its weights are the inverse document frequencies in these very
    references, so that a value belongs to its set of clips, and is 0 in a set of one. SPIDEr is the
    mean of CIDEr and SPICE. A candidate may be empty.

    Raises:
        ValueError: nothing to score; candidates and references are of different clips; a clip has
            no references, or one without a word.
        RuntimeError: Java is missing or failed.
        subprocess.TimeoutExpired: the tokenizer hung.
    """
    _check(candidates, references)
    hypotheses, truths = _tokenized(candidates, references)
    bleu, _ = Bleu(4).compute_score(truths, hypotheses, verbose=0)
    corpus: dict[str, float | None] = dict.fromkeys(METRICS)
    corpus.update({f"BLEU{n}": float(value) for n, value in enumerate(bleu, start=1)})
    corpus["METEOR"], meteor = _meteor(truths, hypotheses)
    values = {
        "METEOR": meteor,
        "ROUGE-L": Rouge().compute_score(truths, hypotheses)[1],
        "CIDEr": Cider().compute_score(truths, hypotheses)[1],
    }
    if spice_installed():
        values["SPICE"] = _spice(truths, hypotheses)
        pairs = zip(values["CIDEr"], values["SPICE"], strict=True)
        values["SPIDEr"] = [fmean(pair) for pair in pairs]
        if detector := fluency.load():
            errors = detector.errors([normalize_caption(text) for text in candidates.values()])
            values["SPIDEr-FL"] = [
                FLUENCY_PENALTY * value if error else value
                for value, error in zip(values["SPIDEr"], errors, strict=True)
            ]
    per_clip = {
        metric: dict(zip(candidates, map(float, of_clips), strict=True))
        for metric, of_clips in values.items()
    }
    means = {metric: fmean(of.values()) for metric, of in per_clip.items() if metric != "METEOR"}
    return Scores({**corpus, **means}, per_clip)


def spice_installed() -> bool:
    """Whether SPICE's parser, Stanford CoreNLP 3.6.0, lies in pycocoevalcap's ``spice/lib``.

    ``python -m pycocoevalcap.spice.get_stanford_models`` puts it there. Nothing here does.
    """
    jars = Path(spice.__file__).parent / "lib"
    return all((jars / f"stanford-corenlp-3.6.0{part}.jar").is_file() for part in ("", "-models"))


def _check(candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> None:
    if not candidates and not references:
        raise ValueError("there is nothing to score")
    for one, other, name in (
        (candidates, references, "references"),
        (references, candidates, "candidate"),
    ):
        if missing := [clip for clip in one if clip not in other]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ValueError(f"no {name} for {', '.join(map(repr, missing[:3]))}{more}")
    if shutil.which("java") is None:
        raise RuntimeError(
            "METEOR and the tokenizer need Java, and there is no java on the PATH: "
            "install a Java runtime (Debian and Ubuntu: apt install default-jre-headless)"
        )


def _tokenized(
    candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[Tokenized, Tokenized]:
    """Candidates and references, in the order of the candidates, in one run of the tokenizer."""
    tokens = iter(
        _tokenize([text for clip in candidates for text in (candidates[clip], *references[clip])])
    )
    hypotheses: Tokenized = {}
    truths: Tokenized = {}
    for number, clip in enumerate(candidates):
        hypotheses[number] = [next(tokens)]
        truths[number] = [next(tokens) for _ in references[clip]]
        if not truths[number] or "" in truths[number]:
            raise ValueError(f"{clip!r} needs at least one reference, and none without words")
    return hypotheses, truths


def _tokenize(captions: Sequence[str]) -> list[str]:
    """Each caption's tokens, joined by spaces: what ``PTBTokenizer`` makes of it.

    Runs its jar without it, because it writes into its own package, leaves its file there when it
    fails, and takes the output of a Java that failed for complete.
    """
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    program = ("-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer")
    run = subprocess.run(
        ["java", *program, "-preserveLines", "-lowerCase"],
        # A caption is one line, because normalizing leaves no other white space than spaces in it.
        input="".join(f"{normalize_caption(caption)}\n" for caption in captions),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    lines = run.stdout.split("\n")[:-1]
    if run.returncode != 0 or len(lines) != len(captions):
        raise RuntimeError(f"the tokenizer's Java failed: {run.stderr.strip()}")
    return [
        " ".join(word for word in line.split(" ") if word not in ptbtokenizer.PUNCTUATIONS)
        for line in lines
    ]


def _meteor(references: Tokenized, candidates: Tokenized) -> tuple[float, list[float]]:
    """The whole set's METEOR and each clip's. ``Meteor`` leaves a hung or dead Java to its caller.

    Raises:
        RuntimeError: Java failed or hung.
    """
    scorer = Meteor()
    java = scorer.meteor_p
    watchdog = Timer(TIMEOUT, java.kill)
    watchdog.start()
    try:
        whole, of_clips = scorer.compute_score(references, candidates)
    except (OSError, ValueError) as error:  # a pipe without a reader, a line that is no number
        java.kill()
        said = java.communicate()[1].decode(errors="replace").strip()
        raise RuntimeError(f"METEOR's Java failed: {said}") from error
    finally:
        watchdog.cancel()
        watchdog.join()
        java.kill()
        java.communicate()  # closes the pipes
        # What fails in compute_score keeps the lock, and __del__ would wait for it forever.
        scorer.lock = Lock()
    return whole, of_clips


def _spice(references: Tokenized, candidates: Tokenized) -> list[float]:
    """Each clip's SPICE.

    Raises:
        RuntimeError: Java failed.
    """
    try:
        with _java_opened():
            _, of_clips = Spice().compute_score(references, candidates)
    except subprocess.CalledProcessError as error:
        raise RuntimeError("SPICE's Java failed; it said why on standard error") from error
    return [categories["All"]["f"] for categories in of_clips]


@contextmanager
def _java_opened() -> Iterator[None]:
    """Let Java programs started here look into ``_OPENED``; Java 8 ignores the variable."""
    given = os.environ.get("JDK_JAVA_OPTIONS")
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
    os.environ["JDK_JAVA_OPTIONS"] = " ".join([*opened, given or ""]).strip()
    try:
        yield
    finally:
        del os.environ["JDK_JAVA_OPTIONS"]
        if given is not None:
            os.environ["JDK_JAVA_OPTIONS"] = given
