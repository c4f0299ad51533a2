"""A pool trains and evaluates each job once, in any number of processes, and goes on where it was stopped."""

import json
import multiprocessing
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.evaluation import evaluate
from amfs_lab.experiments import pool as pools
from amfs_lab.experiments.pool import DATA, Job, Pool, Question, slug
from amfs_lab.provenance import code_version
from amfs_lab.runs import load_learner
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer
from tests.tasks import small_images as small

SHAPE = EpisodeConfig(3, 1, 2)
ASKED = tuple(Question("glyphs", "validation", SHAPE, norm, 5) for norm in ("transductive", "support"))


def job(seed=0, method="i-amfs", steps=6, **settings):
    settings = {"average": 0.5, "validate_every": 0, "width": 4, "tasks": 2, "episode": SHAPE} | settings
    return Job(preset(method, steps=steps, seed=seed, **settings), ASKED)


def same(a, b):
    return all(
        np.array_equal(one, other) for question in ASKED for one, other in zip(a[question], b[question], strict=True)
    )


def test_an_answer_is_the_evaluation_of_the_learner_that_the_job_describes(tmp_path):
    done = job()
    (answers,) = Pool(tmp_path).answers([done])
    source = open_source("glyphs", "validation", SHAPE)
    trainer = MetaTrainer(done.config, device="cpu")
    for _ in trainer.run():
        pass
    correct = (evaluate(trainer.learner, source, 5).per_episode * SHAPE.answers).round().numpy()
    assert answers[ASKED[0]].correct.tolist() == correct.tolist()
    assert answers[ASKED[0]].reliability[:, 2].sum() == correct.sum()
    assert answers[ASKED[0]].reliability[:, 0].sum() == 5 * SHAPE.answers
    saved = load_learner(tmp_path / done.name)[0]
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), trainer.learner.parameters(), strict=True))
    record = Pool(tmp_path).record(done)
    assert (record["method"], record["seed"], record["step"], record["folder"]) == ("i-amfs", 0, 6, done.name)
    assert record["seconds"] > 0
    assert record["commit"] == code_version()["commit"]


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
    impossible = Job(job().config, (Question("glyphs", "validation", EpisodeConfig(500, 1, 1), "support", 5),))
    with pytest.raises(Exception, match="500 ways"):
        Pool(tmp_path, jobs=2).answers([job(1), impossible])


def test_an_error_ends_all_processes_and_no_other_job_begins(tmp_path):
    """Also if a process has filled the pipe of its progress, which nobody reads any more."""
    impossible = Job(job().config, (Question("glyphs", "validation", EpisodeConfig(500, 1, 1), "support", 5),))
    endless = [job(seed, steps=10**6) for seed in range(1, 9)]
    with pytest.raises(Exception, match="500 ways"):
        Pool(tmp_path, jobs=2).answers([impossible, *endless])
    assert not multiprocessing.active_children()
    assert len([one for one in endless if (tmp_path / one.name).exists()]) <= 2


def test_a_training_that_diverges_is_an_error_or_has_wrong_answers(tmp_path):
    wild = {"meta_lr": 1e30, "average": 0.0}
    with pytest.raises(NumericalError):
        Pool(tmp_path).answers([job(**wild)])
    tried = Job(job(1, **wild).config, ASKED, may_diverge=True)
    for _ in range(2):  # the second time they are read
        (answers,) = Pool(tmp_path).answers([tried])
        for question in ASKED:
            assert answers[question].correct.tolist() == [0] * 5
            assert answers[question].reliability[:, 0].sum() == 5 * SHAPE.answers


def test_a_run_that_was_killed_between_its_two_files_is_made_again(tmp_path):
    done = job()
    (first,) = Pool(tmp_path).answers([done])
    (tmp_path / done.name / "run.json").unlink()
    for question in ASKED:
        (tmp_path / done.name / question.file).unlink()
    assert same(Pool(tmp_path).answers([done])[0], first)


def test_other_data_than_those_of_the_learners_are_refused(tmp_path):
    tree = tmp_path / "birds"
    small.class_folders(tree, dict.fromkeys("abcdef", 4))
    asked = Question(f"folder:{tree}", "train", EpisodeConfig(2, 1, 1), "support")
    pool = Pool(tmp_path / "pool")
    pool.check_data([asked])
    pool.check_data([asked])
    small.class_folders(tree, dict.fromkeys("abcdefg", 5))
    with pytest.raises(
        ConfigError, match=r"must have the data of this command. Got other classes or images of folder:"
    ):
        pool.check_data([asked])
    (tmp_path / "pool" / DATA).write_text("{")
    with pytest.raises(DataError, match=r"Expected a file of a pool: .*data.json. Got: "):
        pool.check_data([asked])


def test_the_number_of_processes_is_checked(tmp_path):
    with pytest.raises(ConfigError, match=r"`jobs` must be an integer >= 1. Got 0."):
        Pool(tmp_path, jobs=0)


def test_a_process_that_is_killed_is_an_error_with_advice(tmp_path):
    killer = threading.Thread(target=kill_a_child, daemon=True)
    killer.start()
    with pytest.raises(ConfigError, match=r"A process of `--jobs` has ended, .* with fewer processes: it continues."):
        Pool(tmp_path, jobs=2).answers([job(seed, steps=10**6) for seed in range(2)])
    killer.join(60)


def kill_a_child():
    """Kills a worker process as soon as there is one."""
    while not multiprocessing.active_children():
        time.sleep(0.05)
    multiprocessing.active_children()[0].kill()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("glyphs", "glyphs"),
        ("fc100:partial", "fc100-partial"),
        ("folder:/a/my birds", "folder-my-birds"),
        ("folder:../..", "folder"),
    ],
)
def test_a_data_set_has_a_name_that_is_one_part_of_a_path(source, name):
    assert slug(source) == name


ENDLESS = """
import sys
from pathlib import Path
from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.pool import Job, Pool, Question
from amfs_lab.tasks import EpisodeConfig

if __name__ == "__main__":
    shape = EpisodeConfig(3, 1, 2)
    settings = dict(width=4, tasks=1, episode=shape, validate_every=0)
    asked = (Question("glyphs", "validation", shape, "support", 5),)
    jobs = [Job(TrainingConfig(steps=steps, **settings), asked) for steps in (1, 10**6)]
    Pool(Path(sys.argv[1]), jobs=2).answers(jobs, show=False)
"""


def test_no_process_stays_when_the_main_process_is_killed(tmp_path):
    """Neither one that trains nor one that waits. The pipe of their common output ends when all of them have ended."""
    script, pool = tmp_path / "endless.py", tmp_path / "pool"
    script.write_text(ENDLESS)
    with subprocess.Popen([sys.executable, script, pool], stdout=subprocess.PIPE) as main:
        end = time.monotonic() + 60
        while main.poll() is None and not list(pool.glob("*/answer-*.npz")) and time.monotonic() < end:
            time.sleep(0.1)
        main.kill()
        assert list(pool.glob("*/answer-*.npz"))
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
