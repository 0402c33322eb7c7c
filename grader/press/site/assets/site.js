// What a page of the site does by itself: the menu, light and dark, the search, one moving figure.

const up = document.currentScript.dataset.up;
const root = document.documentElement;

// On a wide page the menu is open; on a narrow one it is folded.
const menu = document.querySelector(".menu");
menu.open = matchMedia("(min-width: 1001px)").matches;

document.querySelector(".theme").addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("course-theme", root.dataset.theme);
  } catch {}
});

// --- The search. Its index is a script, since pages opened from a folder may not fetch files.

const field = document.querySelector("#search");
const found = document.querySelector("#found");
const SHOWN = 12;

function loaded() {
  if (window.courseIndex) return Promise.resolve();
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `${up}assets/index.js`;
    script.addEventListener("load", resolve);
    document.head.append(script);
  });
}

// Every word has to occur; one in a heading counts more than many in the text.
function score(entry, words) {
  const head = `${entry.head} ${entry.page}`.toLowerCase();
  const text = entry.text.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const inText = text.split(word).length - 1;
    const inHead = head.includes(word);
    if (!inText && !inHead) return 0;
    sum += (inHead ? 20 : 0) + Math.min(inText, 8);
  }
  return sum;
}

function around(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  return `${at ? "…" : ""}${text.slice(at, at + 160)}…`;
}

function row({ entry }, words) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = up + encodeURI(entry.place);
  link.textContent = entry.head === entry.page ? entry.page : `${entry.head} (${entry.page})`;
  const words_around = document.createElement("small");
  words_around.textContent = around(entry.text, words[0]);
  item.append(link, words_around);
  return item;
}

async function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter((word) => word.length > 1);
  found.hidden = !words.length;
  if (!words.length) return;
  await loaded();
  const hits = window.courseIndex
    .map((entry) => ({ entry, score: score(entry, words) }))
    .filter((hit) => hit.score)
    .sort((one, other) => other.score - one.score);
  const list = document.createElement("ol");
  list.append(...hits.slice(0, SHOWN).map((hit) => row(hit, words)));
  const count = document.createElement("p");
  count.textContent = hits.length ? `${hits.length} places` : "Nothing found. Try one word.";
  found.replaceChildren(count, list);
}

field.addEventListener("input", search);
field.addEventListener("keydown", (event) => {
  if (event.key === "Escape") field.value = "";
  if (event.key === "Escape") search();
});
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  found.querySelector("a")?.click();
});

// --- One moving figure: its states one after the other, until somebody stops it.

for (const moving of document.querySelectorAll(".moving")) {
  const states = [...moving.querySelectorAll("figure")];
  let at = 0;
  let timer = null;
  const show = (place) => {
    at = place % states.length;
    states.forEach((state, i) => state.classList.toggle("shown", i === at));
  };
  const button = document.createElement("button");
  button.type = "button";
  const run = (on) => {
    clearInterval(timer);
    timer = on ? setInterval(() => show(at + 1), 1800) : null;
    button.textContent = on ? "Stop" : "Play";
  };
  button.addEventListener("click", () => run(timer === null));
  moving.append(button);
  moving.classList.add("plays");
  show(0);
  run(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}
