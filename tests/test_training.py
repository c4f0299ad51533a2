"""Meta-training: it learns, is reproducible, stops at its limit, and bad input leaves no files."""

import contextlib
import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from amfs_lab.config import METHODS, FunctionSpaceConfig, preset
from amfs_lab.devices import pick_batched, pick_device, pick_precision
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError, DataError, NonFiniteTask, NumericalError
from amfs_lab.evaluation import evaluate
from amfs_lab.inner import Maml, Prototypes
from amfs_lab.learner import MetaLearner
from amfs_lab.meta_step import meta_gradient, meta_step
from amfs_lab.outer import AGGREGATORS, Aggregator, Mean, PCGrad, SummedRule
from amfs_lab.runs import saved
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig, EpisodeSource, ImageSource, open_source
from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.training import MetaTrainer
from amfs_lab.trajectory import CountSketch

SMALL = {"width": 8, "tasks": 2, "episode": EpisodeConfig(3, 1, 3), "validate_every": 0}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_on_unseen_scripts(method):
    config = preset(method, width=8, tasks=2, steps=25, meta_lr=5e-3, validate_every=0)
    if isinstance(config.inner, Maml):
        config = replace(config, inner=replace(config.inner, steps=2))
    source = open_source("glyphs", "test", config.episode)
    trainer = MetaTrainer(config)
    before = evaluate(config.build(), source, 60)
    losses = [progress.loss for progress in trainer.run()]
    after = evaluate(trainer.learner, source, 60)
    assert after.minus(before).low > 0
    assert sum(losses[-10:]) < sum(losses[:10])


def test_the_same_seed_trains_the_same_learner_and_another_another():
    def trained(seed):
        trainer = MetaTrainer(preset("amfs", steps=3, seed=seed, **SMALL))
        list(trainer.run())
        return torch.cat([p.detach().flatten() for p in trainer.learner.parameters()])

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def test_one_step_is_adam_on_the_aggregated_direction():
    config = preset("amfs", steps=1, **SMALL)
    trainer, expected = MetaTrainer(config), config.build()
    (progress,) = trainer.run()
    expected.start(trainer.train[0])
    tasks = expected.task_gradients([trainer.train[0], trainer.train[1]])
    optimizer = torch.optim.SGD(expected.meta_parameters(), lr=config.meta_lr)
    for p, piece in zip(
        expected.meta_parameters(),
        config.outer(tasks.rows).split([p.numel() for p in expected.meta_parameters()]),
        strict=True,
    ):
        p.grad = (piece / (piece.abs() + 1e-8)).view_as(p)  # Adam's first step is the sign of each entry
    optimizer.step()
    assert abs(progress.loss - float(tasks.losses.mean())) < 1e-6
    for ours, theirs in zip(trainer.learner.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_the_budget_ends_a_run_by_steps_or_by_seconds():
    assert len(list(MetaTrainer(preset("i-amfs", steps=4, **SMALL)).run())) == 4
    progress = list(MetaTrainer(preset("i-amfs", steps=1000, seconds=1e-6, **SMALL)).run())
    assert [p.step for p in progress] == [1]


def test_validation_comes_when_due_and_at_the_end():
    config = preset("i-amfs", steps=5, validation_episodes=3, **SMALL | {"validate_every": 2})
    validated = [p.step for p in MetaTrainer(config).run() if p.validation is not None]
    assert validated == [2, 4, 5]


@pytest.mark.parametrize("stop_after", [None, 2])
def test_a_run_is_saved_also_when_it_is_stopped_and_comes_back_the_same(tmp_path, stop_after):
    config = preset("amfs", steps=4, **SMALL)
    trainer = MetaTrainer(config, tmp_path / "run")
    for progress in trainer.run():
        if progress.step == stop_after:
            break
    del progress
    learner, loaded = load_learner(tmp_path / "run")
    assert loaded == config
    assert json.loads((tmp_path / "run" / "run.json").read_text())["progress"]["step"] == (stop_after or 4)
    source = open_source("glyphs", "validation", config.episode)
    assert torch.equal(evaluate(learner, source, 5).per_episode, evaluate(trainer.learner, source, 5).per_episode)


def test_a_run_is_never_overwritten(tmp_path):
    list(MetaTrainer(preset("i-amfs", steps=1, **SMALL), tmp_path).run())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"already holds a run. A run is never overwritten"):
        MetaTrainer(preset("i-amfs", steps=1, **SMALL), tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_damaged_or_missing_run_is_named(tmp_path):
    with pytest.raises(DataError, match=r"Expected a run in .* Got none. Make one: `amfs-lab train`"):
        load_learner(tmp_path)
    list(MetaTrainer(preset("i-amfs", steps=1, **SMALL), tmp_path).run())
    tensors = tmp_path / saved.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"Expected a complete run in"):
        load_learner(tmp_path)


