"""The time and the traffic of a meta-step in several processes: measurements, and a model for more processes.

The model has three constants, measured in a group of processes: the time of a task's gradient, the latency of a
message, and the bandwidth. It assumes a ring: a sum of a vector over r ranks takes 2 (r - 1) messages, each with 1/r of
the vector. It knows no other cost, such as slow ranks or a shared network.
"""

import statistics
import time
from dataclasses import dataclass, replace

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
from amfs_lab.tasks import open_source

TASKS, EPISODES = 16, 600  # of the table
NUMBERS = 3  # vectors of the size of the meta-parameters that O-AMFS sums in a step: u_j, the mean, and c_j g_j
REDUCTIONS, BYTES = 2, 4
RANKS = (1, 2, 4, 8, 16, 64, 256, 1024)


@dataclass(frozen=True)
class Costs:
    """The constants of the model.

    Args:
        gradient: seconds of a task's gradient. latency: seconds of a message without content.
        bandwidth: bytes that a rank sends in a second. episode: seconds of the evaluation of one episode.
    """

    gradient: float
    latency: float
    bandwidth: float
    episode: float

    def gradients(self, tasks: int, ranks: int) -> float:
        """Seconds for the gradients of a step: those of the largest share."""
        return -(-tasks // ranks) * self.gradient

    def reductions(self, parameters: int, ranks: int) -> float:
        """Seconds of the two reductions of O-AMFS."""
        return REDUCTIONS * 2 * (ranks - 1) * self.latency + traffic(parameters, ranks) / self.bandwidth

    def evaluation(self, ranks: int) -> float:
        """Seconds for the evaluation of `EPISODES` episodes."""
        return -(-EPISODES // ranks) * self.episode


def traffic(parameters: int, ranks: int) -> float:
    """Bytes that each rank sends in a step of O-AMFS, for any number of tasks."""
    return 2 * (ranks - 1) / ranks * NUMBERS * parameters * BYTES


def report(ranks: Ranks, rounds: int, device: torch.device) -> str:
    """Measures the constants, and returns tables of the measured and the modelled times.

    Raises ConfigError for a single process.
    """
    if ranks.size == 1:
        raise ConfigError("`--ranks` needs several processes. Got one. Start it with torchrun --nproc-per-node 2.")
    shape = episode_config("5w1s")
    config = preset("amfs", episode=shape)
    learner = config.build().to(device)
    optimizer = torch.optim.Adam(learner.meta_parameters())
    tasks, wait = episodes_of(shape, TASKS, device), synchronize(device)
    learner.start(tasks[0])
    parameters = sum(p.numel() for p in learner.meta_parameters())

    def step(group: Ranks) -> None:
        share = [tasks[i] for i in group.share(TASKS)]
        apply(learner, optimizer, meta_gradient(learner, config.outer, share, ranks=group, tasks=TASKS).direction)

    def median(work: Step, count: int = rounds) -> float:
        """The median of the seconds of `work`, which all ranks begin at the same time; the slowest rank counts."""
        work()
        found = []
        for _ in range(count):
            wait()
            ranks.total(one)
            wait()
            began = time.perf_counter()
            work()
            wait()
            found.append(max(ranks.gathered(time.perf_counter() - began)))
        return statistics.median(found)

    one, vector = torch.zeros(1, device=device), torch.zeros(NUMBERS * parameters, device=device)
    messages = 2 * (ranks.size - 1)
    latency = median(lambda: ranks.total(one), 20 * rounds) / messages
    whole = median(lambda: ranks.total(vector))
    source = open_source("glyphs", "test", shape)
    costs = Costs(
        median(lambda: learner.task_gradients(tasks[:1])),
        latency,
        messages / ranks.size * vector.numel() * BYTES / max(whole - messages * latency, 1e-9),
        median(lambda: evaluate(learner, source, 2)) / 2,
    )
    network, task = _resnet12(device)
    large = {
        "gradient": median(lambda: network.task_gradients([task]), 1),
        "episode": median(lambda: network.scores(task), 1),
    }
    size = sum(p.numel() for p in network.meta_parameters())
    lines = []
    for group in (Ranks(), ranks):
        seconds = median(lambda group=group: step(group))
        model = costs.gradients(TASKS, group.size) + costs.reductions(parameters, group.size)
        sent = traffic(parameters, group.size) / 1e6
        lines.append([f"{group.size}", f"{1000 * seconds:.0f}", f"{1000 * model:.0f}", f"{sent:.2f}"])
    measured = markdown_table(["ranks", "measured, ms", "model, ms", "MB sent by a rank"], lines)
    constants = (
        f"{1000 * costs.gradient:.1f} ms for a gradient, {1e6 * latency:.0f} microseconds for a message, "
        f"{costs.bandwidth / 1e9:.2f} GB/s, {1000 * costs.episode:.1f} ms for the evaluation of an episode"
    )
    return "\n\n".join(
        [
            f"A meta-step of AMFS with {TASKS} 5-way 1-shot tasks of Conv-4 ({parameters:,} meta-parameters):",
            measured,
            f"Constants: {constants}.",
            "Model for more ranks, with one task for each rank, or 16 tasks for fewer ranks:",
            modelled(costs, parameters),
            "The same for ResNet-12 and colour images of 32 pixels, whose gradient was measured too:",
            modelled(replace(costs, **large), size),
        ]
    )


def modelled(costs: Costs, parameters: int) -> str:
    """The model's times in seconds, and the traffic of a rank."""
    lines = []
    for ranks in RANKS:
        tasks = max(TASKS, ranks)
        times = costs.gradients(tasks, ranks), costs.reductions(parameters, ranks), costs.evaluation(ranks)
        sent = traffic(parameters, ranks) / 1e6
        lines.append([f"{ranks}", f"{tasks}", *map(_short, times), _short(sent)])
    titles = ["ranks", "tasks", "gradients, s", "reductions, s", f"evaluation of {EPISODES} episodes, s"]
    return markdown_table([*titles, "MB sent by a rank in a step"], lines)


def _short(number: float) -> str:
    """The number with two digits, or without decimals."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def _resnet12(device: torch.device) -> tuple[MetaLearner, Episode]:
    """ResNet-12, and a task of noise for it: 5-way 1-shot, with 15 queries for each class, in colour."""
    learner = preset("amfs", backbone="resnet12").build((3, 32, 32)).to(device)
    support, query = (Examples(torch.rand(5 * n, 3, 32, 32), torch.arange(5).repeat(n), 5) for n in (1, 15))
    task = Episode(support, query).to(device)
    learner.start(task)
    return learner, task
