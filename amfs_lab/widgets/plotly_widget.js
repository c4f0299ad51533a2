// A figure from a specification and arrays: panels of curves, a legend, and rings that can be dragged. Each panel is its
// own plot, so that only the panels of changed arrays are redrawn. This module does not depend on a kernel. It needs a
// specification (`LiveFigure._specification` in Python), its arrays, and plotly.

const SVG = "http://www.w3.org/2000/svg";
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
const FAR = 10; // steps per arrow key with Shift
const NARROW = 560; // pixels: on a narrower page, panels stand one below another
const LEAST = 240; // pixels: least height
const SLIM = 700; // pixels: on a narrower page, the height of a figure is at least half its width
const SLICE = 12; // milliseconds of drawing per frame of the page
const CONFIG = { displayModeBar: false, scrollZoom: false, doubleClick: "reset", responsive: false };

// plotly's dashes and symbols, for the legend.
const DASHES = { dash: "7 4", dot: "2 3", dashdot: "7 3 2 3", longdash: "11 4", longdashdot: "11 3 2 3" };
const SYMBOLS = {
  circle: "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
  square: "M-4.5,-4.5H4.5V4.5H-4.5Z",
  diamond: "M0,-6L6,0L0,6L-6,0Z",
  "triangle-up": "M0,-5.5L5.5,4.5H-5.5Z",
  "triangle-down": "M0,5.5L5.5,-4.5H-5.5Z",
  hexagon: "M5,-3V3L0,6L-5,3V-3L0,-6Z",
  x: "M-5,-3L-3,-5L0,-2L3,-5L5,-3L2,0L5,3L3,5L0,2L-3,5L-5,3L-2,0Z",
  cross: "M-1.7,-5.5H1.7V-1.7H5.5V1.7H1.7V5.5H-1.7V1.7H-5.5V-1.7H-1.7Z",
  star: "M0,-6L1.5,-2H5.7L2.3,0.8L3.5,5L0,2.5L-3.5,5L-2.3,0.8L-5.7,-2H-1.5Z",
};
const STROKES = { "x-thin": "M-5,-5L5,5M5,-5L-5,5", "line-ns": "M0,-6V6", "cross-thin": "M0,-6V6M-6,0H6" };

function made(kind, attributes, parent) {
  const element = kind === "svg" || parent instanceof SVGElement ? document.createElementNS(SVG, kind) : document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

// `put(trace, "marker.color", value)`; a number is an index into a list: "annotations[1].text".
function put(object, path, value) {
  const steps = path.split(/[.[\]]+/).filter(Boolean);
  const last = steps.pop();
  for (const step of steps) object = object[step] ??= {};
  object[last] = value;
}

// Converts an array from the form that is sent (shape, type, bytes) to plotly's form: rows of numbers.
const TYPES = { float64: Float64Array, float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
export function read(value) {
  if (!value?.bytes) return value;
  const { bytes, shape, type } = value;
  const aligned = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const flat = Array.from(new TYPES[type](aligned));
  if (shape.length < 2) return flat;
  return Array.from({ length: shape[0] }, (_, row) => flat.slice(row * shape[1], (row + 1) * shape[1]));
}

// Replaces every colour of a light page by that of a dark page, also inside lists and dictionaries.
function recoloured(value, night) {
  if (typeof value === "string") return night[value] ?? value;
  if (Array.isArray(value)) return typeof value.at(-1) === "number" ? value : value.map((each) => recoloured(each, night));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, recoloured(each, night)]));
  }
  return value;
}

// plotly's text markup, and no other markup.
function words(text, parent) {
  for (const part of text.split(/(<(?:sub|sup|b|i)>[^<]*<\/(?:sub|sup|b|i)>|<br>)/)) {
    const marked = part.match(/^<(\w+)>([^<]*)/);
    if (marked) made(marked[1], {}, parent).textContent = marked[2];
    else if (part) parent.append(part);
  }
  return parent;
}

