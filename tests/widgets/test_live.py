"""Live runs: steps are recorded, Stop stops a run, and errors are shown; in plain asyncio, then in a real kernel."""

import asyncio
import contextlib
import sys
import time
from types import SimpleNamespace

import pytest
from jupyter_client.manager import start_new_kernel

from amfs_lab.config import preset
from amfs_lab.explore import MetaTrainingExplorer, TrainingTrajectoryExplorer
from amfs_lab.training import MetaTrainer
from amfs_lab.widgets.live import NEXT, live


def steps(method="amfs", n=5, closed=None, after=None, pause=0.0):
    """Fake progress. `closed` collects the methods whose generator was closed; `after(step)` runs after each step."""
    try:
        for step in range(1, n + 1):
            time.sleep(pause)
            yield SimpleNamespace(
                method=method, step=step, seconds=step * 0.1, loss=1 / step, accuracy=step / n, validation=None
            )
            if after is not None:
                after(step)
    finally:
        if closed is not None:
            closed.append(method)


@pytest.fixture
def explorer():
    return MetaTrainingExplorer(smoothing=1)


def test_a_run_is_recorded_to_its_end_and_returns_its_last_step(explorer):
    last = asyncio.run(live(steps(), explorer, every=100))
    assert last.step == 5
    assert [step.step for step in explorer.history["amfs"]] == [1, 2, 3, 4, 5]
    drawn = next(trace for trace in explorer.figure.data if trace.name == "AMFS")
    assert len(drawn.x) == 5, "steps that were not drawn at once are drawn at the end"
    assert explorer.sentence.text.startswith("Finished: AMFS 100.0 %")


def test_drawing_is_throttled(explorer, monkeypatch):
    drawn = []
    monkeypatch.setattr(explorer, "refresh", lambda: drawn.append(time.perf_counter()))
    asyncio.run(live(steps(n=40, pause=0.005), explorer, every=0.1))
    assert 2 <= len(drawn) <= 6


def test_stop_ends_the_run_after_its_step_and_closes_it(explorer):
    closed = []
    run = steps(n=1000, closed=closed, after=lambda step: explorer.stop_button.click() if step == 3 else None)
    last = asyncio.run(live(run, explorer))
    assert last.step == 4
    assert (closed, explorer.status) == (["amfs"], "stopped")
    assert explorer.stop_button.disabled
    assert explorer.sentence.text.startswith("Stopped: AMFS")


def test_the_button_works_only_while_something_runs_and_again_in_the_next_run(explorer):
    assert explorer.stop_button.disabled
    seen = []
    asyncio.run(live(steps(after=lambda step: seen.append(explorer.stop_button.disabled)), explorer))
    assert seen == [False] * 5
    explorer.stop()
    assert asyncio.run(live(steps(), explorer)).step == 5


def test_several_runs_advance_at_equal_seconds_and_stop_together(explorer):
    order, closed = [], []
    runs = {
        "amfs": steps("amfs", 4, closed, after=lambda step: order.append("amfs")),
        "maml": (SimpleNamespace(**{**vars(step), "seconds": 3 * step.seconds}) for step in steps("maml", 4, closed)),
    }
    last = asyncio.run(live(runs, explorer))
    assert {name: step.step for name, step in last.items()} == {"amfs": 4, "maml": 4}
    assert sorted(explorer.history) == ["amfs", "maml"]

    explorer = MetaTrainingExplorer()
    closed.clear()
    runs = {
        "amfs": steps("amfs", 99, closed),
        "maml": steps("maml", 99, closed, after=lambda step: explorer.stop() if step == 2 else None),
    }
    last = asyncio.run(live(runs, explorer))
    assert abs(last["amfs"].step - last["maml"].step) <= 1
    assert sorted(closed) == ["amfs", "maml"]


def test_an_error_in_a_run_reaches_the_caller_and_the_banner(explorer):
    def fail(step):
        raise ArithmeticError("the loss is not finite")

    with pytest.raises(ArithmeticError, match="not finite"):
        asyncio.run(live(steps(after=fail), explorer))
    assert "not finite" in explorer.banner.value
    assert explorer.status == "failed"
    assert explorer.stop_button.disabled


