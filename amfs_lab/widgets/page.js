// The page's half of an explorer: its sentence as a live region, names for what can be focused.
// It shows nothing of its own, so that an explorer works without it.

// A slider counts ticks; what it stands at is in the box beside it, once the kernel has answered.
function speakValue(handle, number) {
  const value = number?.value ?? "";
  if (handle.getAttribute("aria-valuetext") !== value) handle.setAttribute("aria-valuetext", value);
}

const ANSWER = 2000; // milliseconds that the kernel has for it
const GLANCE = 50; // between two looks; not at each frame, which would keep the whole page drawing while a slider moves

function followValue(handle, number) {
  let until = 0;
  let next = null; // the look that is to come
  const follow = () => {
    speakValue(handle, number);
    next = performance.now() < until ? setTimeout(follow, GLANCE) : null;
  };
  const observer = new MutationObserver(() => {
    until = performance.now() + ANSWER;
    if (next === null) follow();
  });
  observer.observe(handle, { attributes: true, attributeFilter: ["aria-valuenow"] });
  return observer;
}

function nameHandles(root) {
  // JupyterLab would take the arrow keys from a menu that has the focus, and a letter for one of its own commands.
  root.querySelectorAll("select").forEach((menu) => menu.setAttribute("data-lm-suppress-shortcuts", "true"));
  root.querySelectorAll(".amfs-control").forEach((control) => {
    const handle = control.querySelector(".noUi-handle");
    const number = control.querySelector("input[type=number]");
    if (handle) {
      handle.setAttribute("aria-label", control.querySelector("label")?.textContent ?? "");
      speakValue(handle, number);
    }
    // ipywidgets writes a box's tooltip on a label that it does not show.
    const words = number?.closest(".jupyter-widgets").querySelector("label")?.title;
    if (words) {
      number.title = words;
      number.setAttribute("aria-label", words);
    }
  });
}

function render({ el }) {
  const root = () => el.closest(".amfs-explorer");
  const observers = [];

  // The box of the sentence stays while ipywidgets changes what is in it: screen readers speak each change.
  const heard = () => {
    const line = el.closest(".amfs-explorer, .amfs-predict")?.querySelector(".amfs-say");
    if (!line) return false;
    line.setAttribute("role", "status");
    line.setAttribute("aria-live", "polite");
    const changes = new MutationObserver(() => root() && nameHandles(root()));
    changes.observe(line, { childList: true, characterData: true, subtree: true });
    observers.push(changes);
    return true;
  };
  const named = () => {
    if (el.closest(".amfs-predict")) return true;
    if (!root()?.querySelector(".amfs-figure")) return false;
    nameHandles(root());
    root().querySelectorAll(".amfs-control").forEach((control) => {
      const handle = control.querySelector(".noUi-handle");
      const number = control.querySelector("input[type=number]");
      if (handle && number) observers.push(followValue(handle, number));
    });
    return true;
  };

  let waiting = [heard, named];
  let tries = 0;
  const timer = setInterval(() => {
    waiting = waiting.filter((each) => !each());
    if (!waiting.length || ++tries > 600) clearInterval(timer);
  }, 100);
  return () => {
    clearInterval(timer);
    observers.forEach((each) => each.disconnect());
  };
}

export default { render };
