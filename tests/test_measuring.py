"""A measurement changes nothing: it gives the same result twice, and validation does not affect training."""

import threading
from dataclasses import replace

import pytest
import torch
from torch import nn

from amfs_lab import backbones
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.evaluation import evaluate
from amfs_lab.inner import Anil, FunctionSpace, Maml, Prototypes
from amfs_lab.learner import MetaLearner, measuring
from amfs_lab.meta_step import meta_gradient
from amfs_lab.prediction.confusion import query_results
from amfs_lab.runs import replay
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EpisodeConfig, ImageSource
from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(3, 1, 2)
LOOPS = [FunctionSpace, Prototypes, lambda: Anil(0.1, 2), lambda: Maml(0.1, 2)]


class Noisy(nn.Module):
    """A network with state that a measurement may change: dropout, running averages, a counter, random numbers."""

    def __init__(self, always: float = 0.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 8)
        )
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("last", torch.zeros(8))
        self.always, self.features = always, 8

    def forward(self, x):
        self.seen += len(x)
        y = self.layers(x)
        self.last = y.detach().mean(0)  # replaces the buffer by a new tensor
        return y + self.always * torch.randn_like(y)


@pytest.fixture
def sources(images):
    labels = tuple("abcdefghijkl")
    return [ImageSource(images[half], labels[half], SHAPE) for half in (slice(6), slice(6, 12))]


def learner_of(loop, always=0.0):
    torch.manual_seed(3)
    return MetaLearner(Noisy(always), loop(), 3)


def state_of(learner):
    return {name: tensor.clone() for name, tensor in learner.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("always", [0.0, 0.3])
def test_an_evaluation_gives_the_same_twice_and_changes_nothing(loop, always, sources):
    learner = learner_of(loop, always)
    learner.net.train()
    inner = next(module for module in learner.modules() if isinstance(module, nn.Dropout))
    inner.eval()  # this part stays in evaluation mode
    modes = [module.training for module in learner.modules()]
    before, drawn, buffer = state_of(learner), torch.get_rng_state(), dict(learner.named_buffers())
    one = evaluate(learner, sources[1], 6)
    assert torch.equal(torch.get_rng_state(), drawn)
    torch.randn(5)
    two = evaluate(learner, sources[1], 6)
    assert torch.equal(one.per_episode, two.per_episode)
    assert all(torch.equal(a, b) for a, b in zip(one.scores, two.scores, strict=True))
    assert same(before, state_of(learner))
    assert all(tensor is buffer[name] for name, tensor in learner.named_buffers())
    assert modes == [module.training for module in learner.modules()]
    assert all(p.grad is None for p in learner.parameters())


def test_the_accuracy_of_an_episode_does_not_depend_on_other_episodes(sources):
    learner = learner_of(FunctionSpace, always=0.3)
    whole, part = evaluate(learner, sources[1], 6), evaluate(learner, sources[1], 3, first=3)
    assert all(torch.equal(a, b) for a, b in zip(whole.scores[3:], part.scores, strict=True))
    assert part.first == 3


@pytest.mark.parametrize("loop", LOOPS)
def test_validation_never_changes_a_training(loop, sources):
    ends = []
    for every in (0, 1):
        config = preset("i-amfs", episode=SHAPE, steps=4, tasks=2, validate_every=every, validation_episodes=3)
        learner = learner_of(loop)
        torch.manual_seed(5)
        list(MetaTrainer(config, learner=learner, train=sources[0], validation=sources[1], device="cpu").run())
        ends.append(state_of(learner))
    assert same(*ends)


def test_dropout_is_off_and_batchnorm_takes_its_running_averages(sources):
    """In evaluation a score does not depend on other images of the forward pass. In training it does."""
    learner = learner_of(Prototypes)
    for index in range(4):
        learner.loss(sources[0][index])  # so that running averages differ from those of the first pass
    episode = sources[1][0]
    with measuring(learner):
        together = learner.net(episode.query.x)
        alone = torch.cat([learner.net(x[None]) for x in episode.query.x])
    assert torch.allclose(together, alone, atol=1e-6)
    scores = evaluate(learner, sources[1], 2).scores[0]
    with measuring(learner):
        assert torch.allclose(scores, learner.scores(episode))
    assert not torch.allclose(scores, learner.scores(episode), atol=1e-3)


def test_batchnorm_without_running_averages_keeps_the_statistics_of_the_pass(sources):
    learner = MetaLearner(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784, track_running_stats=False)), Prototypes())
    episode = sources[1][0]
    assert torch.allclose(evaluate(learner, sources[1], 2).scores[0], learner.scores(episode))