def test_a_run_whose_parts_do_not_belong_together_is_refused(tmp_path):
    list(MetaTrainer(preset("i-amfs", steps=1, **SMALL), tmp_path).run())
    record, tensors = tmp_path / saved.RECORD, tmp_path / saved.TENSORS
    good = record.read_text()
    record.write_text(good.replace('"width": 8', '"width": 16'))
    with pytest.raises(DataError, match=r"The tensors in .* must fit its settings. Got others"):
        load_learner(tmp_path)
    for nothing in ("[]", "{}"):
        record.write_text(nothing)
        with pytest.raises(DataError, match=r"Expected a complete run in"):
            load_learner(tmp_path)
    record.write_text(good.replace('"progress"', '"distance"'))
    with pytest.raises(DataError, match=r"Expected the progress of a run in .* Got None, .* Start the training again"):
        load_learner(tmp_path)
    record.write_text(good)
    flipped = bytearray(tensors.read_bytes())
    flipped[-40] ^= 1
    tensors.write_bytes(flipped)
    with pytest.raises(DataError, match=r"not the file that was saved with run.json"):
        load_learner(tmp_path)


def test_a_trainer_runs_once():
    trainer = MetaTrainer(preset("i-amfs", steps=1, **SMALL))
    list(trainer.run())
    with pytest.raises(ConfigError, match=r"A trainer runs once. Got a second `run\(\)`. Make a new MetaTrainer"):
        next(trainer.run())


def poisoned(episode):
    x = episode.support.x.clone()
    x[0] = float("nan")
    return Episode(type(episode.support)(x, episode.support.y, episode.support.ways), episode.query)


@pytest.mark.parametrize("method", METHODS)
def test_nan_among_the_features_stops_the_step_before_anything_is_applied(method, episode):
    learner = preset(method, width=8, episode=EpisodeConfig(3, 1, 2)).build().double()
    before = [p.clone() for p in learner.parameters()]
    optimizer = torch.optim.Adam(learner.meta_parameters())
    with pytest.raises(NonFiniteTask, match=r"must be finite. Got NaN or infinity. Lower meta_lr") as caught:
        meta_step(learner, Mean(), optimizer, [episode, poisoned(episode)])
    assert caught.value.task == 1
    assert all(torch.equal(a, b) for a, b in zip(before, learner.parameters(), strict=True))


def test_a_failed_run_names_its_episode_and_saves_no_learner(tmp_path, monkeypatch):
    draw = ImageSource.__getitem__
    monkeypatch.setattr(ImageSource, "__getitem__", lambda s, i: poisoned(draw(s, i)) if i == 3 else draw(s, i))
    trainer = MetaTrainer(preset("i-amfs", steps=5, **SMALL), tmp_path / "run")
    with pytest.raises(NumericalError, match=r"It is meta-step 2, episode 3 of ImageSource\(glyphs/train"):
        list(trainer.run())
    with pytest.raises(DataError, match="Expected a run in"):
        load_learner(tmp_path / "run")


@dataclass(frozen=True)
class Overflowing(Aggregator):
    """A rule whose weights make finite gradients overflow in float32."""

    def weights(self, grads):
        return Mean().weights(grads) * 3e38 / grads.abs().max() * 4


def test_finite_gradients_that_combine_to_infinity_stop_the_run_and_blame_no_task():
    trainer = MetaTrainer(preset("i-amfs", steps=2, outer=Overflowing(), **SMALL))
    with pytest.raises(NumericalError, match=r"weighted sum of the gradients must be finite .* It is meta-step 1\.$"):
        list(trainer.run())


def test_evaluation_refuses_scores_that_are_not_finite(images):
    source = ImageSource(images, tuple("abcdefghijkl"), EpisodeConfig(3, 1, 2))
    learner = preset("i-amfs", width=8).build()
    learner.net.blocks[0].conv.weight.data.fill_(float("nan"))
    with pytest.raises(NumericalError, match=r"Scores must be finite. Got NaN or infinity in episode 4"):
        evaluate(learner, source, 3, first=4)


