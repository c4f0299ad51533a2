// Rings on an explorer's figure that can be dragged: by mouse, touch or pen, or with the arrow keys. They lie over plotly's
// drawing and take their places from its axes. `heal` stands before this script.

const SVG = "http://www.w3.org/2000/svg";
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
const FAR = 10; // steps of an arrow key with Shift

function node(kind, attributes, parent) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent.append(made);
  return made;
}

function render({ model, el }) {
  let plot = null;
  let layer = null;
  let rings = [];
  let points = model.get("value");
  let held = null; // the ring that is being dragged
  let ours = false;

  const axes = () => {
    const layout = plot._fullLayout;
    return [layout[`xaxis${model.get("panel")}`], layout[`yaxis${model.get("panel")}`]];
  };

  function show() {
    if (!layer || !plot._fullLayout) return;
    const [x, y] = axes();
    rings.forEach((ring, i) => {
      const [a, b] = points[i];
      ring.setAttribute("transform", `translate(${x._offset + x.l2p(a)}, ${y._offset + y.l2p(b)})`);
      ring.style.display = i < model.get("present") ? "" : "none";
      ring.setAttribute("aria-valuenow", a);
      ring.setAttribute("aria-valuetext", `x ${a.toFixed(2)}, y ${b.toFixed(2)}`);
    });
  }

  function move(i, a, b) {
    const [left, right, low, high] = model.get("bounds");
    const grid = model.get("grid");
    const snapped = (z, least, most) => Math.round(Math.min(most, Math.max(least, z)) / grid) * grid;
    const place = [snapped(a, left, right), snapped(b, low, high)].map((z) => Math.round(z * 1e6) / 1e6);
    if (place.every((z, n) => z === points[i][n])) return;
    points = points.map((each, n) => (n === i ? place : each));
    show();
    ours = true;
    model.set("value", points);
    ours = false;
    model.save_changes();
  }

  function drag(event) {
    const [x, y] = axes();
    const box = layer.getBoundingClientRect();
    move(held, x.p2l(event.clientX - box.left - x._offset), y.p2l(event.clientY - box.top - y._offset));
  }

  function ring(name, i) {
    const made = node("g", { class: "amfs-handle", tabindex: 0, role: "slider", "aria-label": `${name}, a place` }, layer);
    made.dataset.lmSuppressShortcuts = "true"; // the arrow keys are JupyterLab's otherwise
    node("circle", { class: "amfs-handle-reach", r: 16 }, made);
    node("circle", { class: "amfs-handle-ring", r: 9 }, made);
    node("title", {}, made).textContent = `${name}: drag, or use the arrow keys`;
    made.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || held !== null) return;
      event.preventDefault();
      event.stopPropagation();
      made.focus({ preventScroll: true });
      made.setPointerCapture(event.pointerId);
      held = i;
    });
    made.addEventListener("pointermove", (event) => held === i && drag(event));
    const release = () => {
      held = null;
      points = model.get("value");
      show();
    };
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) made.addEventListener(end, release);
    made.addEventListener("keydown", (event) => {
      const way = KEYS[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      const step = model.get("grid") * (event.shiftKey ? FAR : 1);
      move(i, points[i][0] + step * way[0], points[i][1] + step * way[1]);
    });
    return made;
  }

  function attach() {
    const found = el.closest(".amfs-explorer")?.querySelector(".js-plotly-plot");
    const container = found?.querySelector(".svg-container");
    if (!container || !found._fullLayout?.xaxis?._length) return false;
    plot = found;
    layer = node("svg", { class: "amfs-handles" }, container);
    rings = model.get("names").map(ring);
    plot.on("plotly_afterplot", show);
    show();
    return true;
  }

  const heard = () => {
    if (ours || held !== null) return; // what the kernel says of a place on the way is old already
    points = model.get("value");
    show();
  };
  model.on("change:value change:present", heard);
  let tries = 0;
  const timer = setInterval(() => (attach() || ++tries > 600) && clearInterval(timer), 100);

  return () => {
    clearInterval(timer);
    model.off("change:value change:present", heard);
    plot?.removeListener?.("plotly_afterplot", show);
    layer?.remove();
  };
}

export default {
  // Not awaited: anywidget is to see a widget that is ready. What was dropped arrives as changes.
  initialize({ model }) {
    heal(model, () => {}).catch((error) => console.warn(error));
  },
  render,
};