@pytest.mark.parametrize("norm", backbones.NORMS)
def test_the_kits_norms_do_the_same_in_both_modes(norm, sources):
    learner = MetaLearner(backbones.Conv4(8, norm), FunctionSpace())
    assert torch.equal(evaluate(learner, sources[1], 2).scores[0], learner.scores(sources[1][0]))


def test_a_step_that_fails_leaves_the_running_averages_as_they_were(sources):
    learner, config = learner_of(FunctionSpace), preset("i-amfs")
    bad = sources[0][1]
    bad.query.x[0] = float("nan")
    before = state_of(learner)
    with pytest.raises(NumericalError):
        meta_gradient(learner, config.outer, [sources[0][0], bad])
    assert same(before, state_of(learner))


def test_a_start_and_a_replay_change_nothing(sources):
    learner = learner_of(FunctionSpace)
    before, drawn = state_of(learner), torch.get_rng_state()
    learner.start(sources[0][0])
    assert torch.equal(torch.get_rng_state(), drawn)
    assert {name for name, tensor in state_of(learner).items() if not torch.equal(before[name], tensor)} == {
        "inner.kernel.log_bandwidth"
    }
    before = state_of(learner)
    replay.through(learner, sources[0][0])
    assert same(before, state_of(learner))
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_printed_accuracy_names_its_data_and_says_when_episodes_are_few(sources):
    learner = MetaLearner(backbones.Conv4(8), Prototypes())
    few, enough = evaluate(learner, sources[1], 5), evaluate(learner, sources[1], 30)
    assert str(few).startswith("images/all, 3-way 1-shot: ")
    assert str(few).endswith(" % (5 episodes: an interval needs 30)")
    assert str(enough).endswith(" % (95 %, 30 episodes)")
    assert few.labels[0].tolist() == sources[1][0].query.y.tolist()


def test_invalid_measurements_are_refused(images):
    class Real(ImageSource):
        def __getitem__(self, index):
            return SinusoidSource()[index]

    class Pairs(ImageSource):
        def __getitem__(self, index):
            return images, images

    learner = MetaLearner(backbones.MLP(1, (), 4), FunctionSpace())
    with pytest.raises(ConfigError, match=r"Accuracy needs classes. Got real labels"):
        evaluate(learner, Real(images, tuple("abcdefghijkl"), SHAPE), 2)
    with pytest.raises(DataError, match=r"must give an `Episode` for each index. Got a tuple"):
        evaluate(learner, Pairs(images, tuple("abcdefghijkl"), SHAPE), 2)


GENERATORS = """
import random, numpy as np, torch
from amfs_lab.evaluation import evaluate
from amfs_lab.inner import Prototypes
from amfs_lab.learner import MetaLearner
from amfs_lab.tasks import EpisodeConfig, open_source
class Dicing(torch.nn.Flatten):
    def forward(self, x):
        return super().forward(x) * (random.random() + np.random.rand())
source, learner = open_source("glyphs", "validation", EpisodeConfig()), MetaLearner(Dicing(), Prototypes())
def scores():
    return torch.cat(evaluate(learner, source, 2).scores)
def drawn(look):
    random.seed(1); np.random.seed(1); look()
    return random.random(), np.random.rand()
"""


