"""Several processes for one training run: each process computes the gradients of a share of the tasks.

PyTorch's launcher starts the processes, for example `torchrun --nproc-per-node 4 -m amfs_lab train`. The number of a
process is its rank. All ranks apply the same update, so their learners stay equal. Only rank 0 prints and writes files.

An aggregation rule of the class `outer.SummedRule` needs only two sums of a vector over the ranks (reductions). So
traffic and memory do not depend on the number of tasks. For any other rule, every rank needs the gradients of all
tasks.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from amfs_lab.errors import AmfsError, ConfigError, DataError, NumericalError
from amfs_lab.outer import Aggregator, SummedRule
from amfs_lab.plain import differences

TIMEOUT = 600.0  # seconds that a rank waits for the others
LONGEST = 1e9  # seconds
T = TypeVar("T")


class RankError(AmfsError, RuntimeError):
    """The connection to another rank is lost, or another rank is too slow."""


@dataclass(frozen=True)
class Ranks:
    """The group of processes of a run, and the number of this process.

    Args:
        rank: number of this process, from 0. size: number of processes.
    """

    rank: int = 0
    size: int = 1

    def share(self, number: int) -> range:
        """The part of `range(number)` that this rank works on. The sizes of the parts differ by at most 1."""
        return range(self.rank * number // self.size, (self.rank + 1) * number // self.size)

    def total(self, part: Tensor) -> Tensor:
        """The sum of a tensor over the ranks. The argument is overwritten."""
        if self.size > 1:
            with self._connected():
                dist.all_reduce(part)
        return part

    def gathered(self, value: T) -> list[T]:
        """The values that all ranks pass to this method, in the order of the ranks. The values are pickled."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        with self._connected():
            dist.all_gather_object(found, value)
        return found

    def of_first(self, value: float) -> float:
        """The value that rank 0 passes to this method. All ranks get this value."""
        if self.size == 1:
            return value
        return float(self.total(torch.tensor(value if self.rank == 0 else 0.0, dtype=torch.float64)))

    def rows_of_all(self, own: Float[Tensor, "n p"], tasks: int) -> Float[Tensor, "t p"]:
        """The rows of all tasks (t p). Each rank passes the rows `own` of its share of the tasks."""
        if self.size == 1:
            return own
        rows, share = own.new_zeros(tasks, own.shape[1]), self.share(tasks)
        rows[share.start : share.stop] = own
        return self.total(rows)

    def combine(
        self, rule: Aggregator, own: Float[Tensor, "n p"], tasks: int, more: Float[Tensor, " k"]
    ) -> tuple[Float[Tensor, " p"], Float[Tensor, " k"]]:
        """The direction of an aggregation rule over all tasks, and the sum of the vectors `more` of all ranks.

        For a `SummedRule`, this sum needs no extra reduction.

        Args:
            own: gradients of this rank's share of the tasks. tasks: number of all tasks.
            more: further numbers of this rank.
        """
        if self.size == 1:
            return rule.combine(own), more
        if not isinstance(rule, SummedRule):
            return rule.combine(self.rows_of_all(own, tasks)), self.total(more)
        summed: list[Tensor] = []

        def total(part: Tensor) -> Tensor:
            if len(part) == 0:
                return part
            if summed:
                return self.total(part)
            both = self.total(torch.cat([part, more]))
            summed.append(both[len(part) :])
            return both[: len(part)]

        return rule.combine_shared(own, tasks, total), summed[0]

    @torch.no_grad()
    def copy_of_first(self, module: nn.Module) -> None:
        """Copies the parameters and buffers of rank 0 to the modules of all ranks."""
        if self.size > 1:
            with self._connected():
                for tensor in (*module.parameters(), *module.buffers()):
                    dist.broadcast(tensor, 0)

    @torch.no_grad()
    def average_buffers(self, module: nn.Module, tasks: int) -> None:
        """Replaces each buffer by its mean over all tasks.

        Before the call, a buffer is the mean over this rank's tasks.

        An integer buffer is a counter. This counter becomes the largest value of all ranks.
        """
        if self.size > 1:
            with self._connected():
                for buffer in module.buffers():
                    if buffer.is_floating_point():
                        buffer.mul_(len(self.share(tasks)) / tasks)
                        dist.all_reduce(buffer)
                    else:
                        dist.all_reduce(buffer, dist.ReduceOp.MAX)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A context that raises an error of its block on all ranks, even if only one rank has the error.

        If several ranks have an error, all ranks raise the error of the lowest of these ranks.
        """
        own: AmfsError | None = None
        try:
            yield
        except RankError:
            raise
        except AmfsError as error:
            own = error
        if self.size == 1:
            if own is not None:
                raise own
            return
        found = self.gathered(None if own is None else (_kind(own), str(own)))
        for rank, each in enumerate(found):
            if each is not None:
                kind, text = each
                raise shared(kind(text if None not in found else f"Rank {rank}: {text}")) from own

    def agree(self, facts: Callable[[], Mapping[str, dict[str, Any]]]) -> None:
        """Raises ConfigError on all ranks unless each fact is equal on all ranks.

        Args:
            facts: a function that returns plain data by name, such as the settings. With a single process, the
                function is not called.
        """
        if self.size == 1:
            return
        found = self.gathered(dict(facts()))
        for name in found[0]:
            for rank, each in enumerate(found):
                if differ := differences(found[0][name], each[name]):
                    raise shared(
                        ConfigError(
                            f"All processes of a run must have the same {name}. Rank {rank} differs from rank 0: "
                            f"{', '.join(differ)}. Start the same command with the same files everywhere."
                        )
                    )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise RankError(
                f"Rank {self.rank} lost the connection to another rank, which ended or took longer than the timeout. "
                "Look for an earlier message of that rank. Then resume the run (--resume, in Python resume=True)."
            ) from error


ALONE = Ranks()


def process_rank() -> int:
    """The rank that `torchrun` gave to this process; 0 without `torchrun`."""
    return int(os.environ.get("RANK", "0"))


def _kind(error: AmfsError) -> type[AmfsError]:
    """The class or a base class of the error, whose constructor needs only a message."""
    made_of_text = (ConfigError, DataError, NumericalError, AmfsError)
    return next(kind for kind in made_of_text if isinstance(error, kind))


def shared(error: AmfsError) -> AmfsError:
    """The same error, marked as an error that all ranks raise. So only rank 0 prints it."""
    error.on_all_ranks = True
    return error


def restarted() -> bool:
    """True if `torchrun --max-restarts` has started the processes again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _meeting_point(size: int, wait: timedelta) -> dict[str, Any]:
    """The arguments of `init_process_group` for the store (key-value server) that connects the processes.

    torchrun keeps one store for all restarts, with the addresses of processes that have ended (PyTorch issue 135712).
    So each restart uses its own prefix of keys in the store. The prefix contains the number of restarts, which is known
    only on a single machine. On several machines, a restart raises ConfigError.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return {}
    if int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1:
        if restarted():
            raise ConfigError(
                "A restart on several machines needs a new store. Got the old one. Set the environment variable "
                "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun, and start again with --resume."
            )
        return {}
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(*place, is_master=False, timeout=wait)  # type: ignore[attr-defined]
    name = f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    own = dist.PrefixStore(name, store)  # type: ignore[attr-defined]
    return {"store": own, "rank": process_rank(), "world_size": size}


@contextlib.contextmanager
def joined(device: torch.device, timeout: float = TIMEOUT) -> Iterator[Ranks]:
    """A context that connects the processes that `torchrun` started. A single process gets `ALONE`.

    The processes communicate by gloo, or by NCCL on CUDA. On CUDA, each process of a machine has its own GPU.

    Args:
        timeout: seconds that a rank waits for the others.
    Raises:
        ConfigError: a timeout that is not a positive number, a device that several processes cannot use, or fewer GPUs
            than processes.
    """
    if not 0 < timeout < LONGEST:
        raise shared(ConfigError(f"The timeout must be > 0 and < {LONGEST:.0e} seconds. Got {timeout:g}."))
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"Several processes need the device cpu or cuda. Got {device.type}. Use --device cpu.")
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"Each process needs a GPU of its own. Got {torch.cuda.device_count()} GPUs for process {local + 1} of "
                "this machine. Start fewer processes: --nproc-per-node."
            )
        torch.cuda.set_device(local)
    # This module keeps the process group that exists when it is imported, and an optimizer imports it. Such a group
    # would never be closed. Its threads would run when Python ends, and PyTorch would sometimes abort the process.
    importlib.import_module("torch.distributed.nn.functional")
    backend, wait = "nccl" if device.type == "cuda" else "gloo", timedelta(seconds=timeout)
    dist.init_process_group(backend, timeout=wait, **_meeting_point(size, wait))
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    try:
        yield ranks
        ranks.gathered(None)  # no rank closes its connections while another rank still reads from them
    finally:
        dist.destroy_process_group()
