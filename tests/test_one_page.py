"""docs/amfs_in_one_page.py and the library implement the same method: ten equal meta-steps."""

import importlib.util
from pathlib import Path

import pytest
import torch

from amfs_lab.backbones import Conv4
from amfs_lab.episode import Episode, Examples
from amfs_lab.inner import FunctionSpace
from amfs_lab.kernels import RBF
from amfs_lab.learner import MetaLearner
from amfs_lab.meta_step import meta_step
from amfs_lab.outer import PairwiseCosine

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "amfs_in_one_page.py"
TEXT = PAGE.read_text(encoding="utf-8")
WIDTH = 4


@pytest.fixture
def page():
    spec = importlib.util.spec_from_file_location("amfs_in_one_page", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copied(learner, page) -> MetaLearner:
    """A learner of the library with the settings and weights of the page's learner."""
    net = Conv4(WIDTH)
    for block, conv, norm in zip(net.blocks, learner.convs, learner.norms, strict=True):
        block.conv.load_state_dict(conv.state_dict())
        block.norm.load_state_dict(norm.state_dict())
    inner = FunctionSpace(RBF(learner.log_sigma.exp().item()), lam=page.LAM, scale=learner.log_scale.exp().item())
    return MetaLearner(net, inner).double()


def named(learner: MetaLearner) -> dict[str, torch.Tensor]:
    """The library's meta-parameters by the names of the page."""
    found = {"log_sigma": learner.inner.kernel.log_bandwidth, "log_scale": learner.inner.log_scale}
    for i, block in enumerate(learner.net.blocks):
        found |= {f"convs.{i}.weight": block.conv.weight}
        found |= {f"norms.{i}.{name}": value for name, value in block.norm.named_parameters()}
    return found


def test_ten_steps_of_the_page_are_ten_steps_of_the_library(page):
    torch.manual_seed(0)
    ours = page.Learner(WIDTH).double()
    theirs = copied(ours, page)
    before = {name: value.detach().clone() for name, value in ours.named_parameters()}
    optimizers = [torch.optim.Adam(learner.parameters(), lr=1e-2) for learner in (ours, theirs)]
    images = torch.rand(12, 20, 1, 28, 28, dtype=torch.float64)
    for _ in range(10):
        tasks = [page.draw_task(images) for _ in range(page.TASKS)]
        loss = page.meta_step(ours, optimizers[0], tasks)
        episodes = [Episode(Examples(*task[:2], page.WAYS), Examples(*task[2:], page.WAYS)) for task in tasks]
        known = meta_step(theirs, PairwiseCosine(), optimizers[1], episodes)
        assert loss == pytest.approx(known.losses.mean().item(), rel=1e-9)
    library = named(theirs)
    assert library.keys() == before.keys()
    for name, value in ours.named_parameters():
        torch.testing.assert_close(value, library[name], rtol=1e-7, atol=1e-8, msg=name)
        assert not torch.equal(value, before[name]), f"{name} was not trained"


def test_a_task_of_the_page_has_other_images_in_support_and_query(page):
    images = torch.arange(12 * 20.0).view(12, 20, 1, 1, 1)  # each image is one pixel with a unique number
    support, labels, query, answers = page.draw_task(images)
    assert len({*support.flatten().tolist(), *query.flatten().tolist()}) == page.WAYS * (page.SHOTS + page.QUERIES)
    for label in range(page.WAYS):
        (of_support,), of_query = support[labels == label].flatten() // 20, query[answers == label].flatten() // 20
        assert bool((of_query == of_support).all())


def test_the_page_runs_by_itself(monkeypatch, capsys):
    """It runs as a script in the folder of the project, for two steps."""
    monkeypatch.chdir(ROOT)
    exec(TEXT.replace("1001", "3"), {"__name__": "__main__"})
    steps = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [step for step, _ in steps] == ["1", "2"]
    assert all(0 < float(loss) < 3 for _, loss in steps)


def test_the_page_is_one_page_without_the_library():
    assert len(TEXT.splitlines()) <= 60
    assert "amfs_lab" not in TEXT


@pytest.mark.parametrize("number", range(1, 6))
def test_each_equation_is_named_at_its_line(number):
    docstring, code = TEXT.split('"""')[1:]
    assert f" ({number}) " in docstring
    assert code.count(f"  # ({number})\n") == 1
