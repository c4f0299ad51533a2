"""A question before a figure. The user chooses an option and gets an explanation, also for a wrong option."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.explorer import Shown
from amfs_lab.widgets.jupyter import stopped
from amfs_lab.widgets.messages import Sentence, Words


class Prediction(Shown):
    """A question with one button per option. See `predict`."""

    def __init__(
        self, question: str, options: Sequence[str], answer: str | Callable[[], str | None], because: Mapping[str, str]
    ) -> None:
        self.question, self.options, self.because = question, tuple(options), dict(because)
        self._answer = answer
        self.chosen: list[str] = []
        self._key()  # a question without a right answer raises an error here, for the author, and not at a user's click
        for option in self.because:
            if option not in self.options:
                raise ConfigError(
                    f"`because` must give reasons for the options {self.options}. Got a reason for {option!r}."
                )
        self.feedback = Sentence(text="Choose before you look: a wrong guess teaches more than no guess.")
        self.buttons = {
            option: w.Button(description=option, layout=w.Layout(width="auto", min_width="90px"))
            for option in self.options
        }
        for option, button in self.buttons.items():
            button.on_click(lambda _, option=option: self._clicked(option))
        words = Words(question, "amfs-question", "<b>Predict.</b> {}")
        row = w.HBox(list(self.buttons.values()), layout=w.Layout(flex_flow="row wrap"))
        self.widget = w.VBox([words, row, self.feedback])
        self.widget.add_class("amfs-predict")

    def _clicked(self, option: str) -> None:
        try:
            self.choose(option)
        except KeyboardInterrupt:
            self.feedback.text = "Stopped before the answer was known. Choose again."
            raise
        except Exception as error:
            self.feedback.text = f"This question met an error. {type(error).__name__}: {error}"
            raise  # the kernel sends it as an `error` message

    def choose(self, option: str) -> bool:
        """Handles the choice of an option, and shows the feedback. Returns True if the option is right."""
        if option not in self.options:
            raise ConfigError(f"`option` must be one of {', '.join(map(repr, self.options))}. Got {option!r}.")
        key = self._key()
        self.chosen.append(option)
        if key is None:
            self.feedback.text = f"Noted: {option}. The answer is not known yet. Your choice is kept until then."
            return False
        button, right = self.buttons[option], option == key
        button.icon, button.disabled = ("check", False) if right else ("rotate-left", True)
        if right:
            button.button_style = "success"
            for other in self.buttons.values():
                other.disabled = other is not button
        self.feedback.text = self._reason(option, right)
        return right

    def _reason(self, option: str, right: bool) -> str:
        reason = self.because.get(option, "")
        if right:
            return f"Yes: {option}. {reason}".strip()
        reason = reason or "the numbers, computed just now, say otherwise"
        end = "" if reason.endswith(("?", "!")) else "."
        return f"You said “{option}”. Consider: {reason.rstrip('.')}{end} Then choose again."

    def settle(self) -> str:
        """Compares the last choice with the answer, which was unknown when the user chose. Returns a sentence."""
        key = self._key()
        if key is None:
            return "The answer is not known yet: run the cells in between first."
        if not self.chosen:
            return f"You made no prediction. The answer is: {key}."
        right = self.choose(self.chosen[-1])
        return self.feedback.text if right else f"You said “{self.chosen[-1]}”. The answer is: {key}."

    def _key(self) -> str | None:
        try:
            key = self._answer() if callable(self._answer) else self._answer
        except KeyboardInterrupt as interrupt:
            stopped(interrupt, "The question needs its answer first: run the cell again.")
            raise
        if key is None and callable(self._answer):
            return None
        if key not in self.options:
            raise ConfigError(f"`answer` must be one of {', '.join(map(repr, self.options))}. Got {key!r}.")
        return key

    def __repr__(self) -> str:
        return f"Predict: {self.question} ({' / '.join(self.options)})"


def predict(
    question: str,
    options: Sequence[str],
    answer: str | Callable[[], str | None],
    because: Mapping[str, str] | None = None,
) -> Prediction:
    """A question to answer before the figure is shown.

    Args:
        answer: the right option, or a function that computes it from the figure's numbers at the user's click. While
            the function returns None, the answer is unknown, and the choice is kept for `.settle()`.
        because: a text for each option. For a wrong option, the text is a hint that shows the mistake. For the right
            option, the text is the reason why it is right.
    Raises:
        ConfigError: an answer or a reason for something that is not an option.
    """
    return Prediction(question, options, answer, because or {})
