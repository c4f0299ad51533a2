"""The meta-learner: a backbone with an inner loop. It computes the scores, losses and gradients of tasks."""

import contextlib
import hashlib
import random
import threading
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import chain
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.parameter import is_lazy

from amfs_lab.backbones import Backbone, Wrapped, checked_features, differentiable_batchnorm, features_of, is_backbone
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import AmfsError, ConfigError
from amfs_lab.inner import FeatureSpaceLoop, GradientLoop, Maml
from amfs_lab.inner.gradient import ordinary, recording

MEASURING = threading.RLock()
BATCH_NORM_MODULES = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class TaskGradients(NamedTuple):
    """The query losses, query accuracies (NaN for real labels) and gradients (rows) of the t tasks of a meta-step."""

    losses: Float[Tensor, " t"]
    accuracies: Float[Tensor, " t"]
    rows: Float[Tensor, "t p"]


class WithHead(nn.Module):
    """A backbone with a linear head. The head starts at zero, so that all classes have the same score.

    Raises ConfigError for a backbone without the attribute `features`. Also raises ConfigError if the backbone returns
    another number of features than this attribute.
    """

    def __init__(self, backbone: Backbone, ways: int) -> None:
        super().__init__()
        features = features_of(backbone, "Gradient loops end in a linear head")
        dtype = _dtype_of(backbone)
        if dtype is not None and torch.finfo(dtype).bits < 32:  # a small step would be lost in the rounding of 16 bits
            dtype = torch.float32
        self.backbone, self.head = backbone, nn.Linear(features, ways, dtype=dtype)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.norm = getattr(backbone, "norm", "none")

    def forward(self, x: Float[Tensor, "n ..."], reference: int | None = None) -> Float[Tensor, "n ways"]:
        features = checked_features(self.backbone(x.clone(), reference), len(x))  # a network may change its input
        if features.shape[1] != self.head.in_features:
            raise ConfigError(
                f"The backbone's `features` must be the number of features it returns. Got `features` "
                f"{self.head.in_features}, and {features.shape[1]} features for images of shape {tuple(x.shape[1:])}. "
                f"Make the backbone for this shape of image (for Conv4: size={x.shape[-1]}), or read the images at the "
                "size that the backbone was made for."
            )
        return self.head(features.to(self.head.weight.dtype))


def _dtype_of(*modules: nn.Module) -> torch.dtype | None:
    """The type of the first floating-point parameter in the modules; None if there is none."""
    return next((p.dtype for module in modules for p in module.parameters() if p.is_floating_point()), None)


def tensors_of(module: nn.Module) -> Iterator[Tensor]:
    """The parameters of a module, then its buffers."""
    return chain(module.parameters(), module.buffers())