def test_the_generators_of_numpy_and_python_end_as_they_were(said_of):
    """In a process without type checks, because the type checks use Python's random generator."""
    same = "drawn(scores) == drawn(lambda: None)", "scores().equal(scores())"
    assert set(said_of(GENERATORS, same).values()) == {"accepted: True"}


def test_measurements_in_several_threads_give_what_one_gives(sources):
    learner = learner_of(FunctionSpace, always=0.3)
    right, found = evaluate(learner, sources[1], 20), []
    threads = [threading.Thread(target=lambda n=n: found.append(evaluate(learner, sources[1], n))) for n in (5, 20, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(torch.equal(each.per_episode, right.per_episode[: len(each.per_episode)]) for each in found)
    assert all(module.training for module in learner.modules())


WAVES = """
import json, math, tempfile
from pathlib import Path
from amfs_lab.backbones import MLP
from amfs_lab.config import preset
from amfs_lab.prediction.confusion import query_results
from amfs_lab.inner import Anil, FunctionSpace, Maml
from amfs_lab.learner import MetaLearner
from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.runs import load_run
from amfs_lab.training import MetaTrainer
def trained(loop, validation=SinusoidSource(), every=0):
    folder, learner = Path(tempfile.mkdtemp()), MetaLearner(MLP(1, (), 8), loop, 1)
    config = preset("i-amfs", steps=3, tasks=2, validate_every=every, validation_episodes=2)
    sources = {"train": SinusoidSource(), "validation": validation}
    run = MetaTrainer(config, folder, learner=learner, device="cpu", **sources).run()
    last = [next(run)] if every else list(run)
    def no(constant): raise ValueError(constant)
    json.loads((folder / "run.json").read_text(), parse_constant=no)
    return math.isnan(last[-1].accuracy) and math.isnan(load_run(folder, "cpu", learner=learner)[2].accuracy)
"""
TRAININGS = {
    "trained(FunctionSpace())": r"accepted: True",
    "trained(Maml(0.01, 2))": r"accepted: True",
    "trained(Anil(0.01, 2))": r"accepted: True",
    "trained(FunctionSpace(), every=3)": r"Accuracy needs classes. Got real labels in SinusoidSource",
    "trained(FunctionSpace(), [SinusoidSource()[0]], every=3)": r"Accuracy needs classes",
    "trained(FunctionSpace(), [])": r"A source must give an `Episode` for each index >= 0. Got IndexError",
}


@pytest.fixture(scope="module")
def told(said_of):
    return said_of(WAVES, TRAININGS)


@pytest.mark.parametrize("case", TRAININGS)
def test_waves_are_learned_and_recorded_and_their_accuracy_refused_before_the_first_step(case, told):
    assert TRAININGS[case] in told[case]


def test_evaluations_of_other_episodes_are_not_subtracted(sources):
    learner = learner_of(Prototypes)
    one = evaluate(learner, sources[1], 3)
    assert one.minus(evaluate(learner, sources[1], 3)).mean == 0
    with pytest.raises(DataError, match=r"must use the same episodes.* Got 0 and 3 \(first\)"):
        one.minus(evaluate(learner, sources[1], 3, first=3))


def test_an_interval_over_groups_counts_each_script_once(images):
    """The expected values are computed from `query_results`, which has one row for each query."""
    labels = tuple(f"{script}/{letter}" for script in ("greek", "latin", "thai") for letter in "abcd")
    source = ImageSource(images[:12], labels, SHAPE)
    one, other = (evaluate(learner_of(loop), source, 8) for loop in (Prototypes, FunctionSpace))
    rows = list(query_results(one.scores, one.labels, source.classes_of))
    by_hand = {}
    for script in ("greek", "latin", "thai"):
        own = [row.correct for row in rows if row.true.startswith(script)]
        by_hand[script] = sum(own) / len(own)
    assert one.by_group == pytest.approx(by_hand)
    over = one.over_groups
    assert (over.n, over.of) == (3, "groups of classes")
    assert over.mean == pytest.approx(sum(by_hand.values()) / 3)
    gap = one.minus_over_groups(other)
    assert gap.mean == pytest.approx(over.mean - other.over_groups.mean)
    assert gap.n == 3


def test_without_scripts_each_class_is_a_group_and_without_names_there_is_none(sources):
    learner = learner_of(Prototypes)
    one = evaluate(learner, sources[1], 8)
    assert set(one.by_group) == set("ghijkl")
    assert one.over_groups.of == "classes"
    unnamed = replace(one, classes=())
    assert (unnamed.by_group, unnamed.over_groups) == ({}, None)


def test_another_default_device_or_type_changes_no_episode_and_no_weight(sources):
    def all_of_it():
        learner = preset("i-amfs", width=4, episode=SHAPE).build()
        return (
            sources[0][0].support.x,
            SinusoidSource()[0].query.y,
            *learner.parameters(),
            evaluate(learner, sources[1], 3).per_episode,
        )

    before = all_of_it()
    with torch.device("meta"):
        within = all_of_it()
    assert all(torch.equal(a, b) for a, b in zip(before, within, strict=True))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_networks_random_numbers_depend_on_the_seed_and_the_step_alone(loop, sources):
    """Two training runs without a global seed agree, and the global generator is not used."""
    ends = []
    for _ in range(2):
        config = preset("i-amfs", episode=SHAPE, steps=3, tasks=2, validate_every=0)
        torch.seed()
        drawn = torch.get_rng_state()
        learner = learner_of_state(loop)
        list(MetaTrainer(config, learner=learner, train=sources[0], validation=sources[1], device="cpu").run())
        assert torch.equal(torch.get_rng_state(), drawn)
        ends.append(state_of(learner))
    assert same(*ends)


def learner_of_state(loop):
    with torch.random.fork_rng(devices=[]):
        return learner_of(loop, always=0.3)


@pytest.mark.parametrize(("loop", "at"), zip(LOOPS, (7, 7, 11, 18), strict=True))  # forward passes in the second step
def test_an_interrupt_within_a_step_leaves_the_state_between_two_steps(loop, at, sources, tmp_path):
    class Interrupted(Noisy):
        passes = 0

        def forward(self, x):
            self.passes += 1
            if self.passes == self.at:
                raise KeyboardInterrupt
            return super().forward(x)

    config = preset("i-amfs", episode=SHAPE, steps=4, tasks=3, validate_every=0)

    def made(at):
        torch.manual_seed(3)
        network = Interrupted()
        network.at = at
        return MetaLearner(network, loop(), 3)

    def trainer(folder, at=0, resume=False):
        halves = {"train": sources[0], "validation": sources[1]}
        return MetaTrainer(config, tmp_path / folder, learner=made(at), device="cpu", resume=resume, **halves)

    list(trainer("whole").run())
    interrupted = trainer("broken", at).run()
    assert next(interrupted).step == 1
    with pytest.raises(KeyboardInterrupt):
        next(interrupted)
    list(trainer("broken", resume=True).run())
    ends = [load_learner(tmp_path / folder, "cpu", made(0))[0] for folder in ("whole", "broken")]
    assert same(*map(state_of, ends))


def test_an_interval_over_groups_needs_the_same_episodes_and_two_groups(sources):
    learner = learner_of(Prototypes)
    one, fewer = (evaluate(learner, sources[1], n) for n in (8, 7))
    with pytest.raises(DataError, match=r"must use the same episodes. Got 8 and 7 episodes"):
        one.minus_over_groups(fewer)
    unnamed = replace(one, classes=())
    with pytest.raises(DataError, match=r"at least 2 groups of classes.* A source names its classes"):
        unnamed.minus_over_groups(unnamed)
