"""What the captioner learns from: each sample decided by its index, each caption true to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from training.captions import grammar
from training.captions.lexicon import kinds_named, layout
from training.captions.tokenizer import MAX_TOKENS
from training.datasets.clotho.read import RenderableCaption
from training.datasets.recording import Samples
from training.losses import Captioning
from training.samples import pairs
from training.samples.collate import collate
from training.samples.pairs import Blend, CaptionPairs, Pair
from training.scenes.algorithm1 import Condition, Mixture, draw_mixture
from training.scenes.augment import power
from training.scenes.bank import SoundBank
from training.scenes.scene import Scene

RATE = 8000
BATCH = 4
HUMAN = "A dog barks while bells are ringing, and then rain falls."
TASKS = tuple(Blend().tasks)
Make = Callable[..., CaptionPairs]

# On a machine with one core PyTorch advises against two workers; from Python 3.12 on, forking a
# process that has threads warns.
workers_are_wanted = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create:UserWarning",
    "ignore:.*use of fork:DeprecationWarning",
)


def human() -> list[RenderableCaption]:
    return [RenderableCaption("a.wav", HUMAN, layout(HUMAN))]


@pytest.fixture
def make(bank: SoundBank, tokenizer: PreTrainedTokenizerFast) -> Make:
    """A fresh dataset; ``tasks`` are the shares."""

    def made(seed: int = 0, **changes: Any) -> CaptionPairs:
        tasks = changes.pop("tasks", None)
        blend = Blend(tasks=tasks) if tasks else None
        options = {"batch_size": BATCH, "human": human(), "blend": blend} | changes
        return CaptionPairs(bank, tokenizer, seed=seed, **options)

    return made


def same(one: Any, two: Any) -> bool:
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else one is two


def equal(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)


# Decided by seed and index -----------------------------------------------------------------------


def test_a_sample_is_decided_by_seed_and_index_alone(make: Make) -> None:
    first, second, other = make(), make(), make(seed=1)
    forwards = [first[i] for i in range(24)]
    backwards = [second[i] for i in reversed(range(24))][::-1]
    assert all(map(equal, forwards, backwards))
    assert not any(map(equal, forwards, forwards[1:]))
    assert not any(equal(forwards[i], other[i]) for i in range(24))


@workers_are_wanted
def test_worker_processes_make_the_same_samples(make: Make) -> None:
    data = make()
    some = Subset(data, range(4 * BATCH))
    batches = list(DataLoader(some, batch_size=BATCH, num_workers=2, collate_fn=collate))
    assert len(batches) == 4
    for number, batch in enumerate(batches):
        assert equal(batch, collate([data[BATCH * number + i] for i in range(BATCH)]))


# Shares ------------------------------------------------------------------------------------------


def test_every_task_occurs_at_its_share(make: Make) -> None:
    data, seen = make(), Counter()

    def task(name: str) -> Callable[[np.random.Generator, int], Pair]:
        def build(_rng: np.random.Generator, length: int) -> Pair:
            seen[name] += 1
            return Pair(np.zeros(length, np.float32), None, "")

        return build

    data.tasks = {name: task(name) for name in data.tasks}
    for index in range(4000):
        data.pair(index)
    shares = Blend().tasks
    assert sum(shares.values()) == pytest.approx(1)
    assert seen.keys() == shares.keys()
    for name, share in shares.items():
        assert seen[name] / 4000 == pytest.approx(share, abs=3.5 * (share / 4000) ** 0.5)


def test_every_condition_occurs_at_its_share(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[Condition] = Counter()

    def recorded(
        original: Samples, _bank: SoundBank, _present: list[str], condition: Condition, *_: Any
    ) -> Mixture:
        seen[condition] += 1
        return Mixture(original, original, Scene(len(original), ()))

    monkeypatch.setattr(pairs, "draw_mixture", recorded)
    data = make(tasks={"difference": 1.0})
    for index in range(500):
        data.pair(index)
    shares = Blend().conditions
    assert sum(shares.values()) == pytest.approx(1)
    for name, share in shares.items():
        assert seen[pairs.CONDITIONS[name]] / 500 == pytest.approx(share, abs=0.07)


def test_batches_share_a_length_of_5_s_or_sometimes_up_to_10(make: Make) -> None:
    data = make()
    data.tasks = {
        name: lambda _rng, length: Pair(np.ones(length, np.float32), None, "")
        for name in data.tasks
    }
    lengths = []
    for batch in range(400):
        first, last = (data.pair(BATCH * batch + i).input for i in (0, BATCH - 1))
        assert len(first) == len(last)
        lengths.append(len(first) / RATE)
    long = [seconds for seconds in lengths if seconds != 5]
    assert len(long) / 400 == pytest.approx(Blend().long_share, abs=0.07)
    assert 6 <= min(long) < 7
    assert 9 < max(long) <= 10


@pytest.mark.parametrize("task", [task for task in TASKS if task != "nothing"])
def test_inputs_are_as_long_as_their_batch(make: Make, task: str) -> None:
    data = make(tasks={task: 1.0})
    lengths = [len(data.pair(index).input) for index in range(4 * BATCH)]
    for batch in range(4):
        assert len(set(lengths[BATCH * batch : BATCH * (batch + 1)])) == 1


# Captions ----------------------------------------------------------------------------------------


class Watch:
    """Records what is drawn from a bank and what Algorithm 1 adds."""

    def __init__(self, data: CaptionPairs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = data
        self.drawn: list[str] = []
        self.scene: list[str] | None = None
        self.original: Samples | None = None
        self.mixture: Mixture | None = None
        draw = data.bank.draw

        def recorded_draw(*args: Any, **options: Any) -> tuple[str, Samples]:
            kind, samples = draw(*args, **options)
            self.drawn.append(kind)
            return kind, samples

        def recorded_mix(original: Samples, *args: Any) -> Mixture:
            self.scene = self.scene or list(self.drawn)
            self.original, self.mixture = original, draw_mixture(original, *args)
            return self.mixture

        monkeypatch.setattr(data.bank, "draw", recorded_draw)
        monkeypatch.setattr(pairs, "draw_mixture", recorded_mix)

    def pair(self, index: int) -> Pair:
        """The sample, with the records of nothing but it."""
        self.drawn.clear()
        self.scene = self.original = self.mixture = None
        return self.data.pair(index)

    @property
    def added(self) -> set[str]:
        """What the last mixture holds besides the scene."""
        assert self.mixture is not None
        return {sound.kind for sound in self.mixture.added.placed}


Watching = Callable[[str], Watch]


def named(caption: str) -> set[str]:
    return {mention.kind for mention in kinds_named(caption)}


@pytest.fixture
def watch(make: Make, monkeypatch: pytest.MonkeyPatch) -> Watching:
    return lambda task: Watch(make(tasks={task: 1.0}), monkeypatch)


def test_plain_captions_name_what_sounds(watch: Watching) -> None:
    watched = watch("plain")
    captions = set()
    for index in range(120):
        pair = watched.pair(index)
        assert pair.reference is None
        assert named(pair.caption) == set(watched.drawn)
        captions.add(pair.caption)
    assert HUMAN in captions
    assert len(captions) > 80


def test_difference_captions_name_the_original_scene_and_nothing_of_the_reference(
    watch: Watching,
) -> None:
    watched = watch("difference")
    for index in range(120):
        pair = watched.pair(index)
        assert pair.reference is not None
        assert named(pair.caption) == set(watched.scene)
        assert named(pair.caption).isdisjoint(watched.added)


def test_inverse_captions_name_what_was_added_and_nothing_of_the_scene(watch: Watching) -> None:
    watched = watch("inverse")
    for index in range(80):
        pair = watched.pair(index)
        assert named(pair.caption) == watched.added
        assert named(pair.caption).isdisjoint(watched.scene)
        heard = sum(
            power(sound.samples) * len(sound.samples) for sound in watched.mixture.added.placed
        )
        assert heard >= 0.099 * power(watched.original) * len(watched.original)


def test_unrelated_references_have_nothing_of_the_input(watch: Watching) -> None:
    watched = watch("unrelated")
    for index in range(60):
        pair = watched.pair(index)
        *scene, reference = watched.drawn
        assert pair.reference is not None
        assert named(pair.caption) == set(scene)
        assert reference not in scene


def test_nothing_captions_say_that_there_is_no_difference(watch: Watching) -> None:
    watched = watch("nothing")
    captions = set()
    for index in range(60):
        pair = watched.pair(index)
        assert pair.reference is not None
        assert grammar.is_no_difference(pair.caption)
        assert not named(pair.caption)
        captions.add(pair.caption)
    assert len(captions) >= 5


def test_silent_inputs_are_said_to_be_silent_or_no_different(watch: Watching) -> None:
    watched = watch("silent input")
    references = 0
    for index in range(80):
        pair = watched.pair(index)
        assert 10 * np.log10(power(pair.input) + 1e-12) < -59.5
        assert not named(pair.caption)
        if pair.reference is None:
            assert grammar.is_silence(pair.caption)
        else:
            references += 1
            assert grammar.is_no_difference(pair.caption)
            assert power(pair.reference) > 1e-6
    assert 10 < references < 40


def test_faint_inputs_are_not_said_to_be_wholly_silent(watch: Watching) -> None:
    watched = watch("silent input")
    rng = np.random.default_rng(0)
    silent, near = (
        {caption for _ in range(80) for caption in grammar.silence_captions(rng, 3, near=near)}
        for near in (False, True)
    )
    for index in range(60):
        pair = watched.pair(index)
        if pair.reference is None:
            assert pair.caption in (near if pair.input.any() else silent)


def test_silent_references_take_nothing_away(watch: Watching) -> None:
    watched = watch("silent reference")
    for index in range(40):
        pair = watched.pair(index)
        assert pair.reference is not None
        assert 10 * np.log10(power(pair.reference) + 1e-12) < -41.5
        assert named(pair.caption) == set(watched.drawn)


# Sound -------------------------------------------------------------------------------------------


@pytest.fixture
def as_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the random levels and the noise, so that sounds can be compared."""
    monkeypatch.setattr(pairs, "level", lambda samples, _rng: samples)


