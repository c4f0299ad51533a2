"""Time and traffic of a meta-step in several processes: measurements, and a model for more processes.

Each process has a number, its rank. The model has three constants, which are measured in a group of processes: the time
of a task's gradient, the latency of a message, and the bandwidth. The model assumes that the ranks form a ring: to sum
a vector over r ranks, each rank sends 2 (r - 1) messages, each with 1/r of the vector. Other costs, such as slow ranks
or a shared network, are not in the model.
"""

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from amfs_lab.bench.methods import episode_config, episodes_of
from amfs_lab.bench.rounds import Step, synchronize
from amfs_lab.config import preset
from amfs_lab.distributed import Ranks
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import evaluate
from amfs_lab.learner import MetaLearner
from amfs_lab.markdown import markdown_table
from amfs_lab.meta_step import apply, meta_gradient
from amfs_lab.provenance import machine
from amfs_lab.tasks import open_source

TASKS, EPISODES = 16, 600  # of the table
NUMBERS = 3  # vectors of the size of the meta-parameters that O-AMFS sums in a step: u_j, the mean, and c_j g_j
REDUCTIONS, BYTES = 2, 4
MANY = 20  # messages that are timed together
CONV4, RESNET12 = "conv4", "resnet12"
RANKS = (1, 2, 4, 8, 16, 64, 256, 1024)


