"""What an explorer says: its sentence for eye and screen reader, and the banner that no error gets past."""

import html

import anywidget
import ipywidgets
import traitlets

from amfs_lab.explore.theme import CSS


class Sentence(anywidget.AnyWidget):
    """One line of text in a live region that stays while its words change, so that screen readers speak each change.

    It also gives the figure beside it its alternative text and the slider handles their names, which neither plotly
    nor ipywidgets sends.
    """

    _esm = """
    function label(el, alt) {
      const root = el.closest(".amfs-explorer");
      if (!root) return false;
      root.querySelectorAll(".widget-slider, .jupyter-widget-slider").forEach((slider) => {
        const words = slider.querySelector("label")?.textContent;
        slider.querySelectorAll(".noUi-handle").forEach((handle) => handle.setAttribute("aria-label", words));
      });
      const plot = root.querySelector(".js-plotly-plot");
      if (!plot) return false;
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", alt);
      return true;
    }
    function render({ model, el }) {
      const line = document.createElement("div");
      line.className = "amfs-say";
      line.setAttribute("role", "status");
      line.setAttribute("aria-live", "polite");
      const write = () => {
        line.textContent = model.get("text");
        el.closest(".amfs-explorer")?.querySelectorAll(".amfs-control").forEach((control) => {
          const number = control.querySelector("input[type=number]");
          control.querySelector(".noUi-handle")?.setAttribute("aria-valuetext", number?.value);
        });
      };
      model.on("change:text", write);
      write();
      el.append(line);
      let tries = 0;
      const timer = setInterval(() => {
        if (label(el, model.get("alt")) || ++tries > 100) clearInterval(timer);
      }, 200);
      return () => { clearInterval(timer); model.off("change:text", write); };
    }
    export default { render };
    """
    _css = CSS

    text = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)


class Banner(ipywidgets.HTML):
    """Red, above the controls, empty while all is well."""

    def __init__(self) -> None:
        super().__init__(layout=ipywidgets.Layout(display="none", width="100%"))
        self.add_class("amfs-banner")

    def show(self, error: BaseException) -> None:
        words = html.escape(f"{type(error).__name__}: {error}")
        self.value = (
            f'<div role="alert"><b>This explorer met an error.</b> {words}<br>'
            "The figure shows the last state that worked. Press <b>Reset</b> to go back to the start.</div>"
        )
        self.layout.display = ""

    def hide(self) -> None:
        if self.value:
            self.value = ""
            self.layout.display = "none"