def scene_of(watched: Watch) -> Samples:
    assert watched.original is not None
    return watched.original


@pytest.mark.usefixtures("as_mixed")
def test_difference_input_is_the_scene_with_the_added_sounds(watch: Watching) -> None:
    watched = watch("difference")
    for index in range(30):
        pair = watched.pair(index)
        rest = pair.input.astype(np.float64)
        rest -= watched.mixture.added.mix()
        assert np.allclose(rest, scene_of(watched), atol=1e-5)


@pytest.mark.usefixtures("as_mixed")
def test_inverse_reference_is_the_scene(watch: Watching) -> None:
    watched = watch("inverse")
    for index in range(20):
        pair = watched.pair(index)
        assert np.array_equal(pair.reference, scene_of(watched))
        assert not np.array_equal(pair.reference, pair.input)


@pytest.mark.usefixtures("as_mixed")
def test_nothing_references_hold_all_that_the_input_holds(watch: Watching) -> None:
    """The same, the same moved in time, the same with more, or another clip of the same kind."""
    watched = watch("nothing")
    seen: Counter[str] = Counter()
    for index in range(200):
        pair = watched.pair(index)
        if watched.mixture is not None:
            assert np.array_equal(pair.reference, watched.mixture.input)
            assert np.array_equal(pair.input, scene_of(watched))
            seen["more"] += 1
        elif np.array_equal(pair.reference, pair.input):
            seen["same"] += 1
        elif np.array_equal(np.sort(pair.reference), np.sort(pair.input)):
            seen["moved"] += 1
        else:
            assert watched.drawn[-1] == watched.drawn[-2]
            seen["kind"] += 1
    assert seen["same"] / 200 == pytest.approx(0.45, abs=0.1)
    assert seen["moved"] / 200 == pytest.approx(0.15, abs=0.08)
    assert seen["more"] / 200 == pytest.approx(0.32, abs=0.1)
    assert seen["kind"] / 200 == pytest.approx(0.08, abs=0.06)


