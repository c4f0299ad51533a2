// plotly's part of a figure on the page. The script of five megabytes arrives once, by a widget of its own, and is read
// once: half a second and more for every figure otherwise. anywidget gives up on a widget whose script is not read within
// two seconds, and drops every message to it from then on: the figure would never move again, or not even show its data.
// So this one is ready at once, and keeps what arrives until plotly is; and where a busy page is too late even for that,
// it takes up the messages itself and asks the kernel for what was dropped.

const read = (globalThis.amfsPlotly ??= {}); // by version: one page can show two kernels

const TRIES = 3;
const PATIENCE = 20000; // milliseconds for one try

const within = (milliseconds, promise, what) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} took too long`)), milliseconds))]);

async function load(model) {
  const script = await model.widget_manager.get_model(model.get("_script").replace("IPY_MODEL_", ""));
  const version = script.get("version");
  read[version] ??= import(URL.createObjectURL(new Blob([script.get("code")], { type: "text/javascript" })));
  read[version].catch(() => delete read[version]);
  return (await read[version]).default();
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

// anywidget's handler waits for a promise that is rejected for good after two seconds; a message without meaning tells.
// `answered` is called when the kernel's answer is in the model: it holds all that was sent before it.
async function heal(model, answered) {
  let whole; // what anywidget hands out is a part of the model; an event brings all of it
  const meet = (itself) => (whole = itself);
  model.on("change:_whole", meet);
  model.set("_whole", true);
  model.off("change:_whole", meet);
  try {
    await whole._handle_comm_msg({ content: { data: { method: "amfs-ping" } } });
  } catch {
    let level = whole; // the handler that anywidget's own one replaces
    while (!Object.hasOwn(level, "_handle_comm_msg")) level = Object.getPrototypeOf(level);
    const handle = Object.getPrototypeOf(level)._handle_comm_msg;
    const answer = new Promise((resolve) => {
      whole.comm.on_msg(async (message) => {
        await handle.call(whole, message);
        if (message.parent_header.msg_id === asked) resolve(answered());
      });
    });
    const asked = whole.comm.send({ method: "request_state" }, {});
    // The kernel may be busy with a cell for long; what was here before the answer is drawn then.
    await within(PATIENCE, answer, "the kernel").catch(() => {});
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