export class Figure {
  // `spec`: see `LiveFigure._specification`. `arrays`: by name, in the form that is sent. `told(event)` handles clicks, hovers
  // and drags; `room()` returns the height in pixels for figure and legend.
  constructor(place, spec, arrays, plotly, { told = () => {}, room = () => Infinity } = {}) {
    Object.assign(this, { spec, plotly, told, room, dark: false, width: 0, hidden: new Set(), decoded: {} });
    this.root = made("div", { class: "amfs-figure js-figure", role: "img", "aria-label": spec.alt }, place);
    this.grid = made("div", { class: "amfs-panels" }, this.root);
    this.panels = spec.panels.map((panel) => {
      const div = made("div", { class: "amfs-panel" }, this.grid);
      div.style.gridArea = panel.area.join(" / ");
      return { ...panel, div, cost: 0 }; // cost: milliseconds of its last drawing
    });
    this.legend = made("div", { class: "amfs-legend" }, this.root);
    this.feeds = {}; // by name of an array: the panels that show it
    this.looks = new Set(); // the names of arrays that the legend depends on
    this.panels.forEach((panel, n) => {
      for (const [, name] of panel.frame) (this.feeds[name] ??= new Set()).add(n);
      for (const trace of panel.traces) {
        for (const [path, name] of trace.feeds) {
          (this.feeds[name] ??= new Set()).add(n);
          if (/^(name|visible|showlegend|mode|line|marker\.(symbol|color|line))/.test(path)) this.looks.add(name);
        }
      }
    });
    this.root.dataset.waits = ""; // for tests: a drawing is pending
    this.stale = new Set(this.panels.keys()); // panels to be drawn, the longest wait first
    this.set(arrays);
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(this.root);
    // Drawn only where it is visible: JupyterLab does no layout of a cell outside the screen, and a plot that is drawn there
    // may have no text and no axes.
    this.seen = false;
    this.watched = new IntersectionObserver((looks) => {
      this.seen = looks.at(-1).isIntersecting;
      if (!this.seen || !this.stale.size) return;
      this.width = 0; // a width measured outside the screen may be wrong
      this.resize();
    });
    this.watched.observe(this.root);
  }

  remove() {
    this.sized.disconnect();
    this.watched.disconnect();
    cancelAnimationFrame(this.frame);
    this.panels.forEach(({ div }) => this.plotly.purge(div));
    this.root.remove();
  }

  // Takes changed arrays. Panels that draw fast are drawn at once. The others are drawn in the next frames of the page, each
  // with the latest arrays: the page stays responsive while a slider is dragged, and every panel is drawn in the end.
  set(arrays) {
    const changed = new Set();
    for (const [name, value] of Object.entries(arrays)) {
      this.decoded[name] = read(value);
      this.feeds[name]?.forEach((n) => changed.add(n));
      if (this.looks.has(name)) this.listed = false;
    }
    const fastFirst = (a, b) => this.panels[a].cost - this.panels[b].cost;
    [...changed].sort(fastFirst).forEach((n) => this.stale.add(n));
    if (!this.stale.size) return;
    if (this.seen && this.frame == null) this.draw(0);
    else this.schedule();
  }

  get night() {
    return this.dark ? this.spec.night : {};
  }

  setDark(dark) {
    if (dark === this.dark) return;
    this.dark = dark;
    this.all();
  }

  all() {
    this.stale = new Set(this.panels.keys());
    this.listed = false;
    this.schedule();
  }