def test_samples_are_at_random_levels(make: Make) -> None:
    data = make(tasks={"difference": 1.0})
    found = [data.pair(index) for index in range(60)]
    peaks = [(np.abs(p.input).max(), np.abs(p.reference).max()) for p in found]
    decibels = 20 * np.log10(np.array(peaks))
    assert decibels.min() > -15.8  # where noise of -42 dB took some of a peak of -15 dB
    assert decibels.max() <= 0
    assert np.ptp(decibels[:, 0]) > 10
    assert np.abs(np.diff(decibels, axis=1)).max() > 5, "each side at a level of its own"


def test_rendered_captions_lay_their_sounds_out_in_the_order_of_the_words(
    bank: SoundBank, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dog and bells at once in the first half, rain in the second."""
    data = CaptionPairs(bank, tokenizer, batch_size=1, seed=0, human=human())
    scenes = []
    render = pairs.Scene.mix

    def recorded(scene: pairs.Scene) -> Samples:
        scenes.append(scene)
        return render(scene)

    monkeypatch.setattr(pairs.Scene, "mix", recorded)
    data.blend = Blend(tasks={"plain": 1.0})
    rendered = [i for i in range(60) if data.pair(i).caption == HUMAN]
    assert len(rendered) >= 4
    for scene in (scenes[i] for i in rendered):
        spans = {p.kind: (p.start, p.start + len(p.samples)) for p in scene.placed}
        assert spans.keys() == {"dog", "church_bells", "rain"}
        half = scene.length // 2
        assert spans["dog"] == spans["church_bells"] == (0, half)
        assert half <= spans["rain"][0] < spans["rain"][1] <= scene.length


# Tokens and batches ------------------------------------------------------------------------------


def test_tokens_start_and_end_and_spell_the_caption(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    data = make()
    for index in range(40):
        tokens = data[index]["tokens"]
        assert tokens.dtype == torch.int64
        assert tokens[0] == tokenizer.bos_token_id
        assert tokens[-1] == tokenizer.eos_token_id
        assert not (tokens[1:-1] < 3).any()
        assert len(tokens) <= MAX_TOKENS


def test_long_captions_are_cut_to_64_tokens_with_an_end(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    data = make()
    data.pair = lambda _index: Pair(np.zeros(8, np.float32), None, "Zyx, " * 100)
    tokens = data[0]["tokens"]
    assert len(tokens) == MAX_TOKENS
    assert tokens[0] == tokenizer.bos_token_id
    assert tokens[-1] == tokenizer.eos_token_id
    data.pair = lambda _index: Pair(np.zeros(8, np.float32), None, "A Dog, barks!")
    text = tokenizer.decode(data[0]["tokens"], skip_special_tokens=True)
    assert text.strip() == "a dog barks"


def test_collated_samples_go_through_the_captioner(make: Make, captioner: CaptionerModel) -> None:
    """Whatever is in a batch, the model takes it: with and without references."""
    for tasks in ({"plain": 1.0}, {"difference": 1.0}, None):
        batch = collate([make(tasks=tasks)[index] for index in range(BATCH)])
        assert Captioning(captioner).eval()(**batch)["loss"].isfinite()
