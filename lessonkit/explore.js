// The browser's side of lessonkit.explore and lessonkit.drawing.play: controls, picture, finding.
// An experiment asks the kernel for each picture; a play brings its frames along.

const PAUSE = 900; // milliseconds that a state of a play is shown
const SLOW = 4000; // milliseconds without an answer, after which a reader is told

function make(tag, className, attributes = {}, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function makeControl(control, changed) {
  const id = `paramlock-${control.name}-${Math.random().toString(36).slice(2)}`;
  const row = make("div", "paramlock-explore-control");
  const label = make("label", "paramlock-explore-label", { for: id }, control.label);
  const input = make("input", "paramlock-explore-slider", {
    id,
    type: "range",
    name: control.name,
    min: 0,
    max: control.texts.length - 1,
    step: 1,
    // JupyterLab gives arrow keys to its cells unless the focused element itself says no.
    "data-lm-suppress-shortcuts": "true",
  });
  input.value = control.at;
  // Not an <output>: that is a live region, and the finding already announces each answer.
  const shown = make("span", "paramlock-explore-value", { "aria-hidden": "true" });
  const print = () => {
    shown.textContent = control.texts[input.value];
    input.setAttribute("aria-valuetext", control.texts[input.value]);
  };
  input.addEventListener("input", () => {
    print();
    changed();
  });
  print();
  row.append(label, input, shown);
  const set = (at) => {
    input.value = at;
    print();
  };
  return { row, input, set };
}

// Asks the kernel, one request at a time: while it works only the newest setting waits. An answer
// may be lost, so after a while it asks once more; a late one is shown all the same.
function makeAsker(model, inputs, show, tell) {
  let waiting = false;
  let stale = false;
  let repeated = false;
  let timer = null;
  const ask = () => {
    if (waiting) {
      stale = true;
      return;
    }
    waiting = true;
    stale = false;
    timer = setTimeout(giveUp, SLOW);
    try {
      model.send({ steps: Object.fromEntries(inputs().map((i) => [i.name, Number(i.value)])) });
    } catch {
      clearTimeout(timer);
      lose(model);
    }
  };
  const giveUp = () => {
    waiting = false;
    tell(`No answer yet. If no cell is running: ${model.get("again")}`);
    if (stale || !repeated) ask();
    repeated = true;
  };
  const answered = () => {
    clearTimeout(timer);
    waiting = repeated = false;
    show();
    if (stale) ask();
  };
  model.on("msg:custom", answered);
  const stop = () => {
    clearTimeout(timer);
    model.off("msg:custom", answered);
  };
  return { ask, stop };
}

// A button that moves a control on, state by state; where motion is not wanted, one per press.
function makePlayer(control, last, quiet) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const button = make("button", "paramlock-explore-button", {
    type: "button",
    "data-lm-suppress-shortcuts": "true",
  });
  let timer = null;
  const name = () => (button.textContent = timer ? "Pause" : still.matches ? "Next" : "Play");
  const stop = () => {
    clearInterval(timer);
    timer = null;
    quiet(false);
    name();
  };
  const next = () => {
    const at = Number(control.input.value);
    const to = at < last ? at + 1 : 0;
    control.set(to);
    control.input.dispatchEvent(new Event("moved"));
    if (timer && to === last) stop();
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (!still.matches) {
      quiet(true); // else a screen reader would be told each state
      timer = setInterval(next, PAUSE);
    }
    next();
    name();
  });
  control.input.addEventListener("input", stop);
  still.addEventListener("change", stop);
  name();
  const remove = () => {
    stop();
    still.removeEventListener("change", stop);
  };
  return { button, remove };
}

// The kernel is gone. Not for the kernel to know, so never saved; a view made later reads it too.
function lose(model) {
  model.set("lost", true);
}

// A restart is told to a model's connection alone, not to its views.
function initialize({ model }) {
  model.on("comm_live_update", () => lose(model));
}

function render({ model, el }) {
  const root = make("div", "paramlock-explore");
  const image = make("img", "paramlock-explore-picture", { width: model.get("width") });
  const finding = make("p", "paramlock-explore-finding", { role: "status", "aria-live": "polite" });
  const panel = make("fieldset", "paramlock-explore-controls");
  const legend = model.get("frames") ? "Step through the states" : "Move a slider";
  panel.append(make("legend", "paramlock-explore-legend", {}, legend));
  const again = make("p", "paramlock-explore-again", {}, model.get("again"));

  let address = null;
  const put = (bytes, type, alt, words) => {
    const old = address;
    address = URL.createObjectURL(new Blob([bytes], { type }));
    image.onload = () => old && URL.revokeObjectURL(old);
    image.src = address;
    image.alt = alt;
    finding.textContent = words;
  };

  const renderParts = model.get("frames") ? renderPlay : renderExperiment;
  const remove = renderParts({ model, root, panel, put, finding });
  root.append(panel, again, image, finding);
  el.append(root);
  return () => {
    remove();
    if (address) URL.revokeObjectURL(address);
  };
}

function renderExperiment({ model, root, panel, put, finding }) {
  const show = () => {
    const words = model.get("finding");
    put(model.get("picture"), "image/png", `${model.get("description")} ${words}`, words);
    finding.classList.toggle("paramlock-explore-failed", model.get("failed"));
  };
  const asker = makeAsker(
    model,
    () => controls.map((control) => control.input),
    show,
    (words) => (finding.textContent = words),
  );
  const controls = model.get("controls").map((control) => makeControl(control, asker.ask));
  panel.append(...controls.map((control) => control.row));
  root.classList.add("paramlock-explore-asks");
  const leave = () => root.classList.toggle("paramlock-explore-left", Boolean(model.get("lost")));
  model.on("change:lost", leave);
  leave();
  show();
  return () => {
    asker.stop();
    model.off("change:lost", leave);
  };
}

function renderPlay({ model, panel, put, finding }) {
  const frames = model.get("frames");
  const show = () => {
    const { picture, alt, caption } = frames[control.input.value];
    put(picture, "image/webp", alt, caption);
  };
  const control = makeControl(model.get("controls")[0], show);
  control.input.addEventListener("moved", show);
  const quiet = (on) => finding.setAttribute("aria-live", on ? "off" : "polite");
  const player = makePlayer(control, frames.length - 1, quiet);
  control.row.prepend(player.button);
  control.row.classList.add("paramlock-explore-plays");
  panel.append(control.row);
  show();
  return player.remove;
}

export default { initialize, render };