def test_an_interrupt_closes_the_run_too(explorer):
    closed = []

    def interrupt(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(live(steps(closed=closed, after=interrupt), explorer))
    assert (closed, explorer.status) == (["amfs"], "stopped")
    assert_stopped(explorer)


def assert_stopped(explorer):
    """Asserts that there is no error, that the trained steps are kept, and that a sentence gives advice."""
    assert (explorer.status, explorer.error, explorer.banner.value) == ("stopped", None, "")
    assert explorer.stop_button.disabled
    assert explorer.sentence.text.startswith("Stopped: AMFS ")
    assert explorer.sentence.text.endswith(f". {NEXT}")


@pytest.mark.parametrize("kind", [MetaTrainingExplorer, TrainingTrajectoryExplorer])
def test_an_interrupt_before_the_first_step_advises_to_run_the_cell_again(kind):
    def interrupted():
        raise KeyboardInterrupt
        yield

    explorer = kind()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(live(interrupted(), explorer))
    assert explorer.sentence.text == "Stopped before the first meta-step. Run the cell again."
    assert explorer.banner.value == ""


def test_a_task_that_is_cancelled_is_stopped_and_stays_cancelled(explorer):
    """ipykernel cancels a cell that awaits in this way."""
    closed = []

    async def cell():
        task = asyncio.ensure_future(live(steps(n=1000, closed=closed, pause=0.005), explorer, every=0.01))
        while not explorer.history:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as told:
            await task
        return told.value

    asyncio.run(cell())
    assert closed == ["amfs"]
    assert_stopped(explorer)


def test_a_second_interrupt_during_closing_still_closes_all_runs(explorer):
    closed = []

    def stubborn():
        try:
            yield from steps()
        finally:
            raise KeyboardInterrupt

    runs = {"amfs": stubborn(), "maml": steps("maml", 99, closed, after=raising_from(2))}
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(live(runs, explorer))
    assert closed == ["maml"]
    assert explorer.status == "stopped"
    assert explorer.stop_button.disabled


def raising_from(first):
    def after(step):
        if step >= first:
            raise KeyboardInterrupt

    return after


def test_an_error_while_closing_a_run_is_raised_and_the_others_are_closed(explorer):
    closed = []

    def unsaved():
        try:
            yield from steps(after=lambda step: explorer.stop())
        finally:
            raise OSError("no space left on the disk")

    with pytest.raises(OSError, match="no space left"):
        asyncio.run(live({"amfs": unsaved(), "maml": steps("maml", 99, closed)}, explorer))
    assert explorer.status == "failed"
    assert "no space left" in explorer.banner.value
    assert closed in ([], ["maml"])  # a generator that has not started has nothing to close


def test_an_interrupted_training_can_be_resumed(explorer, tmp_path):
    settings = preset("amfs", steps=6, width=8, validate_every=0)

    def interrupted(run):
        with contextlib.closing(run):
            for progress in run:
                yield progress
                if progress.step == 3:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(live(interrupted(MetaTrainer(settings, folder=tmp_path, device="cpu").run()), explorer))
    assert_stopped(explorer)
    assert [step.step for step in explorer.history["amfs"]] == [1, 2, 3]
    rest = MetaTrainer(settings, folder=tmp_path, device="cpu", resume=True)
    assert asyncio.run(live(rest.run(), explorer)).step == 6
    assert [step.step for step in explorer.history["amfs"]] == [1, 2, 3, 4, 5, 6]
    assert explorer.sentence.text.startswith("Finished: AMFS")


def test_an_empty_run_says_so(explorer):
    assert asyncio.run(live(iter(()), explorer)) is None
    assert explorer.sentence.text == "The run ended without a meta-step."


class Kernel:
    """A real ipykernel that gets the messages a page would send."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(startup_timeout=60)

    def send(self, comm, **data):
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def messages(self, request):
        """The messages that the kernel publishes until a request is finished."""
        found = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            found.append(message)
            same = message["parent_header"].get("msg_id") == request
            if same and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found

    def run(self, code):
        found = self.messages(self.client.execute(code))
        errors = [message["content"]["evalue"] for message in found if message["msg_type"] == "error"]
        assert not errors, errors
        return "".join(message["content"]["text"] for message in found if message["msg_type"] == "stream").split()


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def comms(kernel):
    return kernel.run(
        """
import time
from types import SimpleNamespace
from amfs_lab.explore import MetaTrainingExplorer
from amfs_lab.widgets import live
e = MetaTrainingExplorer()
slider = e.controls["smoothing"].parts[0].widget
def fake(n, pause):
    for step in range(1, n + 1):
        time.sleep(pause)
        yield SimpleNamespace(method="amfs", step=step, seconds=step * pause, loss=1.0, accuracy=0.5, validation=None)
print(slider.comm.comm_id, e.stop_button.comm.comm_id, e.controls["against"].parts[0].widget.comm.comm_id)
"""
    )


@pytest.mark.slow
def test_in_a_kernel_a_slider_is_answered_during_a_run_and_stop_ends_it(kernel, comms):
    slider, stop, _ = comms
    run = kernel.client.execute("last = await live(fake(400, 0.05), e)")
    while kernel.client.get_iopub_msg(timeout=60)["msg_type"] != "comm_msg":
        pass  # wait until the explorer reports that it runs
    moved = kernel.send(slider, method="update", state={"value": 7}, buffer_paths=[])
    found = kernel.messages(moved)  # ends only if the message is acknowledged: otherwise no slider moves twice
    assert not any(message["msg_type"] == "error" for message in found)
    clicked = time.monotonic()
    kernel.send(stop, method="custom", content={"event": "click"})
    kernel.messages(run)
    assert time.monotonic() - clicked < 5, "Stop must end a run of twenty seconds after the present step"
    status, smoothing, step = kernel.run("print(e.status, e.smoothing, last.step)")
    assert (status, smoothing) == ("stopped", "7")
    assert int(step) < 200


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="on Windows an event interrupts a kernel, not a signal")
def test_in_a_kernel_the_interrupt_button_stops_a_run_with_a_message(kernel, comms):
    run = kernel.client.execute("last = await live(fake(400, 0.05), e)")
    while kernel.client.get_iopub_msg(timeout=60)["msg_type"] != "comm_msg":
        pass
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    found = kernel.messages(run)
    (error,) = [message["content"] for message in found if message["msg_type"] == "error"]
    (box,) = [message["content"]["data"] for message in found if message["msg_type"] == "display_data"]
    assert box["text/plain"] == f"Stopped. {NEXT}"
    assert "amfs-stopped" in box["text/html"]
    assert error["ename"] in ("CancelledError", "KeyboardInterrupt")
    assert error["traceback"] == ["Stopped."]
    assert kernel.run("print(e.status, bool(e.banner.value), e.error)") == ["stopped", "False", "None"]
    assert kernel.run("print((await live(fake(2, 0.01), e)).step, e.status)") == ["2", "finished"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("index", "state", "words"), [(0, {"value": "many"}, "IntSlider"), (2, {"index": 9}, "Invalid selection")]
)
def test_in_a_kernel_a_refused_value_leaves_as_an_error_message(kernel, comms, index, state, words):
    found = kernel.messages(kernel.send(comms[index], method="update", state=state, buffer_paths=[]))
    errors = [message for message in found if message["msg_type"] == "error"]
    assert [message["parent_header"]["msg_type"] for message in errors] == ["comm_msg"], (
        "the browser test reads this message"
    )
    assert words in errors[0]["content"]["evalue"] or words in "".join(errors[0]["content"]["traceback"])
    assert kernel.run("print(bool(e.banner.value)); e.reset(); print(bool(e.banner.value))") == ["True", "False"]