def test_bad_settings_train_nothing(tmp_path):
    with pytest.raises(ConfigError, match=r"An episode of 2000 ways needs at least 2000 classes"):
        MetaTrainer(preset("i-amfs", episode=EpisodeConfig(2000, 1, 1)), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"10 shots and 15 queries need 25 samples of a class. Got 20"):
        MetaTrainer(preset("i-amfs", episode=EpisodeConfig(5, 10, 15)), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"`lam` must be a finite number > 0"):
        MetaTrainer(preset("i-amfs", inner=FunctionSpaceConfig(lam=-0.1)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_device_is_the_best_available_or_the_given_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type in ("mps", "cpu")
    assert pick_device("cpu").type == "cpu"


@pytest.mark.parametrize(("inner", "best"), [(FunctionSpaceConfig(), "bfloat16"), (Maml(), "float32")])
def test_the_precision_is_the_fastest_safe_one_or_the_given_one(monkeypatch, inner, best):
    cpu = torch.device("cpu")
    for has, expected in ((True, best), (False, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {"avx512_bf16": has}, raising=False)
        assert pick_precision("auto", inner, cpu) == expected
        assert pick_precision("bfloat16", inner, cpu) == "bfloat16"
        assert pick_precision("auto", inner, torch.device("mps")) == "float32"
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert pick_precision("auto", inner, cpu) == "float32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    assert pick_precision("auto", inner, torch.device("cuda", 1)) == best


def test_tasks_run_at_once_by_default_on_cuda_only():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [pick_batched(None, streamed, cuda) for streamed in (False, True)] == [True, False]
    assert not pick_batched(None, False, cpu)
    for chosen in (False, True):
        assert {pick_batched(chosen, False, device) for device in (cpu, cuda)} == {chosen}


def test_the_rate_falls_along_half_a_cosine_over_the_budget_that_ends_first(monkeypatch):
    rates = []

    class Watched(torch.optim.Adam):
        def step(self, *args):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*args)

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    for schedule in ("constant", "cosine"):
        list(MetaTrainer(preset("i-amfs", steps=4, meta_lr=1.0, schedule=schedule, **SMALL)).run())
    assert rates[:4] == [1.0] * 4
    assert rates[4:] == pytest.approx([1.0, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
    trainer = MetaTrainer(preset("i-amfs", steps=100, seconds=10.0, schedule="cosine", **SMALL))
    assert trainer._spent(50, 2.0) == 0.5
    assert trainer._spent(50, 9.0) == 0.9


def test_training_alone_is_augmented():
    trainer = MetaTrainer(preset("i-amfs", augment=("affine",), **SMALL))
    assert trainer.train.augment == ("affine",)
    assert trainer.validation.augment == ()


class Points:
    """A minimal source of a user, with only `__getitem__`."""

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        halves = (torch.randn(4, 3, generator=generator) + 3 * torch.tensor([0, 1, 0, 1])[:, None] for _ in "sq")
        return Episode(*(Examples(x, torch.tensor([0, 1, 0, 1]), 2) for x in halves))


SOURCES = {
    "images of another size": lambda: ImageSource(torch.randint(0, 255, (5, 4, 20, 20)).byte(), "abcde", SHAPE),
    "embeddings": lambda: EmbeddingSource(torch.randn(5, 4, 3), "abcde", SHAPE),
    "sinusoids": lambda: SinusoidSource(4, 3),
    "a class of one's own": Points,
}
SHAPE = EpisodeConfig(2, 1, 1)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_trains_resumes_and_comes_back_with_the_backbone_of_its_shape(tmp_path, kind):
    source = SOURCES[kind]()
    assert isinstance(source, EpisodeSource)
    config = preset("i-amfs", steps=3, **SMALL | {"episode": SHAPE, "backbone": "conv4" if "images" in kind else "mlp"})
    own = {"train": source, "validation": source}
    run = MetaTrainer(config, tmp_path, **own).run()
    next(run)
    run.close()
    trainer = MetaTrainer(config, tmp_path, resume=True, **own)
    assert [progress.step for progress in trainer.run()] == [2, 3]
    learner, _ = load_learner(tmp_path, "cpu")
    assert torch.equal(learner.scores(source[7]), trainer.learner.scores(source[7]))


@pytest.mark.parametrize("name", [name for name, rule in AGGREGATORS.items() if issubclass(rule, SummedRule)])
def test_a_streamed_step_is_that_of_all_gradients_at_once(name, images):
    """Also the running averages of the network, and the random numbers of its dropout."""

    def network():
        layers = nn.Conv2d(1, 4, 5, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten()
        return MetaLearner(nn.Sequential(*layers), FunctionSpaceConfig().build(), 3).double()

    source, found = ImageSource(images, tuple("abcdefghijkl"), EpisodeConfig(3, 1, 2)), []
    for streamed in (False, True):
        config = preset("prototypes", outer=AGGREGATORS[name](), streamed=streamed, steps=3, tasks=5, validate_every=0)
        trainer = MetaTrainer(config, device="cpu", learner=network, train=source, validation=source)
        steps = [number for step in trainer.run() for number in (step.loss, step.accuracy)]
        found.append([steps, *trainer.learner.state_dict().values()])
    (steps, *tensors), (others, *more) = found
    assert min(steps) > 0
    assert steps == pytest.approx(others)
    for one, other in zip(tensors, more, strict=True):
        assert torch.allclose(one, other)


def test_a_streamed_step_that_is_not_finite_names_its_task(episode):
    learner = MetaLearner(nn.Sequential(nn.Flatten(), nn.Linear(784, 4)), Prototypes(), 3).double()
    with pytest.raises(NonFiniteTask) as caught:
        meta_gradient(learner, Mean(), [episode, episode, poisoned(episode)], streamed=True)
    assert caught.value.task == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batched": True}, "Got batched, which needs all of them"),
        ({"outer": PCGrad()}, r"Got outer=PCGrad\(.*, which"),
    ],
)
def test_what_needs_all_gradients_cannot_be_streamed(changes, words):
    with pytest.raises(ConfigError, match=words):
        preset("i-amfs", streamed=True, **changes)
    with pytest.raises(ConfigError, match="A trajectory needs the gradients of all tasks"):
        MetaTrainer(preset("i-amfs", streamed=True, **SMALL), trajectory=CountSketch(), device="cpu")
