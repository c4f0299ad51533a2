// The page's half of an explorer: the sentence in its live region, names for what can be focused, the figure's width.

function nameHandles(root) {
  root.querySelectorAll(".amfs-control").forEach((control) => {
    const handle = control.querySelector(".noUi-handle");
    if (!handle) return;
    handle.setAttribute("aria-label", control.querySelector("label")?.textContent ?? "");
    handle.setAttribute("aria-valuetext", control.querySelector("input[type=number]")?.value ?? "");
  });
}

function describePlot(root, alt) {
  const plot = root.querySelector(".js-plotly-plot");
  if (!plot) return false;
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", alt);
  return true;
}

// plotly measures its box before JupyterLab has attached it, and then listens to the window only.
function followWidth(root) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    window.dispatchEvent(new Event("resize"));
  });
  observer.observe(root);
  return observer;
}

function render({ model, el }) {
  const line = document.createElement("div");
  line.className = "amfs-say";
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  const root = () => el.closest(".amfs-explorer");
  const write = () => {
    line.textContent = model.get("text");
    if (root()) nameHandles(root());
  };
  model.on("change:text", write);
  write();
  el.append(line);

  let observer = null;
  let tries = 0;
  const timer = setInterval(() => {
    const plotted = root() && describePlot(root(), model.get("alt"));
    if (plotted) {
      nameHandles(root());
      observer = followWidth(root());
    }
    if (plotted || ++tries > 150) clearInterval(timer);
  }, 100);
  return () => {
    clearInterval(timer);
    observer?.disconnect();
    model.off("change:text", write);
  };
}

export default { render };
