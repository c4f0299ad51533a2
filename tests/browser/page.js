// Runs in every page of the browser test: what only the page itself can know. `window.course` is asked by lab.py.

// anywidget gives a widget up that is not ready after two seconds by the clock. On a machine that is busy with other things
// that says nothing about the lesson, so its clock goes slowly here; one test lets it run out at once, as on a slow machine.
let clock = 30;
const limit = AbortSignal.timeout;
AbortSignal.timeout = ms => limit.call(AbortSignal, clock * ms);

window.course = (() => {
  const open = new Map(); // what the page has asked the kernel to do, and is not finished
  let lost = 0; // how many questions were never answered
  let heard = 0; // when a kernel's message last came or went
  let pressed = 0; // when the last key went down
  let armed = null; // the box that is watched
  const boxes = new WeakMap(); // what is drawn in each box, and whether anything in it has changed since that was read
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

    // From here on, count questions and answers. JupyterLab works through a kernel's messages in their order, so that
    // every change of a widget that came before an `idle` is in the page once that `idle` is.
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

    // Once in hundreds of moves a question that is sent while a cell runs is never answered (JupyterLab sends those of widgets
    // to a thread of their own, an ipykernel subshell). When the kernel has long been idle and silent, none will come. What
    // a lost question should have moved has then not moved, and that is looked at by itself.
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

    // Every explorer comes into sight once, as for a reader, and stays until it is drawn: a figure is drawn when it is seen.
    async scroll_by(seconds) {
      const end = performance.now() + 1000 * seconds;
      for (const box of document.querySelectorAll('.jp-Notebook .amfs-explorer')) {
        box.scrollIntoView({ block: 'center' });
        for (let frames = 0; frames < 3; frames++) await frame(); // it hears of a new width
        while (performance.now() < end && (!box.querySelector('.js-plotly-plot') || box.querySelector('.amfs-figure[data-waits]'))) await frame();
      }
    },

    // What is still missing on the page, in words; empty when all widgets stand there and all figures are drawn.
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

    // Marks every box with something to move in it, and says how many there are. A slider outside an explorer belongs to
    // the output that it stands in.
    mark() {
      const boxes = new Set();
      document.querySelectorAll('.jp-Notebook .amfs-explorer, .jp-Notebook .noUi-handle').forEach(found => {
        boxes.add(found.closest('.amfs-explorer') ?? found.closest('.jp-OutputArea-output'));
      });
      [...boxes].forEach((box, index) => box.setAttribute('data-box', index));
      return boxes.size;
    },

    command(name) {
      window.jupyterapp.commands.execute(name); // not awaited: its state is what is looked at
    },

    // Code for the kernel that is no cell of the lesson. Resolves when it has run.
    async execute(code) {
      const future = panel().sessionContext.session.kernel.requestExecute({ code, silent: false, store_history: false });
      const reply = await future.done;
      return reply.content.status;
    },

    // What is drawn, as a number that changes with it; without what only the mouse shows.
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

    // The figures of one box, watched from the first time on.
    watched(box) {
      let known = boxes.get(box);
      if (!known) {
        const changed = () => {
          known.stale = true;
          known.moved ??= performance.now();
        };
        known = { observer: new MutationObserver(changed), changed, stale: true, moved: null }; // when it first moved
        const all = { subtree: true, childList: true, attributes: true, characterData: true };
        box.querySelectorAll('.amfs-panels, .amfs-legend').forEach(part => known.observer.observe(part, all));
        boxes.set(box, known);
      }
      if (known.observer.takeRecords().length) known.changed();
      return known;
    },

    // What is drawn in one box, read anew only after something in it has changed: a figure may be a megabyte of text.
    drawing(box) {
      const known = this.watched(box);
      if (known.stale || box.querySelector('.js-plotly-plot canvas')) {
        known.digest = this.digest(box);
        known.stale = false;
      }
      return known.digest;
    },

    // What a reader reads in a box: the sentence, what the controls are set to, the words in the figure. Unlike the drawing
    // it comes back exactly: plotly may place the same thing a fraction of a pixel elsewhere.
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

    // Watches a box from now on, until the kernel has nothing left to do and nothing moves any more. `ms` is the time from the
    // last key press to the first change of the drawing. Asks by a clock: a page that is asked for every frame paints every
    // frame, and a lesson is long.
    arm(box, still_for) {
      const before = this.drawing(box);
      const known = this.watched(box);
      known.moved = null;
      const state = { before, after: before, ms: null, rested: false, end: Infinity };
      const waits = () => {
        if (state.end === Infinity) return true;
        const figure = box.querySelector('.amfs-figure[data-waits]');
        figure?.scrollIntoView({ block: 'nearest' }); // a reader looks for what has changed
        return figure || !this.settled();
      };
      const look = async () => {
        let still = performance.now();
        const quiet = () => {
          const { moved } = this.watched(box);
          if (moved) state.ms ??= moved - pressed;
          if (moved || waits()) still = performance.now();
          known.moved = null;
          // Nothing is asked any more and no drawing is to come. The mouse over a plot is heard by plotly a little later.
          return performance.now() - still > still_for;
        };
        while (!state.rested && performance.now() <= state.end) {
          await pause(8);
          if (!quiet()) continue;
          await frame(); // what was put off to the next frame
          await frame();
          state.rested = quiet();
        }
        state.after = this.drawing(box);
        return state;
      };
      state.result = look();
      armed = state;
    },

    // To be asked after the move that the box was armed for.
    async rest(seconds) {
      armed.end = performance.now() + 1000 * seconds;
      const { before, after, ms, rested } = await armed.result;
      return { before, after, ms, rested };
    },

    // The text of every banner that is seen.
    banners() {
      return [...document.querySelectorAll('.amfs-banner')].filter(b => b.offsetParent !== null).map(b => b.textContent.trim()).filter(Boolean);
    },
  };
})();
