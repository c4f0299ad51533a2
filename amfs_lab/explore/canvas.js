// plotly's part of a figure on the page. The script of five megabytes arrives once, by a widget of its own, and is read
// once: half a second and more for every figure otherwise. anywidget gives up on a widget whose script is not read within
// two seconds, and drops every message to it from then on: the figure would never move again, or not even show its data.
// So this one is ready at once, and keeps what arrives until plotly is; and where a busy page is too late even for that,
// it takes up the messages itself and asks the kernel for what was dropped.

const read = (globalThis.amfsPlotly ??= {}); // by version: one page can show two kernels

const TRIES = 3;

// How plotly tells the kernel, after each drawing, of every default that it filled in: it compares the whole figure before
// the page may show it, and sends up to 50 kB. No explorer asks for them.
const REPORTS = ["_sendTraceDeltas", "_sendLayoutDelta"];

async function load(model) {
  const script = await model.widget_manager.get_model(model.get("_script").replace("IPY_MODEL_", ""));
  const version = script.get("version");
  read[version] ??= import(URL.createObjectURL(new Blob([script.get("code")], { type: "text/javascript" })));
  read[version].catch(() => delete read[version]);
  const { default: widget, FigureView } = await read[version];
  for (const report of REPORTS) FigureView.prototype[report] = () => {};
  return widget();
}

async function plotly(model) {
  for (let tries = 1; ; tries++) {
    try {
      return await within(PATIENCE, load(model), "loading plotly");
    } catch (error) {
      if (tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

const MESSAGES = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate", "removeLayoutProps", "removeTraceProps"];

export default () => {
  let figure;

  function initialize({ model }) {
    const early = [];
    const listeners = MESSAGES.map((name) => {
      const key = `_py2js_${name}`;
      return [key, () => model.get(key) !== null && early.push([key, model.get(key)])];
    });
    listeners.forEach(([key, listener]) => model.on(`change:${key}`, listener));
    // Not awaited: anywidget is to see a widget that is ready, and the ping waits for that.
    const healed = heal(model, () => (early.length = 0)).catch((error) => console.warn(error));
    figure = Promise.all([plotly(model), healed]).then(([widget]) => {
      listeners.forEach(([key, listener]) => model.off(`change:${key}`, listener));
      widget.initialize({ model });
      for (const [key, message] of early) {
        model.set(key, message);
        model.set(key, null);
      }
      return widget;
    });
    figure.catch(() => {}); // said by `render`
  }

  async function render(place) {
    try {
      return (await figure).render(place);
    } catch (error) {
      const words = document.createElement("div");
      words.setAttribute("role", "alert");
      words.className = "amfs-lost";
      words.textContent = "This figure could not be loaded. Run this cell again.";
      place.el.replaceChildren(words);
      console.error(error);
    }
  }

  return { initialize, render };
};
