"""The path from episode to meta-update reads no value of a tensor, so it runs on the meta device and on a GPU."""

from dataclasses import replace

import pytest
import torch

from amfs_lab.backbones import Conv4
from amfs_lab.config import METHODS, FunctionSpaceConfig, preset
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import evaluate
from amfs_lab.learner import MetaLearner
from amfs_lab.meta_step import apply
from amfs_lab.outer import AGGREGATORS
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(3, 1, 3)
NORMS = ("transductive", "support", "group")
ALL_OF_IT = FunctionSpaceConfig(mu=0.1, gamma=0.1, learn_lam=True)
GPU = pytest.param("cuda", marks=[pytest.mark.gpu])


@pytest.fixture(autouse=True)
def gpu(request):
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def learner_of(method, norm="transductive", **more):
    return preset(method, width=8, episode=SHAPE, norm=norm, **more).build()


def tasks(n, dtype=torch.float32, device="cpu"):
    source = open_source("glyphs", "train", SHAPE)
    return [source[index].to(device, dtype) for index in range(n)]


class TestNoNumbers:
    """Tensors on torch's `meta` device have no values. Reading a value or mixing in a CPU tensor is an error."""

    @pytest.mark.parametrize("batched", [False, True], ids=["task by task", "batched"])
    @pytest.mark.parametrize("norm", NORMS)
    @pytest.mark.parametrize("method", METHODS)
    def test_a_meta_update_needs_none(self, method, norm, batched):
        learner = learner_of(method, norm).to("meta")
        optimizer = torch.optim.Adam(learner.meta_parameters())
        found = learner.task_gradients(tasks(3, device="meta"), batched)
        direction = preset(method).outer.combine(found.rows)
        apply(learner, optimizer, direction)
        assert {found.losses.device.type, found.accuracies.device.type, direction.device.type} == {"meta"}

    def test_nor_do_the_regularisers(self):
        learner = learner_of("amfs", inner=ALL_OF_IT).to("meta")
        assert learner.task_gradients(tasks(2, device="meta")).rows.device.type == "meta"

    @pytest.mark.parametrize("name", [name for name in AGGREGATORS if name != "torchjd"])  # its solvers need the CPU
    def test_nor_does_any_rule(self, name):
        assert AGGREGATORS[name]().combine(torch.empty(5, 7, device="meta")).shape == (7,)

    def test_it_would_be_noticed(self, monkeypatch):
        solve = MetaLearner.task_gradients

        def asks(self, episodes, batched=False):
            found = solve(self, episodes, batched)
            return found._replace(rows=found.rows * float(found.losses[0]))

        monkeypatch.setattr(MetaLearner, "task_gradients", asks)
        with pytest.raises((RuntimeError, NotImplementedError)):
            self.test_a_meta_update_needs_none("amfs", "transductive", False)


class TestAllAtOnce:
    @pytest.mark.parametrize("device", ["cpu", GPU])
    @pytest.mark.parametrize("norm", NORMS)
    @pytest.mark.parametrize("method", METHODS)
    def test_losses_and_gradients_are_those_task_by_task(self, method, norm, device):
        learner, episodes = learner_of(method, norm).double().to(device), tasks(4, torch.float64, device)
        learner.start(episodes[0])
        apart, together = (learner.task_gradients(episodes, batched) for batched in (False, True))
        assert torch.allclose(together.losses, apart.losses, atol=1e-10)
        assert torch.equal(together.accuracies, apart.accuracies)
        difference = (together.rows - apart.rows).norm(dim=1) / apart.rows.norm(dim=1)
        assert difference.max() < 1e-9, difference

    @pytest.mark.parametrize("method", METHODS)
    def test_in_single_precision_within_its_rounding(self, method):
        learner, episodes = learner_of(method, "group"), tasks(4)
        apart, together = (learner.task_gradients(episodes, batched) for batched in (False, True))
        assert torch.allclose(together.losses, apart.losses, atol=1e-5)
        assert ((together.rows - apart.rows).norm(dim=1) / apart.rows.norm(dim=1)).max() < 1e-5

    def test_the_regularisers_and_what_is_learned_of_them(self):
        learner = learner_of("amfs", inner=ALL_OF_IT).double()
        episodes = tasks(3, torch.float64)
        apart, together = (learner.task_gradients(episodes, batched) for batched in (False, True))
        assert torch.allclose(together.rows, apart.rows, atol=1e-9)

    def test_a_training_is_the_same_but_for_rounding(self):
        config = preset("amfs", width=8, tasks=3, steps=3, episode=SHAPE, norm="group", validate_every=0)
        apart, together = (list(MetaTrainer(replace(config, batched=b)).run()) for b in (False, True))
        # Adam's first steps have full length even if a gradient is only rounding error.
        assert [p.loss for p in together] == pytest.approx([p.loss for p in apart], abs=1e-3)

    def test_tasks_of_different_shapes_do_not_run_together(self):
        other = open_source("glyphs", "train", replace(SHAPE, shots=2))[0]
        with pytest.raises(ConfigError, match=r"must have one shape. Got different shapes. Leave `batched` out"):
            learner_of("amfs").task_gradients([*tasks(2), other], batched=True)


