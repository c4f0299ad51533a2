"""A pool trains and evaluates each job once, in any number of processes, and goes on where it was stopped."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from amfs_lab.config import preset
from amfs_lab.errors import DataError
from amfs_lab.evaluation import evaluate
from amfs_lab.experiments import pool as pools
from amfs_lab.experiments.pool import COMMON, END, Job, Pool, Question
from amfs_lab.runs import load_learner
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(3, 1, 2)
ASKED = tuple(
    Question("glyphs", "validation", SHAPE, norm, at, 5)
    for norm, at in (("transductive", END), ("support", END), ("transductive", COMMON))
)


def job(seed=0, method="i-amfs", steps=6, **settings):
    settings = {"average": 0.5, "validate_every": 0, "width": 4, "tasks": 2, "episode": SHAPE} | settings
    return Job(preset(method, steps=steps, seed=seed, **settings), ASKED, 4)


def same(a, b):
    return all(
        np.array_equal(one, other) for question in ASKED for one, other in zip(a[question], b[question], strict=True)
    )


def test_an_answer_is_the_evaluation_of_the_learner_that_the_job_describes(tmp_path):
    """At the common step, the learner has the average of its first four meta-steps."""
    done = job()
    (answers,) = Pool(tmp_path).answers([done])
    source = open_source("glyphs", "validation", SHAPE)
    trainer = MetaTrainer(done.config, device="cpu")
    for progress in trainer.run():
        if progress.step == 4:
            with trainer.selection.shown():
                early = evaluate(trainer.learner, source, 5)
                average = [each.detach().clone() for each in trainer.learner.parameters()]
    late = evaluate(trainer.learner, source, 5)
    for question, found in ((ASKED[0], late), (ASKED[2], early)):
        correct = (found.per_episode * SHAPE.answers).round().numpy()
        assert answers[question].correct.tolist() == correct.tolist()
        assert answers[question].reliability[:, 2].sum() == correct.sum()
        assert answers[question].reliability[:, 0].sum() == 5 * SHAPE.answers
    kept = load_learner(tmp_path / done.name / COMMON)[0]
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), average, strict=True))
    saved = load_learner(tmp_path / done.name)[0]
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), trainer.learner.parameters(), strict=True))


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    first = Pool(tmp_path).answers([job(), job(1)])
    monkeypatch.setattr(pools, "MetaTrainer", lambda *given, **named: pytest.fail("trained again"))
    monkeypatch.setattr(pools, "evaluate", lambda *given: pytest.fail("evaluated again"))
    again = Pool(tmp_path).answers([job(1), job()])
    assert same(first[0], again[1])
    assert same(first[1], again[0])


def test_another_setting_is_another_job():
    names = {job().name, job(1).name, job(steps=7).name, job(meta_lr=0.01).name, job(method="amfs").name}
    assert len(names) == 5


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_a_stopped_job_goes_on_to_the_same_answers(tmp_path, monkeypatch, stop):
    expected = Pool(tmp_path / "whole").answers([job()])
    run = MetaTrainer.run

    def stopping(self):
        for progress in run(self):
            yield progress
            if progress.step == stop:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MetaTrainer, "run", stopping)
        with pytest.raises(KeyboardInterrupt):
            Pool(tmp_path / "parts").answers([job()])
    assert same(Pool(tmp_path / "parts").answers([job()])[0], expected[0])


def test_several_processes_give_the_same_answers(tmp_path):
    jobs = [job(), job(1), job(method="prototypes")]
    for alone, shared in zip(
        Pool(tmp_path / "one").answers(jobs), Pool(tmp_path / "two", jobs=2).answers(jobs), strict=True
    ):
        assert same(alone, shared)


def test_an_error_in_a_process_is_raised_and_the_other_jobs_keep_their_answers(tmp_path):
    impossible = Job(job().config, (Question("glyphs", "validation", EpisodeConfig(500, 1, 1), "support", END, 5),), 4)
    with pytest.raises(Exception, match="500 ways"):
        Pool(tmp_path, jobs=2).answers([job(1), impossible])


ENDLESS = """
import sys
from pathlib import Path
from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.pool import Job, Pool
from amfs_lab.tasks import EpisodeConfig

if __name__ == "__main__":
    settings = dict(width=4, tasks=1, episode=EpisodeConfig(3, 1, 2), validate_every=0)
    jobs = [Job(TrainingConfig(steps=steps, **settings), (), 0) for steps in (1, 10**6)]
    Pool(Path(sys.argv[1]), jobs=2).answers(jobs, show=False)
"""


def test_no_process_stays_when_the_main_process_is_killed(tmp_path):
    """Neither one that trains nor one that waits. The pipe of their common output ends when all of them have ended."""
    script, pool = tmp_path / "endless.py", tmp_path / "pool"
    script.write_text(ENDLESS)
    with subprocess.Popen([sys.executable, script, pool], stdout=subprocess.PIPE) as main:
        end = time.monotonic() + 60
        while main.poll() is None and not list(pool.glob("*/meta_parameters.safetensors")) and time.monotonic() < end:
            time.sleep(0.1)
        main.kill()
        assert list(pool.glob("*/meta_parameters.safetensors"))
        assert main.communicate(timeout=60) == (b"", None)


def test_a_damaged_answer_is_named(tmp_path):
    done = job()
    Pool(tmp_path).answers([done])
    (tmp_path / done.name / ASKED[0].file).write_bytes(b"PK")
    with pytest.raises(DataError, match=r"Expected the answer of an evaluation in .*npz. Got: .* Delete it"):
        Pool(tmp_path).answers([done])


def test_a_question_has_the_same_file_in_every_process():
    assert Question(**json.loads(json.dumps(vars(ASKED[0]) | {"shape": None})) | {"shape": SHAPE}).file == ASKED[0].file
    assert len({each.file for each in ASKED}) == len(ASKED)
