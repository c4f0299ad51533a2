// What every widget of ours begins with, put before its script. anywidget gives up on a widget that is not ready within two
// seconds, and drops every message to it from then on; where a busy page is too late for that, a widget takes up the
// messages itself and asks the kernel for what was dropped.

const PATIENCE = 20000; // milliseconds for one try

const within = (milliseconds, promise, what) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} took too long`)), milliseconds))]);

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
