// The browser's side of lessonkit.form_widget: one question, its controls, a button and a reply.

function make(tag, className, attributes = {}, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// JupyterLab gives keys to its cells unless the focused element itself says no: Enter on a button
// would edit the cell, x would cut it, and an arrow would leave it.
function makeFocusable(tag, className, attributes = {}, text = "") {
  const own = { "data-lm-suppress-shortcuts": "true", ...attributes };
  return make(tag, className, own, text);
}

const WAITING =
  "Waiting for Python. A cell that is running has to end first; " +
  "if the kernel was restarted, run this cell again.";

// Each maker returns the element to show and a function that reads what it holds.

function makeNumber(asked, start, id, { press }) {
  const row = make("div", "paramlock-form-row");
  const label = make("label", "paramlock-form-label", { for: id }, asked.label);
  const input = makeFocusable("input", "paramlock-form-number", {
    id,
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": `${id}-note`,
  });
  input.value = start ?? "";
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) press();
  });
  row.append(label, input);
  return { element: row, read: () => input.value, input };
}

function makeChoice(asked, start, id) {
  const list = make("div", "paramlock-form-options");
  const inputs = asked.lines.map((line) => {
    const label = make("label", "paramlock-form-option");
    const input = makeFocusable("input", "paramlock-form-radio", { type: "radio", name: id });
    input.value = line;
    input.checked = line === start;
    label.append(input, make("span", "", {}, line));
    list.append(label);
    return input;
  });
  return { element: list, read: () => inputs.find((input) => input.checked)?.value ?? null };
}

function makeOrder(asked, start, id, { say }) {
  const list = make("ol", "paramlock-form-items");
  const rows = () => [...list.children];
  const refresh = () =>
    rows().forEach((row, i) => {
      // Not `disabled`: that would take the focus from who moved an item to the end.
      row.querySelector("[data-by='-1']").setAttribute("aria-disabled", i === 0);
      row.querySelector("[data-by='1']").setAttribute("aria-disabled", i === list.children.length - 1);
    });
  const move = (row, by) => {
    const other = by < 0 ? row.previousElementSibling : row.nextElementSibling;
    // The other one is moved, so that the focus stays on the button that was pressed.
    if (other) row[by < 0 ? "after" : "before"](other);
    refresh();
    const place = `${rows().indexOf(row) + 1} of ${rows().length}`;
    say(`${row.dataset.item} is ${other ? "now" : "already"} ${place}.`);
  };
  for (const item of start ?? asked.lines) {
    const row = make("li", "paramlock-form-item");
    row.dataset.item = item;
    const line = make("div", "paramlock-form-row");
    line.append(make("span", "paramlock-form-words", {}, item));
    for (const [by, sign, word] of [[-1, "↑", "up"], [1, "↓", "down"]]) {
      const attributes = { type: "button", "data-by": by, "aria-label": `Move ${item} ${word}` };
      const button = makeFocusable("button", "paramlock-form-move", attributes, sign);
      button.addEventListener("click", () => move(row, by));
      line.append(button);
    }
    row.append(line);
    list.append(row);
  }
  refresh();
  return { element: list, read: () => rows().map((row) => row.dataset.item) };
}

const MAKERS = { number: makeNumber, choice: makeChoice, order: makeOrder };

// A restart is told to a model's connection alone, not to its views; one made later reads it too.
function initialize({ model }) {
  model.on("comm_live_update", () => model.set("lost", true));
}

function render({ model, el }) {
  const asked = model.get("asked");
  const id = `paramlock-form-${Math.random().toString(36).slice(2)}`;
  const root = make("div", "paramlock-form");
  const frame = make("fieldset", "paramlock-form-frame");
  const legend = make("legend", "paramlock-form-legend");
  legend.append(make("strong", "", {}, `${asked.title}.`), ` ${asked.question}`);
  const note = make("p", "paramlock-form-note", { id: `${id}-note` }, asked.note);
  const reply = make("p", "paramlock-form-reply", { role: "status" });
  const closed = makeFocusable("p", "paramlock-form-closed", { tabindex: "-1" });
  const solution = make("details", "paramlock-form-solution");
  const unfolded = make("p", "");
  solution.append(makeFocusable("summary", "", {}, "Show the answer"), unfolded);

  let late = null;
  const say = (words, failed = false) => {
    clearTimeout(late);
    reply.textContent = words;
    reply.classList.toggle("paramlock-form-failed", failed);
    controls.input?.setAttribute("aria-invalid", failed);
  };
  const press = () => {
    say(""); // so that the same reply is announced again
    late = setTimeout(() => say(WAITING), 1500);
    try {
      model.send({ answer: controls.read() });
    } catch {
      clearTimeout(late);
      model.set("lost", true);
    }
  };
  const controls = MAKERS[asked.kind](asked, model.get("answer"), id, { press, say });
  const button = makeFocusable("button", "paramlock-form-button", { type: "button" }, asked.button);
  button.addEventListener("click", press);

  const answered = ({ words, failed }) => say(words, failed);
  const show = () => {
    const focused = frame.contains(document.activeElement);
    closed.textContent = model.get("lost") ? asked.again : model.get("closed");
    frame.disabled = closed.textContent !== "";
    if (frame.disabled && focused) closed.focus();
    unfolded.textContent = model.get("solution");
    solution.hidden = unfolded.textContent === "";
  };
  model.on("msg:custom", answered);
  model.on("change:lost change:closed change:solution", show);

  frame.append(legend, note, controls.element, button);
  root.append(frame, closed, reply, solution);
  el.append(root);
  show();
  return () => {
    clearTimeout(late);
    model.off("msg:custom", answered);
    model.off("change:lost change:closed change:solution", show);
  };
}

export default { initialize, render };
