// The page's part of an explorer: it makes the sentence a live region and names the elements that can be focused.
// It shows nothing, so an explorer works without it.

// A slider counts ticks. Its value is in the box beside it, after the kernel has answered.
function speakValue(handle, number) {
  const value = number?.value ?? "";
  if (handle.getAttribute("aria-valuetext") !== value) handle.setAttribute("aria-valuetext", value);
}

const ANSWER = 2000; // milliseconds that the kernel has for its answer
const GLANCE = 50; // milliseconds between two checks; a check at each frame would redraw the whole page while a slider moves

function followValue(handle, number) {
  let until = 0;
  let next = null; // the timer of the next check
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
  // Otherwise JupyterLab takes the arrow keys from a focused menu, and letters as its own commands.
  root.querySelectorAll("select").forEach((menu) => menu.setAttribute("data-lm-suppress-shortcuts", "true"));
  root.querySelectorAll(".amfs-control").forEach((control) => {
    const handle = control.querySelector(".noUi-handle");
    const number = control.querySelector("input[type=number]");
    if (handle) {
      handle.setAttribute("aria-label", control.querySelector("label")?.textContent ?? "");
      speakValue(handle, number);
    }
    // ipywidgets writes the tooltip of a box on a label that is hidden.
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

  // The box of the sentence stays when ipywidgets replaces its content: screen readers speak each change.
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
