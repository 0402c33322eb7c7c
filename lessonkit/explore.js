// The browser's side of lessonkit.explore: controls, picture and finding of one experiment.

function make(tag, className, attributes = {}) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function decimals(step) {
  return (String(step).split(".")[1] ?? "").length;
}

function makeControl(control, changed) {
  const id = `paramlock-${control.name}-${Math.random().toString(36).slice(2)}`;
  const row = make("div", "paramlock-explore-control");
  const label = make("label", "paramlock-explore-label", { for: id });
  label.textContent = control.label;
  const input = make("input", "paramlock-explore-slider", {
    id,
    type: "range",
    name: control.name,
    min: control.low,
    max: control.high,
    step: control.step,
    // JupyterLab gives arrow keys to its cells unless the focused element itself says no.
    "data-lm-suppress-shortcuts": "true",
  });
  input.value = control.value;
  // Not an <output>: that is a live region, and the finding already announces each answer.
  const shown = make("span", "paramlock-explore-value", { "aria-hidden": "true" });
  const print = () => (shown.textContent = Number(input.value).toFixed(decimals(control.step)));
  input.addEventListener("input", () => {
    print();
    changed();
  });
  print();
  row.append(label, input, shown);
  return { row, input };
}

function render({ model, el }) {
  const root = make("div", "paramlock-explore");
  const image = make("img", "paramlock-explore-picture");
  const finding = make("p", "paramlock-explore-finding", { role: "status", "aria-live": "polite" });

  // One request at a time: while the kernel works only the newest setting waits.
  let waiting = false;
  let stale = false;
  const ask = () => {
    if (waiting) {
      stale = true;
      return;
    }
    waiting = true;
    stale = false;
    model.send({ values: Object.fromEntries(inputs.map((i) => [i.name, Number(i.value)])) });
  };
  const controls = model.get("controls").map((control) => makeControl(control, ask));
  const inputs = controls.map((control) => control.input);

  let address = null;
  const show = () => {
    const old = address;
    address = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" }));
    image.onload = () => old && URL.revokeObjectURL(old);
    image.src = address;
    image.alt = `${model.get("description")} ${model.get("finding")}`;
    finding.textContent = model.get("finding");
    finding.classList.toggle("paramlock-explore-failed", model.get("failed"));
  };
  const answered = () => {
    waiting = false;
    show();
    if (stale) ask();
  };
  model.on("msg:custom", answered);

  const panel = make("fieldset", "paramlock-explore-controls");
  const legend = make("legend", "paramlock-explore-legend");
  legend.textContent = "Move a slider";
  panel.append(legend, ...controls.map((control) => control.row));
  root.append(panel, image, finding);
  el.append(root);
  show();
  return () => {
    model.off("msg:custom", answered);
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
