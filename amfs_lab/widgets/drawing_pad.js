// A drawing sheet. Pointer events cover mouse, touch and pen. The strokes are sent to the kernel while they are drawn;
// ipywidgets throttles the messages if the kernel is busy.

const INK = "#24292F";
const SIDE = 28; // pixels per side of a stored image
const NIB = 0.075; // pen width as a share of the sheet: a letter that fills most of the sheet looks like its image
const NEAR = 0.006; // points closer than this to the last point are skipped
const PAUSE = 250; // milliseconds between two messages while a stroke grows, so that the last message need not wait
const MOST = 20000; // most points that the kernel accepts

const round = (z) => Math.round(Math.min(1, Math.max(0, z)) * 1000) / 1000;

function part(kind, name, text = "") {
  const element = document.createElement(kind);
  element.className = name;
  element.textContent = text;
  return element;
}

function draw(canvas, strokes, picture) {
  const side = Math.round(canvas.clientWidth * devicePixelRatio) || 116;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, side, side);
  pen.fillStyle = pen.strokeStyle = INK;
  if (strokes === null) {
    if (picture) pen.drawImage(printed(picture), 0, 0, side, side);
    return;
  }
  pen.lineWidth = NIB * side;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    pen.beginPath();
    stroke.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x * side, y * side));
    if (stroke.length === 1) pen.lineTo(stroke[0][0] * side, stroke[0][1] * side);
    pen.stroke();
  }
}

// Draws only the ink; the other pixels stay transparent.
function printed(picture) {
  const small = document.createElement("canvas");
  small.width = small.height = SIDE;
  const data = new ImageData(SIDE, SIDE);
  for (let i = 0; i < picture.length; i++) data.data.set([36, 41, 47, 17 * parseInt(picture[i], 16)], 4 * i);
  small.getContext("2d").putImageData(data, 0, 0);
  return small;
}

async function render({ model: view, el }) {
  const model = await view.widget_manager.get_model(view.get("state").replace("IPY_MODEL_", ""));
  const sheet = part("div", "amfs-sheet");
  const name = part("div", "amfs-sheet-name");
  const canvas = part("canvas", "");
  const buttons = part("div", "amfs-sheet-buttons");
  const undo = part("button", "", "Undo");
  const clear = part("button", "", "Clear");
  const remark = part("div", "amfs-sheet-remark");
  buttons.append(undo, clear);
  sheet.append(name, canvas, buttons, remark);
  el.append(sheet);
  sheet.setAttribute("role", "group");
  canvas.setAttribute("role", "img");
  undo.type = clear.type = "button";
  undo.dataset.lmSuppressShortcuts = clear.dataset.lmSuppressShortcuts = "true"; // otherwise JupyterLab handles Enter

  let stroke = null; // the stroke in progress
  let pointer = null; // its pointer
  let before = null; // the content of the sheet when the stroke began
  let past = []; // states for Undo
  let ours = false;
  let timer = null;

  const value = () => model.get("value") ?? null;
  let last = value(); // kept here, because after a change the model has only the new value

  function show() {
    const now = value();
    draw(canvas, stroke ? [...(before ?? []), stroke] : now, model.get("picture"));
    const label = model.get("description");
    const caption = now === null ? model.get("caption") : now.length ? "yours" : "blank";
    name.replaceChildren(label, part("small", "", caption));
    remark.textContent = model.get("remark");
    sheet.classList.toggle("amfs-chosen", model.get("chosen"));
    sheet.classList.toggle("amfs-query", label === "query");
    sheet.setAttribute("aria-label", label);
    const drawn = now?.length ? `your drawing of ${now.length} stroke${now.length === 1 ? "" : "s"}` : "";
    canvas.setAttribute("aria-label", `${label}: ${drawn || caption}`);
    undo.setAttribute("aria-label", `Undo on ${label}`);
    clear.setAttribute("aria-label", `Clear ${label}`);
    undo.disabled = !past.length;
    clear.disabled = now === null ? !model.get("picture") : !now.length;
  }

  // Always a new list: a list that the model already holds would not count as a change.
  function send(strokes) {
    clearTimeout(timer);
    timer = null;
    ours = true;
    model.set("value", strokes && strokes.map((each) => each.slice()));
    ours = false;
    model.save_changes();
  }

  function change(strokes) {
    past.push(value());
    send(strokes);
    show();
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [round((event.clientX - box.left) / box.width), round((event.clientY - box.top) / box.height)];
  };

  function extend(event) {
    for (const each of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
      const point = place(each);
      const [x, y] = stroke[stroke.length - 1];
      if (Math.hypot(point[0] - x, point[1] - y) >= NEAR) stroke.push(point);
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    const points = (value() ?? []).reduce((sum, each) => sum + each.length, 0);
    if (pointer !== null || event.button !== 0 || points > MOST / 2) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    before = value(); // a stroke on a stored letter begins on a blank sheet
    stroke = [place(event)];
    show();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer || stroke.length > MOST / 2) return;
    extend(event);
    draw(canvas, [...(before ?? []), stroke], "");
    timer ??= setTimeout(() => stroke && send([...(before ?? []), stroke]), PAUSE);
  });

  function end(event) {
    if (event.pointerId !== pointer) return;
    const drawn = [...(before ?? []), stroke];
    past.push(before);
    stroke = pointer = null;
    send(drawn);
    show();
  }
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("lostpointercapture", end);
  canvas.addEventListener("pointercancel", end); // the part drawn so far is kept; Undo removes it

  undo.addEventListener("click", () => {
    send(past.pop());
    show();
    if (undo.disabled) clear.focus();
  });
  clear.addEventListener("click", () => change([]));

  const heard = () => {
    if (!ours) {
      // The kernel has changed the sheet. A drawing that a stored letter replaces is not lost: Undo restores it.
      const drawn = stroke ? [...(before ?? []), stroke] : last;
      if (value() !== null) past = [];
      else if (drawn?.length) past.push(drawn);
      stroke = pointer = null;
    }
    last = value();
    show();
  };
  model.on("change:value", heard);
  const parts = ["picture", "caption", "remark", "chosen", "description"].map((each) => `change:${each}`);
  parts.forEach((each) => model.on(each, show));
  const sized = new ResizeObserver(show); // also at the first layout and after a change of zoom
  sized.observe(canvas);
  show();

  return () => {
    clearTimeout(timer);
    sized.disconnect();
    model.off("change:value", heard);
    parts.forEach((each) => model.off(each, show));
  };
}

export default { render };
