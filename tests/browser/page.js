// Runs in every page of the browser test and answers questions about the page. lab.py calls `window.course`.

// anywidget gives up a widget that is not ready after two seconds. On a busy machine that is no fault of the lesson, so
// anywidget's clock is slowed down here. One test ends the two seconds at once, as on a slow machine.
let clock = 30;
const limit = AbortSignal.timeout;
AbortSignal.timeout = ms => limit.call(AbortSignal, clock * ms);

window.course = (() => {
  const open = new Map(); // requests to the kernel that are not finished
  let lost = 0; // number of requests that were never answered
  let heard = 0; // time of the last message from or to the kernel
  let pressed = 0; // time of the last key press
  let armed = null; // the box that is watched
  const boxes = new WeakMap(); // the drawing in each box, and a flag: true if the box has changed since it was read
  document.addEventListener('keydown', event => { pressed = event.timeStamp; }, true);

  const panel = () => window.jupyterapp?.shell?.currentWidget;
  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

  return {
    // The notebook is open, its kernel is ready and nothing has run yet.
    ready() {
      const context = panel()?.sessionContext;
      return Boolean(context?.isReady && context.session?.kernel?.status === 'idle' && panel().content?.widgets?.length);
    },

    // From here on, requests and answers are counted. JupyterLab handles a kernel's messages in order. When an `idle`
    // has arrived, every earlier change of a widget is therefore on the page.
    watch() {
      const kernel = panel().sessionContext.session.kernel;
      const counted = new Set(['comm_open', 'comm_msg', 'execute_request']);
      kernel.anyMessage.connect((_, { msg, direction }) => {
        heard = performance.now();
        if (direction !== 'send' || !counted.has(msg.header.msg_type)) return;
        open.set(msg.header.msg_id, msg);
      });
      kernel.iopubMessage.connect((_, msg) => {
        if (msg.header.msg_type === 'status' && msg.content.execution_state === 'idle') open.delete(msg.parent_header.msg_id);
      });
    },

    // Once in hundreds of moves, a request that is sent while a cell runs is never answered. (JupyterLab sends requests of
    // widgets to a separate thread, an ipykernel subshell.) When the kernel has long been idle and silent, no answer will
    // come. The effect of a lost request is then missing on the page, and another check finds that.
    settled() {
      const idle = panel().sessionContext.session?.kernel?.status === 'idle';
      if (open.size && idle && performance.now() - heard > 5000) {
        lost += open.size;
        open.clear();
      }
      return open.size === 0;
    },

    hurry() {
      clock = 0;
    },

    lost() {
      return lost;
    },

    unanswered() {
      return [...open.values()].map(msg => `${msg.header.msg_type} ${JSON.stringify(msg.content).slice(0, 200)}`);
    },

    // One entry for each code cell that has something to run.
    cells() {
      return panel().content.widgets
        .map((cell, index) => ({ cell, index }))
        .filter(({ cell }) => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim())
        .map(({ cell, index }) => ({
          index,
          source: cell.model.sharedModel.getSource(),
          count: cell.model.executionCount,
          running: cell.model.executionState !== 'idle',
        }));
    },

    // Scrolls to every explorer and waits until it is drawn, because a figure is drawn only when it is visible.
    async scroll_by(seconds) {
      const end = performance.now() + 1000 * seconds;
      for (const box of document.querySelectorAll('.jp-Notebook .amfs-explorer')) {
        box.scrollIntoView({ block: 'center' });
        for (let frames = 0; frames < 3; frames++) await frame(); // the observer reports a new width
        while (performance.now() < end && (!box.querySelector('.js-plotly-plot') || box.querySelector('.amfs-figure[data-waits]'))) {
          box.scrollIntoView({ block: 'center' }); // again, because formulas that are drawn late move the box away
          await frame();
        }
      }
    },

    // A list of everything that is still missing on the page. It is empty if all widgets are shown and all figures drawn.
    missing() {
      const found = [];
      panel().content.widgets.forEach((cell, index) => {
        if (cell.model.type !== 'code') return;
        const wanted = cell.model.outputs.toJSON().filter(out => out.data?.['application/vnd.jupyter.widget-view+json']).length;
        const shown = [...cell.node.querySelectorAll('.jp-OutputArea-output')].filter(out => out.querySelector('.jupyter-widgets')).length;
        if (shown < wanted) found.push(`cell ${index} shows ${shown} of ${wanted} widgets`);
        cell.node.querySelectorAll('.amfs-explorer').forEach(box => {
          const plots = [...box.querySelectorAll('.js-plotly-plot')];
          if (!plots.length || box.querySelector('.amfs-figure[data-waits]')) found.push(`cell ${index}: an explorer's figure`);
          else if (plots.some(plot => Math.abs(plot.querySelector('.main-svg').getBoundingClientRect().width - plot.getBoundingClientRect().width) > 2)) {
            found.push(`cell ${index}: a figure as wide as its place`);
          }
          if ([...box.querySelectorAll('.amfs-desk > *')].some(place => !place.querySelector('canvas'))) found.push(`cell ${index}: a sheet to draw on`);
          if (!box.querySelector('.amfs-say')?.textContent) found.push(`cell ${index}: an explorer's sentence`);
          if (box.querySelector('.noUi-handle:not([aria-label])')) found.push(`cell ${index}: the name of a slider, for screen readers`);
        });
      });
      return found;
    },

    // Marks every box that has a control and returns the number of boxes. A slider outside an explorer belongs to the box
    // of its output.
    mark() {
      const boxes = new Set();
      document.querySelectorAll('.jp-Notebook .amfs-explorer, .jp-Notebook .noUi-handle').forEach(found => {
        boxes.add(found.closest('.amfs-explorer') ?? found.closest('.jp-OutputArea-output'));
      });
      [...boxes].forEach((box, index) => box.setAttribute('data-box', index));
      return boxes.size;
    },

    command(name) {
      window.jupyterapp.commands.execute(name); // not awaited: the test waits for the state instead
    },

    // Runs code in the kernel that is not a cell of the lesson. Resolves when the code has run.
    async execute(code) {
      const future = panel().sessionContext.session.kernel.requestExecute({ code, silent: false, store_history: false });
      const reply = await future.done;
      return reply.content.status;
    },

    // A number that changes with the drawing. It ignores what is shown only under the mouse.
    digest(root) {
      let h1 = 0xdeadbeef, h2 = 0x41c6ce57;
      const add = text => {
        for (let i = 0; i < text.length; i++) {
          const c = text.charCodeAt(i);
          h1 = Math.imul(h1 ^ c, 2654435761);
          h2 = Math.imul(h2 ^ c, 1597334677);
        }
      };
      root.querySelectorAll('.js-plotly-plot .main-svg').forEach(svg => {
        for (const layer of svg.children) if (!layer.classList.contains('hoverlayer')) add(layer.outerHTML);
      });
      root.querySelectorAll('.amfs-legend, .amfs-head').forEach(legend => add(legend.innerHTML));
      root.querySelectorAll('.js-plotly-plot canvas').forEach(canvas => add(canvas.toDataURL()));
      return `${(h1 >>> 0).toString(16)}-${(h2 >>> 0).toString(16)}`;
    },

    // The figures of one box. They are watched from the first call on.
    watched(box) {
      let known = boxes.get(box);
      if (!known) {
        const changed = () => {
          known.stale = true;
          known.moved ??= performance.now();
        };
        known = { observer: new MutationObserver(changed), changed, stale: true, moved: null }; // time of the first change
        const all = { subtree: true, childList: true, attributes: true, characterData: true };
        box.querySelectorAll('.amfs-panels, .amfs-legend').forEach(part => known.observer.observe(part, all));
        boxes.set(box, known);
      }
      if (known.observer.takeRecords().length) known.changed();
      return known;
    },

    // The drawing in one box. It is read again only after a change, because a figure may be a megabyte of text.
    drawing(box) {
      const known = this.watched(box);
      if (known.stale || box.querySelector('.js-plotly-plot canvas')) {
        known.digest = this.digest(box);
        known.stale = false;
      }
      return known.digest;
    },

    // The text in a box: the sentence, the values of the controls, and the words in the figure. After a reset the text is
    // exactly the same. The drawing may differ, because plotly may move a part by a fraction of a pixel.
    reading(box) {
      const all = (css, read) => [...box.querySelectorAll(css)].map(read);
      return {
        sentence: box.querySelector('.amfs-say')?.textContent,
        sliders: all('.noUi-handle', handle => handle.getAttribute('aria-valuenow')),
        fields: all('.amfs-controls :is(input, select)', field => (field.type === 'checkbox' ? field.checked : field.value)),
        sheets: all('.amfs-sheet canvas', paper => paper.getAttribute('aria-label')),
        words: all('.main-svg :is(.textpoint, .bartext, .annotation-text)', word => word.textContent).filter(word => word.trim()).sort(),
      };
    },

    // Watches a box until the kernel is idle and the drawing is at rest. `ms` is the time from the last key press to the
    // first change of the drawing. A timer starts the checks: a check at every frame would make the page paint every frame.
    arm(box, still_for) {
      const before = this.drawing(box);
      const known = this.watched(box);
      known.moved = null;
      const state = { before, after: before, ms: null, rested: false, end: Infinity };
      const waits = () => {
        if (state.end === Infinity) return true;
        const figure = box.querySelector('.amfs-figure[data-waits]');
        figure?.scrollIntoView({ block: 'nearest' }); // as a user does, who looks at the change
        return figure || !this.settled();
      };
      const look = async () => {
        let still = performance.now();
        const quiet = () => {
          const { moved } = this.watched(box);
          if (moved) state.ms ??= moved - pressed;
          if (moved || waits()) still = performance.now();
          known.moved = null;
          // No request is open and no drawing is pending. plotly handles a mouse move a little later.
          return performance.now() - still > still_for;
        };
        while (!state.rested && performance.now() <= state.end) {
          await pause(8);
          if (!quiet()) continue;
          await frame(); // for work that was postponed to the next frame
          await frame();
          state.rested = quiet();
        }
        state.after = this.drawing(box);
        return state;
      };
      state.result = look();
      armed = state;
    },

    // To be called after the move for which the box was armed.
    async rest(seconds) {
      armed.end = performance.now() + 1000 * seconds;
      const { before, after, ms, rested } = await armed.result;
      return { before, after, ms, rested };
    },

    // The text of every visible banner.
    banners() {
      return [...document.querySelectorAll('.amfs-banner')].filter(b => b.offsetParent !== null).map(b => b.textContent.trim()).filter(Boolean);
    },
  };
})();