@dataclass(frozen=True)
class Costs:
    """The constants of the model, and the time of an evaluation.

    Args:
        gradient: seconds for the gradient of one task. latency: seconds for a message without content.
        bandwidth: bytes that a rank sends in a second. episode: seconds for the evaluation of one episode.
    """

    gradient: float
    latency: float
    bandwidth: float
    episode: float

    def gradients(self, tasks: int, ranks: int) -> float:
        """Seconds for the gradients of a meta-step. The rank with the most tasks determines the time."""
        return -(-tasks // ranks) * self.gradient

    def reductions(self, parameters: int, ranks: int) -> float:
        """Seconds for the two reductions (sums over all ranks) of O-AMFS in a meta-step."""
        return REDUCTIONS * 2 * (ranks - 1) * self.latency + traffic(parameters, ranks) / self.bandwidth

    def evaluation(self, ranks: int) -> float:
        """Seconds for the evaluation of `EPISODES` episodes, if the ranks share the episodes."""
        return -(-EPISODES // ranks) * self.episode


def traffic(parameters: int, ranks: int) -> float:
    """Bytes that each rank sends in a meta-step of O-AMFS. This number does not depend on the number of tasks."""
    return 2 * (ranks - 1) / ranks * NUMBERS * parameters * BYTES


def measure_costs(ranks: Ranks, rounds: int, device: torch.device) -> dict[str, Any]:
    """The measured constants for Conv-4 and ResNet-12, and the measured times of a meta-step.

    The meta-step is timed in one process and in all processes. Raises ConfigError if there is only one process.
    """
    if ranks.size == 1:
        raise ConfigError("`--ranks` needs several processes. Got one. Start it with torchrun --nproc-per-node 2.")
    shape = episode_config("5w1s")
    config = preset("amfs", episode=shape)
    learner = config.build().to(device)
    optimizer = torch.optim.Adam(learner.meta_parameters())
    tasks, wait = episodes_of(shape, TASKS, device), synchronize(device)
    learner.start(tasks[0])
    parameters = _size(learner)

    def step(group: Ranks) -> None:
        share = [tasks[i] for i in group.share(TASKS)]
        apply(learner, optimizer, meta_gradient(learner, config.outer, share, ranks=group, tasks=TASKS).direction)

    def medians(works: dict[str, Step], count: int) -> dict[str, float]:
        """The median time of each function in seconds, over `count` interleaved rounds.

        All ranks begin each function together. The time of the slowest rank counts.
        """
        found: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(count + 1):
            for name, work in works.items():
                wait()
                ranks.total(one)
                wait()
                began = time.perf_counter()
                work()
                wait()
                found[name].append(max(ranks.gathered(time.perf_counter() - began)))
        return {name: statistics.median(times[1:]) for name, times in found.items()}  # the first one is a warm-up

    def messages_of_one_number() -> None:
        for _ in range(MANY):
            ranks.total(one)

    one, vector = torch.zeros(1, device=device), torch.zeros(NUMBERS * parameters, device=device)
    messages, source = 2 * (ranks.size - 1), open_source("glyphs", "test", shape)
    works: dict[str, Step] = {
        "messages": messages_of_one_number,
        "vector": lambda: ranks.total(vector),
        "gradients": lambda: learner.task_gradients(tasks[:4]),
        "episodes": lambda: evaluate(learner, source, 4),
        "alone": lambda: step(Ranks()),
        "shared": lambda: step(ranks),
    }
    seconds = medians(works, rounds)
    latency = seconds["messages"] / MANY / messages
    sending = max(seconds["vector"] - messages * latency, 1e-9)
    bandwidth = messages / ranks.size * vector.numel() * BYTES / sending
    conv4 = Costs(seconds["gradients"] / 4, latency, bandwidth, seconds["episodes"] / 4)
    network, task = _resnet12(device)
    large = medians(
        {"gradient": lambda: network.task_gradients([task]), "episode": lambda: network.scores(task)}, count=1
    )
    return {
        "machine": machine(),
        "device": str(device),
        "tasks": TASKS,
        "rounds": rounds,
        "networks": {
            CONV4: {"meta-parameters": parameters, **asdict(conv4)},
            RESNET12: {"meta-parameters": _size(network), **asdict(conv4), **large},
        },
        "steps": {"1": seconds["alone"], str(ranks.size): seconds["shared"]},
    }


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The result of `measure_costs` as Markdown tables.

    One table has the measured times of a meta-step. For each network, another table has the times of the model.
    """
    costs, sizes = {}, {}
    for name, own in found["networks"].items():
        sizes[name] = own["meta-parameters"]
        costs[name] = Costs(**{key: value for key, value in own.items() if key != "meta-parameters"})
    lines = []
    for size, seconds in found["steps"].items():
        ranks, own = int(size), costs[CONV4]
        model = own.gradients(found["tasks"], ranks) + own.reductions(sizes[CONV4], ranks)
        sent = traffic(sizes[CONV4], ranks) / 1e6
        lines.append([f"{ranks}", f"{1000 * seconds:.0f}", f"{1000 * model:.0f}", f"{sent:.2f}"])
    measured = markdown_table(["ranks", "measured, ms", "model, ms", "MB sent by a rank"], lines)
    return {"measured": measured} | {name: modelled(own, sizes[name]) for name, own in costs.items()}


def report(found: dict[str, Any]) -> str:
    """The result of `measure_costs` as text."""
    own, made = found["networks"][CONV4], tables(found)
    return "\n\n".join(
        [
            f"A meta-step of AMFS with {found['tasks']} 5-way 1-shot tasks of Conv-4:",
            made["measured"],
            f"Constants: {1000 * own['gradient']:.1f} ms for a gradient, {1e6 * own['latency']:.0f} microseconds for a "
            f"message, {own['bandwidth'] / 1e9:.2f} GB/s, {1000 * own['episode']:.1f} ms for the evaluation of an "
            f"episode.",
            f"Model for more ranks, with {found['tasks']} tasks, or one for each rank if there are more ranks:",
            made[CONV4],
            "The same for ResNet-12 and colour images of 32 pixels, whose gradient was measured too:",
            made[RESNET12],
        ]
    )


def modelled(costs: Costs, parameters: int) -> str:
    """A Markdown table of the model: times in seconds, and traffic of a rank, for each number of ranks."""
    lines = []
    for ranks in RANKS:
        tasks = max(TASKS, ranks)
        times = costs.gradients(tasks, ranks), costs.reductions(parameters, ranks), costs.evaluation(ranks)
        sent = traffic(parameters, ranks) / 1e6
        lines.append([f"{ranks}", f"{tasks}", *map(_short, times), _short(sent)])
    titles = ["ranks", "tasks", "gradients, s", "reductions, s", f"evaluation of {EPISODES} episodes, s"]
    return markdown_table([*titles, "MB sent by a rank in a step"], lines)


def _short(number: float) -> str:
    """The number as text: with two significant digits below 10, otherwise without decimals."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def _size(learner: MetaLearner) -> int:
    return sum(p.numel() for p in learner.meta_parameters())


def _resnet12(device: torch.device) -> tuple[MetaLearner, Episode]:
    """A ResNet-12, and a task of random colour images: 5-way 1-shot, with 15 queries for each class."""
    learner = preset("amfs", backbone="resnet12").build((3, 32, 32)).to(device)
    support, query = (Examples(torch.rand(5 * n, 3, 32, 32), torch.arange(5).repeat(n), 5) for n in (1, 15))
    task = Episode(support, query).to(device)
    learner.start(task)
    return learner, task