  schedule() {
    this.root.dataset.waits = "";
    if (!this.seen) return;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  resize() {
    const width = this.root.clientWidth;
    if (!width || width === this.width) return; // a hidden tab has no width
    this.width = width;
    const narrow = width < NARROW && this.panels.length > 1;
    this.root.classList.toggle("amfs-narrow", narrow);
    this.grid.style.gridTemplateColumns = narrow ? "100%" : this.spec.columns.map((part) => `minmax(0, ${part}fr)`).join(" ");
    this.grid.style.gridTemplateRows = narrow ? "none" : this.spec.rows.map((part) => `minmax(0, ${part}fr)`).join(" ");
    this.list();
    const least = width < SLIM ? Math.max(LEAST, width / 2) : LEAST;
    const height = narrow ? this.spec.height : Math.min(this.spec.height, Math.max(least, this.room() - this.legend.offsetHeight));
    this.grid.style.height = narrow ? "auto" : `${height}px`;
    this.panels.forEach(({ div, share }) => (div.style.height = narrow ? `${Math.max(180, share * height)}px` : "auto"));
    this.all();
  }

  draw(slice = SLICE) {
    this.resize(); // otherwise a width that lasts only between two calls of the observer would stay drawn
    if (!this.seen || !this.width) return; // drawn later, when it is visible
    const end = performance.now() + slice;
    for (const n of this.stale) {
      this.stale.delete(n);
      const start = performance.now();
      this.plot(this.panels[n]);
      this.panels[n].cost = performance.now() - start;
      if (performance.now() > end) break;
    }
    if (this.stale.size) return this.schedule();
    if (!this.listed) this.list();
    this.sayEmpty();
    if (this.frame == null) delete this.root.dataset.waits;
  }

  plot(panel) {
    const { div } = panel;
    const data = panel.traces.map((each) => this.trace(each));
    const layout = recoloured(structuredClone({ template: this.spec.template, ...panel.layout }), this.night);
    for (const [path, name] of panel.frame) put(layout, path, recoloured(this.decoded[name], this.night));
    layout.width = div.clientWidth;
    layout.height = div.clientHeight;
    const { title } = layout;
    delete layout.title; // plotly's own title does not wrap
    panel.empty = !data.some(({ x, y, z, source }) => [x, y, z].some((values) => values?.length) || source);
    const first = !panel.drawn;
    panel.drawn = true;
    this.plotly.react(div, data, layout, CONFIG);
    this.head(panel, title?.text ?? "", layout.margin);
    if (first) {
      for (const kind of ["hover", "click"]) div.on(`plotly_${kind}`, (event) => this.point(kind, panel, event));
      div.on("plotly_afterplot", () => this.rings?.show());
    }
  }

  // The title of a panel, over the middle of its axes.
  head(panel, text, margin) {
    if (text === panel.title) return;
    panel.title = text;
    panel.head ??= made("div", { class: "amfs-head" }, panel.div);
    panel.head.style.padding = `0 ${margin.r}px 6px ${margin.l}px`;
    panel.head.replaceChildren();
    words(text, made("span", {}, panel.head));
  }

  // A panel without data shows a text; if all panels are empty, only the first one does.
  sayEmpty() {
    const all = this.panels.every(({ empty }) => empty);
    const places = [[this, this.panels[0].div, all], ...this.panels.map((panel) => [panel, panel.div, panel.empty && !all])];
    for (const [owner, place, empty] of places) {
      if (!empty || !this.spec.empty) {
        owner.note?.remove();
        owner.note = null;
      } else owner.note ??= words(this.spec.empty, made("div", { class: "amfs-empty" }, place));
    }
  }

  // A trace with its arrays, in the colours of the page.
  filled(each) {
    const trace = recoloured(structuredClone(each.style), this.night);
    for (const [path, name] of each.feeds) put(trace, path, recoloured(this.decoded[name], this.night));
    return trace;
  }

  trace(each) {
    const trace = this.filled(each);
    if (this.hidden.has(this.group(each))) trace.visible = false;
    trace.showlegend = false; // the page draws its own legend below
    return trace;
  }

  point(kind, panel, event) {
    const found = event.points?.[0];
    const trace = found && panel.traces[found.curveNumber];
    if (trace?.events?.includes(kind)) this.told({ kind, trace: trace.name, x: found.x, y: found.y, index: found.pointIndex ?? found.pointNumber });
  }

  // The legend: one button per name; it hides the traces with this name or in its group.

  group(each) {
    return each.style.legendgroup || each.style.name || each.name;
  }

  list() {
    const shown = this.panels.flatMap((panel) => panel.traces).flatMap((each) => {
      const trace = this.filled(each);
      const listed = this.spec.legend && trace.name && trace.showlegend !== false && trace.visible !== false;
      return listed ? [[each, trace]] : [];
    });
    this.listed = true;
    this.legend.replaceChildren();
    this.legend.hidden = !shown.length;
    for (const [each, trace] of shown) {
      const group = this.group(each);
      const entry = made("button", { type: "button", "aria-pressed": !this.hidden.has(group), title: "Show or hide" }, this.legend);
      swatch(trace, entry);
      words(trace.name, made("span", {}, entry));
      entry.addEventListener("click", () => {
        this.hidden.delete(group) || this.hidden.add(group);
        this.all();
      });
    }
  }

  // Rings that can be dragged. `places`: a list of [x, y]; `grid`: rounding step; `bounds`: left, right, low, high.
  setRings(rings) {
    this.rings ??= new Rings(this, this.panels[rings.panel], rings);
    this.rings.take(rings);
  }
}

const one = (value, otherwise) => (Array.isArray(value) ? value[0] : value) ?? otherwise;

function swatch(trace, parent) {
  const svg = made("svg", { width: 30, height: 14, viewBox: "-15 -7 30 14", "aria-hidden": true }, parent);
  const marker = trace.marker ?? {};
  const mode = trace.type === "scatter" ? trace.mode ?? "lines" : trace.type;
  const color = trace.line?.color ?? one(marker.color, "currentColor");
  if (trace.type === "bar") {
    made("rect", { x: -7, y: -5, width: 14, height: 10, fill: one(marker.color, color), stroke: one(marker.line?.color, "none") }, svg);
    return;
  }
  if (trace.fill && trace.fill !== "none") made("rect", { x: -14, y: -5, width: 28, height: 10, fill: trace.fillcolor ?? color }, svg);
  if (mode.includes("lines") && (trace.line?.width ?? 2)) {
    made("path", { d: "M-14,0H14", fill: "none", stroke: color, "stroke-width": trace.line?.width ?? 2, "stroke-dasharray": DASHES[trace.line?.dash] ?? trace.line?.dash?.replace("solid", "none") ?? "none" }, svg);
  }
  if (mode.includes("markers")) {
    const name = one(marker.symbol, "circle");
    if (name === "arrow") return;
    const open = name.endsWith("-open");
    const base = name.replace(/-open(-dot)?$/, "").replace(/-dot$/, "");
    const fill = one(marker.color, color);
    if (STROKES[base]) made("path", { d: STROKES[base], fill: "none", stroke: one(marker.line?.color, fill), "stroke-width": 1.6 }, svg);
    else made("path", { d: SYMBOLS[base] ?? SYMBOLS.circle, fill: open ? "none" : fill, stroke: open ? fill : one(marker.line?.color, "none"), "stroke-width": open ? 1.6 : 1.2 }, svg);
  }
}

class Rings {
  constructor(figure, panel, { names, grid, bounds }) {
    Object.assign(this, { figure, panel, grid, bounds, points: [], held: null });
    this.layer = made("svg", { class: "amfs-handles" }, panel.div);
    this.rings = names.map((name, i) => this.ring(name, i));
  }

