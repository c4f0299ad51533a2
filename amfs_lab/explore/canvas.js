// plotly's part of a figure on the page. The script of five megabytes arrives once, by a widget of its own, and is read
// once: half a second and more for every figure otherwise. anywidget gives up on a widget whose script is not read within
// two seconds, and the figure would never move again; so this one is ready at once, and keeps what arrives until plotly is.

const read = (globalThis.amfsPlotly ??= {}); // by version: one page can show two kernels

async function plotly(model) {
  const script = await model.widget_manager.get_model(model.get("_script").replace("IPY_MODEL_", ""));
  const version = script.get("version");
  read[version] ??= import(URL.createObjectURL(new Blob([script.get("code")], { type: "text/javascript" })));
  return (await read[version]).default();
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
    figure = plotly(model).then((widget) => {
      listeners.forEach(([key, listener]) => model.off(`change:${key}`, listener));
      widget.initialize({ model });
      for (const [key, message] of early) {
        model.set(key, message);
        model.set(key, null);
      }
      return widget;
    });
  }

  async function render(place) {
    return (await figure).render(place);
  }

  return { initialize, render };
};
