// Mounts a figure (`plotly_widget.js`, which is prepended to this file) in a notebook. Its content is in a plain ipywidgets model:
// anywidget gives up an anywidget model that is not ready within two seconds (on a busy page) and ignores later messages to it.
// Every view reads the same model, so every view shows the same.

const bundles = (globalThis.amfsPlotly ??= {}); // by version, because one page can show two kernels

// plotly.js as a separate module: the page may have another version as `window.Plotly` and keeps it.
async function load(script) {
  const version = script.get("version");
  const source = async () => {
    const packed = new Blob([script.get("code")]).stream().pipeThrough(new DecompressionStream("gzip"));
    const code = `const module = { exports: {} }, kept = globalThis.Plotly;\n${await new Response(packed).text()}\nglobalThis.Plotly = kept;\nexport default module.exports;`;
    return (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  };
  bundles[version] ??= source();
  bundles[version].catch(() => delete bundles[version]);
  return bundles[version];
}

const PREFIX = "array_";
const LAPTOP = 612; // pixels of height that JupyterLab leaves a notebook on a screen of 1366 × 768
const AROUND = 156; // pixels of that height that JupyterLab itself uses

// Title, presets, sentence, controls and figure fit on one screen: the figure gets the height that remains below the others.
function room(el) {
  const box = el.closest(".amfs-explorer");
  if (!box) return Infinity;
  return Math.max(LAPTOP, innerHeight - AROUND) - (el.getBoundingClientRect().top - box.getBoundingClientRect().top) - 8;
}
const dark = () => document.body.dataset.jpThemeLight === "false";

async function render({ model, el }) {
  const find = (name) => model.widget_manager.get_model(model.get(name).replace("IPY_MODEL_", ""));
  let figure;
  const ends = [];
  try {
    const [state, plotly] = await Promise.all([find("state"), find("script").then(load)]);
    const arrays = (names) => Object.fromEntries(names.filter((name) => name.startsWith(PREFIX)).map((name) => [name.slice(PREFIX.length), state.get(name)]));
    const tell = ({ kind, ...event }) => {
      if (kind === "released") return rings();
      state.set(kind, { ...event, n: ((state.get(kind) ?? {}).n ?? 0) + 1 });
      state.save_changes();
    };
    const rings = () => {
      const found = state.get("rings");
      if (found?.names && found.answers >= (state.get("places")?.n ?? 0)) figure.setRings(found);
    };
    figure = new Figure(el, state.get("specification"), arrays(state.keys()), plotly, { told: tell, room: () => room(el) });
    figure.setDark(dark());
    rings();
    const heard = () => {
      const changed = Object.keys(state.changed);
      figure.set(arrays(changed));
      if (changed.includes("rings")) rings();
    };
    state.on("change", heard);
    const theme = new MutationObserver(() => figure.setDark(dark()));
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
    // ipywidgets marks widgets after a restart, but not when their kernel has ended.
    const { kernel } = model.widget_manager;
    const cut = () => el.closest(".amfs-explorer")?.classList.add("jupyter-widgets-disconnected");
    kernel?.disposed.connect(cut);
    ends.push(() => state.off("change", heard), () => theme.disconnect(), () => kernel?.disposed.disconnect(cut), () => figure.remove());
  } catch (error) {
    console.error(error);
    const words = document.createElement("div");
    words.setAttribute("role", "alert");
    words.className = "amfs-lost";
    words.textContent = "This figure could not be loaded. Run this cell again.";
    el.replaceChildren(words);
  }
  return () => ends.forEach((end) => end());
}

export default { render };
