// A bot being made, live. The server renders every state; this script listens for changes and exchanges the parts that
// differ, so a reload, a restart of the server or a visitor without scripts sees the same page.

import { events, percent } from "./base.js";

const root = () => document.querySelector("#making");
const spoken = document.querySelector("#spoken");
let stream = null, pending = false, again = false, said = "";

/** Puts a freshly rendered page's parts where they differ; what is being typed stays, unless the state is another. */
function exchange(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const now = fresh.querySelector("#making");
  if (!now) return location.reload();
  const moved = now.dataset.state !== root().dataset.state;
  for (const part of now.querySelectorAll("[data-part]")) put(part, moved);
  root().dataset.state = now.dataset.state;
  root().dataset.moves = now.dataset.moves;
  document.title = fresh.title;
  document.querySelector("#hug").classList.toggle("busy", now.dataset.moves === "yes");
  speak();
  listen();
}

function put(part, moved) {
  const old = root().querySelector(`[data-part="${part.dataset.part}"]`);
  if (old.innerHTML === part.innerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  if (focused?.matches("input, select, textarea") && !moved) return;
  const way = focused && pathTo(focused, old);
  const bar = old.querySelector("progress.meter"), fresh = part.querySelector("progress.meter");
  old.replaceChildren(...document.importNode(part, true).childNodes);
  if (bar && fresh) keepMoving(old.querySelector("progress.meter"), bar);
  if (focused) ((!moved && old.querySelector(way)) || old.querySelector("h2, h3"))?.focus();
}

/** The bar goes on from where it was, so that it glides. */
function keepMoving(bar, before) {
  const { value } = bar;
  const isKnown = bar.hasAttribute("value");
  if (!isKnown) return;
  bar.replaceWith(before);
  before.value = value;
}

function pathTo(element, within) {
  const steps = [];
  for (let at = element; at !== within; at = at.parentElement) {
    steps.unshift(`${at.localName}:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
  }
  return `:scope > ${steps.join(" > ")}`;
}

/** Screen readers hear each new state, and every tenth of the way. */
function speak() {
  const bar = document.querySelector("progress.meter");
  const tenth = bar?.hasAttribute("value") ? `, ${percent(Math.floor(bar.value * 10) / 10)}` : "";
  const text = document.querySelector("#phase").textContent + tenth;
  if (text !== said) spoken.textContent = said = text;
}

/** At most one page at a time is asked for, and one more after it when something happened meanwhile. */
async function refresh() {
  if (pending) { again = true; return; }
  pending = true;
  again = false;
  try {
    const answer = await fetch(root().dataset.url, { headers: { Accept: "text/html" } });
    if (answer.ok) exchange(await answer.text());
  } catch { /* the stream reconnects, and asks again */ }
  setTimeout(() => { pending = false; if (again) refresh(); }, 700);
}

function listen() {
  const moves = root().dataset.moves === "yes";
  if (moves && !stream) stream = events(root().dataset.events, { job: refresh }, { onstate: (state) => { if (state === "waiting") spoken.textContent = "The server does not answer; trying again."; else refresh(); } });
  if (!moves && stream) { stream.close(); stream = null; }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!root().contains(form)) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  form.querySelectorAll("button").forEach((button) => { button.disabled = true; });
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    document.activeElement?.blur();
    exchange(await answer.text());
    document.querySelector("#phase").focus();
  } catch {
    form.submit(); // the browser tells what is wrong
  }
});

document.addEventListener("change", () => {
  for (const who of document.querySelectorAll(".consent .who")) {
    who.hidden = who.closest("form").elements.consent?.value !== "permission";
  }
});

said = document.querySelector("#phase").textContent;
listen();
