"""Memory does not grow in a long training: the process is as large after 500 meta-steps as after 150."""

import json
import subprocess
import sys

import pytest

from amfs_lab.config import METHODS

ALLOWED = 1.5  # MiB; a graph of 5 KiB kept from every step would already need more

# In a process of its own, without type checks, because the checks would take most of the time.
TRAINING = """
import dataclasses, gc, json, sys, torch
from pathlib import Path
from amfs_lab.backbones import MLP
from amfs_lab.config import preset
from amfs_lab.inner import GradientLoop
from amfs_lab.learner import MetaLearner
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig
from amfs_lab.training import MetaTrainer

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

torch.set_num_threads(1)
shape = EpisodeConfig(2, 1, 1)
source = EmbeddingSource(torch.randn(6, 4, 3), tuple("abcdef"), shape)
for method in sys.argv[1:]:
    config = preset(method, episode=shape, tasks=1, steps=500, validate_every=0)
    if isinstance(config.inner, GradientLoop):
        config = dataclasses.replace(config, inner=dataclasses.replace(config.inner, steps=1))
    learner = MetaLearner(MLP(3, (), 2), config.inner.build(), shape.ways)
    run = MetaTrainer(config, learner=learner, train=source, validation=source).run()
    sizes = {progress.step: resident() for progress in run if progress.step in (150, 500)}
    print(json.dumps([method, sizes]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by /proc")
def test_meta_steps_of_any_method_do_not_grow_the_process():
    done = subprocess.run([sys.executable, "-c", TRAINING, *METHODS], capture_output=True, text=True, check=True)
    sizes = dict(map(json.loads, done.stdout.splitlines()))
    assert set(sizes) == set(METHODS)
    grown = {method: own["500"] - own["150"] for method, own in sizes.items()}
    assert max(grown.values()) < ALLOWED, grown