class TestPrecision:
    """Convolutions in bfloat16, which keeps about three digits. All other parts keep their dtype."""

    @pytest.mark.parametrize(
        ("method", "norm"), [(method, "transductive") for method in METHODS] + [("amfs", norm) for norm in NORMS[1:]]
    )
    def test_gradients_point_where_those_of_single_precision_do(self, method, norm):
        episodes = tasks(2)
        found = {}
        for precision in ("float32", "bfloat16"):
            learner = learner_of(method, norm, precision=precision)
            learner.start(episodes[0])
            found[precision] = learner.task_gradients(episodes)
        whole, short = found["float32"], found["bfloat16"]
        assert short.rows.dtype == short.losses.dtype == torch.float32
        assert not torch.equal(short.losses, whole.losses), "nothing was computed in bfloat16"
        assert torch.allclose(short.losses, whole.losses, rtol=0.05)
        steps = getattr(learner.inner, "steps", 1) if method != "anil" else 1  # through the convolutions
        assert torch.cosine_similarity(short.rows, whole.rows).min() > (0.95 if steps == 1 else 0.5)  # errors add up

    def test_a_backbone_of_it_answers_in_the_numbers_that_it_was_given(self):
        x = tasks(1)[0].support.x
        assert Conv4(8, precision="bfloat16")(x).dtype == torch.float32
        with pytest.raises(ConfigError, match=r"`precision` must be one of float32, bfloat16. Got 'half'"):
            Conv4(8, precision="half")


@pytest.mark.gpu
class TestGpu:
    @pytest.mark.parametrize("method", METHODS)
    def test_the_numbers_are_those_of_the_cpu(self, method):
        here, there = learner_of(method).double(), learner_of(method).double().to("cuda")
        apart = here.task_gradients(tasks(2, torch.float64))
        far = there.task_gradients(tasks(2, torch.float64, "cuda"))
        assert torch.allclose(far.losses.cpu(), apart.losses, atol=1e-9)
        assert ((far.rows.cpu() - apart.rows).norm(dim=1) / apart.rows.norm(dim=1)).max() < 1e-7

    @pytest.mark.parametrize("batched", [False, True], ids=["task by task", "batched"])
    def test_a_run_goes_on_there(self, tmp_path, batched):
        config = preset("amfs", width=8, tasks=2, steps=5, episode=SHAPE, validate_every=0, batched=batched)
        whole = [p.loss for p in MetaTrainer(config, device="cuda").run()]
        run = MetaTrainer(config, tmp_path, device="cuda").run()
        next(run), next(run)
        run.close()
        trainer = MetaTrainer(config, tmp_path, device="cuda", resume=True)
        assert [p.loss for p in trainer.run()] == pytest.approx(whole[2:], rel=1e-4)
        assert next(trainer.learner.parameters()).is_cuda
        assert evaluate(trainer.learner, open_source("glyphs", "test", SHAPE), 5).accuracy.n == 5

    def test_one_meta_update_waits_for_the_device_once(self):
        learner, episodes = learner_of("amfs").to("cuda"), tasks(3, device="cuda")
        optimizer = torch.optim.Adam(learner.meta_parameters())
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = learner.task_gradients(episodes)
            apply(learner, optimizer, preset("amfs").outer.combine(found.rows))
        finally:
            torch.cuda.set_sync_debug_mode("default")
