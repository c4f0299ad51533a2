"""Fixtures of all tests: seeded random numbers and data. Also a report of measured waiting times."""

import itertools
import json
import re
import statistics
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterable

import jaxtyping
import pytest
import torch
from torch import Tensor

with_shapes = jaxtyping.jaxtyped


def checked(*, typechecker: Callable) -> Callable:
    """The type check of jaxtyping's import hook. Functions without a shape in their signature get only the type check.

    Recording shapes at each call took a fifth of the time of tests that draw figures.
    """

    def check(made):
        plain = isinstance(made, types.FunctionType) and not any(map(names_a_shape, made.__annotations__.values()))
        return typechecker(made) if plain else with_shapes(made, typechecker=typechecker)

    return check


def names_a_shape(annotation: object) -> bool:
    """True if an annotation names a shape, or may name one because it is still a string."""
    if isinstance(annotation, (str, type)):
        return isinstance(annotation, str) or issubclass(annotation, jaxtyping.AbstractArray)
    return any(map(names_a_shape, typing.get_args(annotation)))


jaxtyping.jaxtyped = checked  # must happen before the package is imported

from amfs_lab.episode import Episode  # noqa: E402
from amfs_lab.tasks import EpisodeConfig, ImageSource  # noqa: E402

torch.set_num_threads(1)  # tensors are small, and several threads are slow on a busy machine


@pytest.fixture
def randn() -> Callable[..., Tensor]:
    """`randn(3, 4)`: float64 normal numbers, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape, dtype=torch.float64: torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.fixture
def images() -> Tensor:
    """Twelve classes of eight noisy images each, (12 8 28 28) in uint8. Each class has its own pattern."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.rand(12, 1, 28, 28, generator=generator)
    noisy = patterns + 0.15 * torch.randn(12, 8, 28, 28, generator=generator)
    return (noisy.clamp(0, 1) * 255).to(torch.uint8)


@pytest.fixture
def episode(images: Tensor) -> Episode:
    """A 3-way 1-shot task with 2 queries of each class, in float64."""
    source = ImageSource(images, tuple("abcdefghijkl"), EpisodeConfig(3, 1, 2))
    return source[0].to("cpu", torch.float64)


EVALUATE = """
import json, sys, warnings
from amfs_lab.errors import AmfsError
warnings.simplefilter("ignore")
setup, cases = json.load(sys.stdin)
exec(setup)
said = {}
for case in cases:
    try:
        said[case] = f"accepted: {eval(case)}"
    except AmfsError as error:
        said[case] = str(error)
    except Exception as error:
        said[case] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said_of() -> Callable[[str, Iterable[str]], dict[str, str]]:
    """`said_of(setup, expressions)`: the error message of each expression, in a process without the type checks.

    In the process of the tests, the type checks would raise first. An expression without an error gives
    "accepted: ...". An error that is not an AmfsError begins with its type.
    """

    def said_of(setup: str, cases: Iterable[str]) -> dict[str, str]:
        question = json.dumps([setup, list(cases)])
        done = subprocess.run([sys.executable, "-c", EVALUATE], input=question, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return said_of


def pytest_terminal_summary(terminalreporter) -> None:
    """Prints the waiting times that the browser tests have recorded: "From ... to ...", in milliseconds.

    Times are never asserted, because other programs on the machine affect them. The function is here, because in a run
    on several cores the main process reads no other conftest.
    """
    measured: dict[str, list[float]] = {}
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if getattr(report, "when", None) == "teardown":
            for name, waits in report.user_properties:
                if name.startswith("From "):
                    measured.setdefault(name, []).extend(waits)
    for name, ms in measured.items():
        if len(ms) > 1:
            ms.sort()
            terminalreporter.write_line(
                f"{name} in the browser: median {statistics.median(ms):.0f} ms, "
                f"95 % within {ms[int(0.95 * (len(ms) - 1))]:.0f} ms, {len(ms)} times."
            )


LESSON = re.compile(r"browser/test_lessons\.py::")  # these take minutes each and are independent


@pytest.hookimpl(optionalhook=True)  # unknown with `-p no:xdist`
def pytest_xdist_make_scheduler(config, log):
    """Keeps each file in one process, so that the cells of a notebook run in order. Browser lessons are distributed.

    As one file, the browser lessons kept one process busy long after the others had finished.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByFileAndLesson(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if LESSON.search(nodeid) else super()._split_scope(nodeid)

    return ByFileAndLesson(config, log) if config.getoption("dist") == "loadfile" else None
