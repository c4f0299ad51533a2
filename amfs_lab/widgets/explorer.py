"""The base class of all explorers. An explorer has controls, a figure, one sentence, and a banner for errors."""

import contextlib
import functools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets as w
import plotly.graph_objects as go
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.controls import Control, Fields, HiddenState
from amfs_lab.widgets.figure import Arrays, LiveFigure, State
from amfs_lab.widgets.jupyter import acknowledged, stopped
from amfs_lab.widgets.messages import Banner, Sentence, Words
from amfs_lab.widgets.panels import Panel, Panels
from amfs_lab.widgets.plotly_widget import Figure
from amfs_lab.widgets.saved_picture import show
from amfs_lab.widgets.traces import Trace

if TYPE_CHECKING:
    from amfs_lab.plots import SavableFigure

BESIDE = 4  # with more controls than this, the controls are placed beside the figure on a wide page


class Shown:
    """Base class of objects that a notebook cell shows as `self.widget`, or as a sentence if there are no widgets."""

    widget: w.Widget

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return {**(self.widget._repr_mimebundle_() or {}), "text/plain": repr(self)}, {}


class Explorer(Shown):
    """An interactive figure: controls, a figure that changes with the controls, and a sentence about the figure.

    A subclass declares controls as class attributes, a table of traces, and two functions:

    - `compute(state) -> Arrays` is a pure function with all mathematics, so it can be tested without widgets;
    - `say(arrays) -> str` describes the present state in one sentence.

    Args:
        preset: the name of the preset to start from. start: initial values of controls, by name.
    Raises:
        ConfigError: an unknown preset or control, or a value that a control does not accept.
    """

    title: ClassVar[str] = ""
    alt: ClassVar[str] = ""  # alternative text of the figure, for screen readers
    empty: ClassVar[str] = ""  # the text in a panel that has nothing to draw
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    panels: ClassVar[Panels] = Panels(figure=Panel())
    traces: ClassVar[Mapping[str, Trace]] = {}
    frame: ClassVar[Mapping[str, str]] = {}
    layout: ClassVar[Mapping[str, Any]] = {}
    declared: ClassVar[dict[str, Control]] = {}
    held: ClassVar[dict[str, HiddenState]] = {}

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        attributes = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
        cls.declared = {name: value for name, value in attributes.items() if isinstance(value, Control)}
        cls.held = {name: value for name, value in attributes.items() if isinstance(value, HiddenState)}

    def __init__(self, preset: str | None = None, **start: Any) -> None:
        # JupyterLab delivers widget messages on a separate thread, also while a cell runs.
        self._lock = threading.RLock()
        self._showing = False
        self.error: BaseException | None = None
        chosen = self._checked({**self.preset(preset), **start})
        start_of_all = {name: part.start for name, part in (self.declared | self.held).items()}
        self.start = State(start_of_all | chosen | self._followed(chosen, State(start_of_all | chosen)))
        self.state = self.start
        try:
            with one_thread():
                self.arrays = self.compute(self.state)
        except KeyboardInterrupt as interrupt:
            stopped(interrupt, "The figure was not computed to its end: run the cell again.")
            raise
        layout = {"height": 420, **self.layout}
        self.live_figure = LiveFigure(self.panels, self.traces, self.frame, layout, self.arrays, self.alt, self.empty)
        self.sentence = Sentence(text=self.say(self.arrays))
        self.banner = Banner()
        self.controls: dict[str, Fields] = {}
        label_width = f"{0.56 * max((len(control.label) for control in self.declared.values()), default=0) + 0.9:.1f}em"
        for name, control in self.declared.items():
            fields = self.controls[name] = control.fields(self.state[name], label_width)
            for part in fields.parts:
                self.guard(part.widget)
                part.widget.observe(functools.partial(self._moved, name, part), "value")
        self.guard(self.live_figure.state)
        self.live_figure.state.observe(lambda change: self.pointed(change["new"]), ["click", "hover"])
        self.widget = self._assemble()

    # Methods that a subclass defines.

    def compute(self, state: State) -> Arrays:
        raise NotImplementedError

    def say(self, arrays: Arrays) -> str:
        raise NotImplementedError

    def consequences(self, changed: Collection[str], state: State) -> Mapping[str, Any]:
        """The new values of those controls that depend on the changed controls, by name. The page then shows them.

        Args:
            changed: names of the controls that were just set.
        """
        return {}

    def rows(self, rare: bool) -> list[w.Widget]:
        """The boxes of the rare controls if `rare`, otherwise of all other controls, in their order on the page."""
        return [fields.box for name, fields in self.controls.items() if self.declared[name].rare == rare]

    def tools(self) -> list[w.Widget]:
        """Additional widgets for the row of buttons."""
        return []

    def pointed(self, event: Mapping[str, Any]) -> None:
        """Handles a mouse event, which has the keys `trace` (a name), and `x`, `y` and `index` of the point."""

    # Methods for users, lessons and tests.

    def set(self, **changes: Any) -> None:
        """Sets controls by name in one update: `explorer.set(bandwidth=2.0, points="twins")`."""
        self._change(changes)

    def reset(self) -> None:
        """Sets all controls to their initial values. Recorded data are kept."""
        self._change({name: self.start[name] for name in self.declared})

    @property
    def figure(self) -> go.Figure:
        """The plotly figure of the present state, to show or save. If you change it, the page does not change."""
        return self.live_figure.figure

    def trace(self, name: str) -> Any:
        """The plotly trace of the present state with the name `name` in the table of traces."""
        return self.live_figure.trace(name)

    def picture(self, panel: int | None = None) -> "SavableFigure":
        """A picture of the present state for slides or a paper: `explorer.picture().savefig("figure.svg")`.

        You can also save the formats `.pdf` and `.png`.

        Args:
            panel: the number of one panel, from 1. The picture then shows only this panel, without title and sentence.
        """
        from amfs_lab.widgets.static_figure import still  # matplotlib is slow to import, so only this method imports it

        words = (self.title, self.sentence.text) if panel is None else ("", "")
        return still(self.figure, self.live_figure.state.specification, *words, panel=panel)

    def _ipython_display_(self) -> None:
        show(self)

    def preset(self, name: str | None) -> dict[str, Any]:
        """The values of the controls that a preset sets. Raises ConfigError for an unknown name."""
        if name is not None and name not in self.presets:
            raise ConfigError(f"`preset` must be one of {', '.join(map(repr, self.presets))}. Got {name!r}.")
        return {} if name is None else dict(self.presets[name])

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.sentence.text}"

    # Errors stay visible: the banner shows the error, and the error is raised again. A kernel then sends an `error`
    # message on iopub (ipywidgets passes the error to the shell). The browser test reads this message.

    def guard(self, widget: Any) -> None:
        """Adds error messages to a widget: if a message from the page causes an error, the banner shows the error.

        This includes the error of a trait that rejects the message before any callback.
        """
        widget.set_state = self.safe(acknowledged(widget.set_state))
        widget._handle_custom_msg = self.safe(acknowledged(widget._handle_custom_msg))

    def safe(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """A wrapper of the callback: if the callback fails, the banner shows the error."""

        @functools.wraps(callback)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except Exception as error:
                self.show_error(error)
                raise

        return guarded

    def show_error(self, error: BaseException) -> None:
        """Shows the error in the red banner until the next successful change."""
        self.error = error
        self.banner.show(error)

    # Every change of a control reaches the figure through this method.

    def _moved(self, name: str, part: Any, change: Any) -> None:
        if self._showing:
            return
        control, asked = self.declared[name], part.from_widget(change["new"])
        value = control.nearest(asked)
        if value == asked:
            self._change({name: value}, leave=part.widget)
        else:
            self._change({name: value})
            ticks = " in whole numbers" if isinstance(value, int) and asked % 1 > 0 else ""
            self.controls[name].remark(f"{control.label} goes {control.extent}{ticks}: {asked:g} became {value:g}.")

    def _change(self, changes: Mapping[str, Any], leave: w.Widget | None = None) -> None:
        with self._lock:
            for fields in self.controls.values():
                fields.remark("")
            before = self.state
            try:
                chosen = self._checked(changes)
                self.state = State({**before, **chosen})
                followed = self._followed(chosen, self.state)
                self.state = State({**self.state, **followed})
                self._show_controls([*chosen, *followed], leave)
                with one_thread():
                    arrays = self.compute(self.state)
                words = self.say(arrays)
                self.live_figure.update(arrays)
                self.sentence.text, self.arrays = words, arrays
            except Exception as error:
                self.show_error(error)
                raise
            except BaseException:  # an interrupt is not shown as an error; state, controls and figure are restored
                self.state = before
                self._show_controls(self.controls, None)
                self.sentence.text = self.say(self.arrays)
                self.live_figure.update(self.arrays)
                raise
            self.error = None
            self.banner.hide()

    def _checked(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        known = self.declared | self.held
        for name in changes:
            if name not in known:
                raise ConfigError(
                    f"A control of {type(self).__name__} must be one of {', '.join(self.declared)}. Got {name!r}."
                )
        return {name: known[name].check(value) for name, value in changes.items()}

    def _followed(self, changed: Collection[str], state: State) -> dict[str, Any]:
        return self._checked(self.consequences(changed, state))

    def _show_controls(self, names: Iterable[str], leave: w.Widget | None) -> None:
        self._showing = True
        try:
            for name in names:
                if name in self.controls:
                    self.controls[name].show(self.state[name], leave=leave)
        finally:
            self._showing = False

    def _assemble(self) -> w.VBox:
        boxes = [w.HBox(self.rows(rare)) for rare in (False, True)]
        more = self._more(boxes[1])
        for box in boxes:
            box.add_class("amfs-controls")
        buttons = [
            self._button(name, self.safe(functools.partial(self._change, preset)))
            for name, preset in self.presets.items()
        ]
        reset = self._button(
            "Reset", self.safe(self.reset), icon="undo", tooltip="Back to the start (recorded data stay)"
        )
        toolbar = w.HBox([*self.tools(), *buttons, reset, *more], layout=w.Layout(flex_flow="row wrap"))
        toolbar.add_class("amfs-toolbar")
        left = w.VBox(boxes)
        left.add_class("amfs-left")
        body = w.Box([left, Figure(self.live_figure.state)])
        body.add_class("amfs-body")
        if len(boxes[0].children) > BESIDE:
            body.add_class("amfs-beside")
        box = w.VBox(
            [Words(self.title, "amfs-title"), self.banner, toolbar, self.sentence, body],
            layout=w.Layout(width="100%"),
        )
        box.add_class("amfs-explorer")
        return box

    def _more(self, box: w.HBox) -> list[w.Widget]:
        """A list with the button that shows the rare controls; empty if there are no rare controls."""
        fold = w.ToggleButton(description="More controls", icon="sliders-h", layout=w.Layout(width="auto"))
        fold.tooltip = "Show or hide the controls that are rarely needed"
        fold.add_class("amfs-more")

        def unfold(change: Any = None) -> None:
            box.layout.display = "" if fold.value else "none"

        fold.observe(unfold, "value")
        unfold()
        return [fold] if box.children else []

    def _button(self, name: str, action: Callable[[], Any], **look: Any) -> w.Button:
        button = w.Button(description=name, layout=w.Layout(width="auto"), **look)
        button.on_click(lambda _: action())
        self.guard(button)
        return button


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch uses only one thread, for the small tensors of a figure. Training is not affected.

    On a busy machine, several threads wait for each other, and a move of a slider takes tens of times longer.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