  // During a drag, the points of the kernel are out of date and are ignored.
  take({ places, present }) {
    this.present = present;
    if (this.held === null) this.points = places;
    this.show();
  }

  axes() {
    const layout = this.panel.div._fullLayout;
    return layout?.xaxis?._length ? [layout.xaxis, layout.yaxis] : null;
  }

  show() {
    const axes = this.axes();
    if (!axes) return;
    const [x, y] = axes;
    if (this.layer.parentNode !== this.panel.div) this.panel.div.append(this.layer);
    this.rings.forEach((ring, i) => {
      const [a, b] = this.points[i];
      ring.setAttribute("transform", `translate(${x._offset + x.l2p(a)}, ${y._offset + y.l2p(b)})`);
      ring.style.display = i < this.present ? "" : "none";
      ring.setAttribute("aria-valuenow", a);
      ring.setAttribute("aria-valuetext", `x ${a.toFixed(2)}, y ${b.toFixed(2)}`);
    });
  }

  move(i, a, b) {
    const [left, right, low, high] = this.bounds;
    const snapped = (z, least, most) => Math.round(Math.min(most, Math.max(least, z)) / this.grid) * this.grid;
    const place = [snapped(a, left, right), snapped(b, low, high)].map((z) => Math.round(z * 1e6) / 1e6);
    if (!place.every(Number.isFinite) || place.every((z, n) => z === this.points[i][n])) return;
    this.points = this.points.map((each, n) => (n === i ? place : each));
    this.show();
    this.figure.told({ kind: "places", places: this.points });
  }

  drag(event) {
    const [x, y] = this.axes();
    const box = this.layer.getBoundingClientRect();
    this.move(this.held, x.p2l(event.clientX - box.left - x._offset), y.p2l(event.clientY - box.top - y._offset));
  }

  ring(name, i) {
    const ring = made("g", { class: "amfs-handle", tabindex: 0, role: "slider", "aria-label": `${name}, a place` }, this.layer);
    ring.dataset.lmSuppressShortcuts = "true"; // otherwise JupyterLab handles the arrow keys
    made("circle", { class: "amfs-handle-reach", r: 16 }, ring);
    made("circle", { class: "amfs-handle-ring", r: 9 }, ring);
    made("title", {}, ring).textContent = `${name}: drag, or use the arrow keys`;
    ring.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.held !== null || !this.axes()) return;
      event.preventDefault();
      event.stopPropagation();
      ring.focus({ preventScroll: true });
      ring.setPointerCapture(event.pointerId);
      this.held = i;
    });
    ring.addEventListener("pointermove", (event) => this.held === i && this.drag(event));
    const release = () => {
      if (this.held !== i) return;
      this.held = null;
      this.figure.told({ kind: "released" });
    };
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) ring.addEventListener(end, release);
    ring.addEventListener("keydown", (event) => {
      const way = KEYS[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      const step = this.grid * (event.shiftKey ? FAR : 1);
      this.move(i, this.points[i][0] + step * way[0], this.points[i][1] + step * way[1]);
    });
    return ring;
  }
}