class MetaLearner(nn.Module):
    """A backbone with an inner loop: `scores(episode)` adapts to the support set and scores the queries.

    Images and real labels are cast to the floating-point type of the network's parameters.

    Args:
        backbone: called as `backbone(x, reference)` (see `backbones.Backbone`). A network of another library, which
            takes only images, is wrapped (`backbones.Wrapped`).
        inner: `FunctionSpace`, `Prototypes` (on features), or `Maml`, `Anil` (on a network with a linear head).
        ways: number of outputs of the head, and the ways of every episode. Inner loops on features ignore this number.
        label_smoothing: share of a query's label that is spread over all classes (Szegedy et al. 2016).
    Raises:
        ConfigError: a gradient loop without `ways`, a gradient loop on a network without `features`, or a network with
            a lazy layer.
    """

    def __init__(
        self,
        backbone: nn.Module,
        inner: FeatureSpaceLoop | GradientLoop,
        ways: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if any(is_lazy(tensor) for tensor in tensors_of(backbone)):
            raise ConfigError(
                "A network's parameters must have their shapes. Got a lazy layer that has seen no image. Run the "
                "network once before: network(images)."
            )
        self.inner, self.ways, self.label_smoothing = inner, ways, label_smoothing
        body = backbone if is_backbone(backbone) else Wrapped(backbone)
        if isinstance(inner, FeatureSpaceLoop):
            self.net = body
        elif ways is None:
            raise ConfigError("Gradient loops end in a linear head: `ways` must be its number of outputs. Got None.")
        else:
            self.net = WithHead(cast(Backbone, body), ways)
        self.inner = inner.for_network(self.net)
        self.rates = self.inner.rates if isinstance(self.inner, GradientLoop) else None  # registers their parameter

    @property
    def device(self) -> torch.device:
        """The device of the learner's tensors; the CPU if the learner has no tensors."""
        return next((tensor.device for tensor in tensors_of(self)), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype | None:
        """The floating-point type of the network, to which data are cast; None without floating-point parameters."""
        return _dtype_of(self.net, self)

    @torch.no_grad()
    def start(self, episode: Episode) -> None:
        """Initialises the inner loop from the first task (for example, the bandwidth from the feature distances)."""
        if isinstance(self.inner, FeatureSpaceLoop):
            episode = self._cast(episode)
            x = torch.cat([episode.support.x, episode.query.x])
            with untouched(self):
                features = checked_features(self.net(x, len(episode.support.x)), len(x))
            self.inner.start(features)

    def scores(self, episode: Episode) -> Float[Tensor, "q ways"]:
        """Scores of the queries, one column for each class."""
        episode = self._ready(episode)
        return self.inner.adapt(self.net, episode.support)(episode.query.x)

    def loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The meta-objective of the task: the query loss by default, plus gamma * I/n if the inner loop has a gamma.

        The query loss is `Examples.loss`: the cross-entropy of classes, or half the mean squared error of real labels.
        """
        return self(episode)[0]

    def forward(self, episode: Episode) -> tuple[Float[Tensor, ""], Float[Tensor, "q ways"]]:
        """The loss (see `loss`) and the scores of a task."""
        return self.inner.loss(self.net, self._ready(episode), self.label_smoothing)

    def meta_parameters(self) -> list[nn.Parameter]:
        """The meta-parameters in the order of a gradient row."""
        return [p for p in self.parameters() if p.requires_grad]

    def check_trainable(self) -> None:
        """Raises ConfigError unless there is a meta-parameter."""
        if not self.meta_parameters():
            raise ConfigError(
                "Meta-training needs a parameter that it may move. Got a learner in which no parameter requires a "
                "gradient. Evaluate it as it is, or unfreeze parameters: requires_grad_(True)."
            )

    def task_gradients(self, episodes: Sequence[Episode], batched: bool = False) -> TaskGradients:
        """The losses, accuracies and gradients of the tasks.

        Each task has its own forward and backward pass, and its gradient is one row of the result. Tasks share no
        images. The buffers of the network, such as the running averages of BatchNorm, have the same values at the start
        of each task. After the last task, each buffer is set to the mean of its final values over the tasks.

        Args:
            batched: compute all tasks at once, each with a copy of the meta-parameters. The results are equal up to
                rounding. There are fewer and larger operations, which is faster on a GPU and slower on a CPU.
        Raises:
            ConfigError: no meta-parameters; `batched` with episodes of different shapes; `batched` with MAML on
                torch's own BatchNorm. For FO-MAML, the BatchNorm is an error only if it tracks running averages.
        """
        self.check_trainable()
        with recording():
            return self._together(episodes) if batched else self._in_turn(episodes)

    def _in_turn(self, episodes: Sequence[Episode]) -> TaskGradients:
        params = self.meta_parameters()
        sizes = [p.numel() for p in params]
        dtype = reduce(torch.promote_types, (p.dtype for p in params))
        rows = params[0].new_empty(len(episodes), sum(sizes), dtype=dtype)
        losses, accuracies = rows.new_empty(len(episodes)), rows.new_empty(len(episodes))
        buffers = Buffers(self)
        for t, episode in enumerate(episodes):
            loss, scores = self(episode)
            grads = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
            for piece, grad in zip(rows[t].split(sizes), grads, strict=True):
                piece.copy_(grad.reshape(-1))
            losses[t] = loss.detach()
            accuracies[t] = episode.query.accuracy(scores.detach())
            buffers.note()
        buffers.put_mean()
        return TaskGradients(losses, accuracies, rows)

    def _together(self, episodes: Sequence[Episode]) -> TaskGradients:
        episodes = [self._cast(episode) for episode in episodes]
        t, ways = len(episodes), episodes[0].support.ways
        shapes = {(e.support.x.shape, e.query.x.shape, e.support.ways, e.support.real) for e in episodes}
        if len(shapes) > 1:
            raise ConfigError("Tasks that run together must have one shape. Got different shapes. Leave `batched` out.")
        self._check_batch_norm()
        copies = {
            name: p.detach().expand(t, *p.shape).clone().requires_grad_()
            for name, p in self.named_parameters()
            if p.requires_grad
        }
        before = Buffers(self)
        buffers = {name: b.expand(t, *b.shape).clone() for name, b, _ in before.kept}
        parts = zip(*((e.support.x, e.support.y, e.query.x, e.query.y) for e in episodes), strict=True)

        def task(
            params: dict[str, Tensor], own: dict[str, Tensor], x: Tensor, y: Tensor, query_x: Tensor, query_y: Tensor
        ) -> tuple[Tensor, Tensor]:
            support, query = Examples.unchecked(x, y, ways), Examples.unchecked(query_x, query_y, ways)
            loss, scores = functional_call(self, params | own, (Episode.unchecked(support, query),))
            return loss, query.accuracy(scores.detach())

        with differentiable_batchnorm():
            losses, accuracies = vmap(task, randomness="different")(copies, buffers, *map(torch.stack, parts))
        grads = torch.autograd.grad(losses.sum(), list(copies.values()), allow_unused=True, materialize_grads=True)
        before.restore()  # a new buffer that a module made would belong to all tasks
        with torch.no_grad():
            for name, b, _ in before.kept:
                ends = buffers[name]
                b.copy_(ends.mean(0) if ends.is_floating_point() else ends.amax(0))
        return TaskGradients(losses.detach(), accuracies, torch.cat([grad.reshape(t, -1) for grad in grads], 1))

    def _check_batch_norm(self) -> None:
        """Raises ConfigError for MAML with torch's own BatchNorm.

        The second derivatives of this BatchNorm are wrong within `torch.func.vmap`. For FO-MAML, the method raises the
        error only if the BatchNorm tracks running averages.
        """
        if isinstance(self.inner, Maml) and any(
            isinstance(module, BATCH_NORM_MODULES)
            and module.training
            and (module.track_running_stats or not self.inner.first_order)
            for module in self.modules()
        ):
            raise ConfigError(
                "MAML with `batched` cannot use torch's own BatchNorm, because its second derivatives "
                "are wrong there. Leave `batched` out, or use the kit's `backbones.EpisodeNorm`."
            )

    def _cast(self, episode: Episode) -> Episode:
        """The episode in the learner's floating-point type, as tensors that autograd accepts."""
        halves, dtype = (episode.support, episode.query), self.dtype
        if dtype is not None and any(half.x.dtype != dtype for half in halves):
            halves = tuple(half.to(dtype=dtype) for half in halves)
        return Episode.unchecked(*(Examples.unchecked(ordinary(h.x), ordinary(h.y), h.ways) for h in halves))

    def _ready(self, episode: Episode) -> Episode:
        """The episode after `_cast`.

        Raises ConfigError if the number of classes of the episode differs from the number of outputs of the head.
        """
        torch.clear_autocast_cache()  # the cache may hold weights from before the last step
        if isinstance(self.inner, GradientLoop) and episode.support.ways != self.ways:
            raise ConfigError(
                f"This learner's head has {self.ways} outputs, so its episodes must have {self.ways} ways. "
                f"Got {episode.support.ways}. Train a learner with {episode.support.ways} ways, or use an inner loop "
                "on features."
            )
        return self._cast(episode)


class Buffers:
    """A copy of the buffers of a module. `restore` writes the copy back into the module.

    `restore` also works if the module has replaced or added buffers.

    In a sequence of tasks, call `note` after each task: it adds the buffers to a sum and restores the copy. At the end,
    `put_mean` writes the mean over the tasks. An integer buffer is a counter: it gets the largest value instead of the
    mean.
    """

    @torch.no_grad()
    def __init__(self, module: nn.Module) -> None:
        self.module, self.sums, self.tasks = module, {}, 0
        self.kept = [(name, tensor, tensor.clone()) for name, tensor in module.named_buffers()]

    @torch.no_grad()
    def restore(self) -> None:
        for name, tensor, value in self.kept:
            tensor.copy_(value)
            self._put(name, tensor)
        for name in {name for name, _ in self.module.named_buffers()} - {name for name, _, _ in self.kept}:
            self._put(name, None)

    @torch.no_grad()
    def note(self) -> None:
        """Adds the buffers at the end of a task to a sum, and restores the values from the start of the task."""
        ends = dict(self.module.named_buffers())
        if not self.kept and not ends:
            return
        for name, tensor, _ in self.kept:
            if name not in ends or ends[name].shape != tensor.shape:
                got = f"{tuple(ends[name].shape)}" if name in ends else "none"
                raise ConfigError(
                    f"A buffer must keep its shape during training. Got {got} for {name}, which was "
                    f"{tuple(tensor.shape)}. Keep tensors that grow outside of the module's buffers."
                )
        for name, _, _ in self.kept:
            end = ends[name]
            if end.is_floating_point():
                end = end.to(torch.promote_types(end.dtype, torch.float32))  # sums in 16 bits are too coarse
            if name not in self.sums:
                self.sums[name] = end.clone()
            elif end.is_floating_point():
                self.sums[name] += end
            else:
                torch.maximum(self.sums[name], end, out=self.sums[name])
        self.tasks += 1
        self.restore()

    @torch.no_grad()
    def put_mean(self) -> None:
        for name, tensor, _ in self.kept:
            total = self.sums[name]
            tensor.copy_(total / self.tasks if total.is_floating_point() else total)

    def _put(self, name: str, tensor: Tensor | None) -> None:
        path, _, leaf = name.rpartition(".")
        setattr(self.module.get_submodule(path), leaf, tensor)


def checked_learner(learner: object) -> MetaLearner:
    """The given learner, if it can be meta-trained.

    Raises ConfigError if there is no meta-parameter, or if a meta-parameter was made in `torch.inference_mode` or is
    not float32 or float64. With 16-bit parameters, rounding would remove an outer step.
    """
    if not isinstance(learner, MetaLearner):
        raise ConfigError(
            f"`learner` must be a MetaLearner, or a function that makes one. Got {type(learner).__name__}. Wrap the "
            "network: MetaLearner(network, inner, ways)."
        )
    learner.check_trainable()
    if any(tensor.is_inference() for tensor in tensors_of(learner)):
        raise ConfigError(
            "A learner must be made outside of torch.inference_mode, or it cannot be trained. Got tensors made inside. "
            "Make the learner again, outside."
        )
    short = {p.dtype for p in learner.meta_parameters()} - {torch.float32, torch.float64}
    if short:
        raise ConfigError(
            f"Meta-parameters must be float32 or float64. Got {', '.join(map(str, short))}. Convert them: "
            "learner.float(). For speed, run the forward pass under torch.autocast, or freeze the 16-bit parameters."
        )
    return learner


@contextlib.contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """A context that restores the buffers of the module and the global random generators at its end.

    The random generators are those of torch, numpy and Python.
    """
    buffers = Buffers(module)
    with _generators_kept({tensor.device for tensor in tensors_of(module)}):
        try:
            yield
        finally:
            buffers.restore()


@contextlib.contextmanager
def repeatable(device: torch.device, *key: object) -> Iterator[None]:
    """A context that seeds the global random generators from `key`, and restores them after the block.

    Dropout, for example, uses these generators.
    """
    with _generators_kept({device}):
        seed(device, seed_of(*key))
        yield


def seed_of(*key: object) -> int:
    """A seed from all parts of `key`, computed by a hash function."""
    words = "/".join(map(str, key)).encode()
    return int.from_bytes(hashlib.blake2b(words, digest_size=7).digest(), "big")


@contextlib.contextmanager
def _generators_kept(devices: set[torch.device]) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the user's generator)
    cuda = [device.index or 0 for device in devices if device.type == "cuda"]
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def seed(device: torch.device, number: int) -> None:
    """Seeds the global random generators of torch, numpy and Python."""
    number %= 2**63
    torch.default_generator.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)


@contextlib.contextmanager
def measuring(module: nn.Module) -> Iterator[None]:
    """A context in which the module is in evaluation mode. At its end, all modes and buffers are as before.

    It also restores the global random generators, so only one thread at a time can be in this context.
    """
    with MEASURING:
        modes = [(each, each.training) for each in module.modules()]
        module.eval()
        try:
            with untouched(module):
                yield
        finally:
            for each, training in modes:
                each.training = training


@contextlib.contextmanager
def explained(episode: Episode, batched: bool = False) -> Iterator[None]:
    """A context that turns an exception of the network into a ConfigError with advice.

    The block runs the network on `episode`, the first episode of a source. An error of this library passes unchanged.
    """
    try:
        yield
    except AmfsError:
        raise
    except Exception as error:
        shape, kind = tuple(episode.support.x.shape[1:]), episode.support.x.dtype
        said = str(error).strip().split("\n")[0][:200]
        raise ConfigError(
            f"The network must take images (n, {', '.join(map(str, shape))}) and return features (n, d). Got images in "
            f"{kind}, and an error: {type(error).__name__}: {said.rstrip('.')}. {_advice(error, batched)}"
        ) from error


def _advice(error: Exception, batched: bool) -> str:
    if "derivative" in str(error):
        return "Take first_order=True (fo-maml) or an inner loop on features. Neither differentiates the network twice."
    if "nference tensor" in str(error):
        return "Make the network outside of torch.inference_mode."
    if batched:
        return "Leave `batched` out, because not every network can run on several tasks at once."
    return "Read the images at the size and with the channels of the network, or make a network for these images."
