// A bot's page: ten posts that grow as they are written, and what one does with a post. The finished posts come from the
// server as HTML, so that a page with or without scripts looks the same.

import { ApiError, api, copy, eventsIn, h, readAnswer, share, toast, unreachable } from "./base.js";

const player = document.querySelector("#player");
const spoken = document.querySelector("#spoken");
const FIELDS = ["start", "seed", "temperature", "top_p", "max_length"];
let running = null;

const list = () => document.querySelector("#written");
const say = (text) => { if (spoken) spoken.textContent = text; };

/** What only a script can do is shown where there is one. */
function wake(within) {
  for (const one of within.querySelectorAll("[data-copy], [data-mastodon], [data-share], [data-preview], [data-hide], .starts, #list")) one.hidden = false;
  const toggle = document.querySelector("#hide-copies");
  if (toggle && list()) toggle.hidden = !list().querySelector("[data-copied]");
}

function asked() {
  const { start, seed, temperature, max_length: longest } = player.elements;
  const number = (input) => (input.value === "" ? undefined : Number(input.value));
  const link = new URLSearchParams(location.search);
  const topP = link.has("top_p") ? Number(link.get("top_p")) : undefined;
  return { start: start.value, seed: number(seed), temperature: number(temperature), max_length: number(longest), top_p: topP };
}

function complain(error) {
  document.querySelector("#player-trouble").replaceChildren(...(error ? [h("div", { class: "note note-warn" }, h("strong", {}, error.what), error.why ? h("p", {}, error.why) : null, error.next ? h("p", {}, error.next) : null)] : []));
}

async function write() {
  running?.abort();
  const mine = running = new AbortController();
  const order = asked();
  complain(null);
  say("Writing…");
  document.querySelector("#hug").classList.add("busy");
  document.querySelector("#written-head").textContent = "What it writes";
  const posts = Array.from({ length: 10 }, () => h("p", { class: "post-text", dir: "auto" }));
  list().replaceChildren(...posts.map((post) => h("li", { class: "card post writing", "data-post": "" }, post)));
  try {
    const response = await fetch(`/api/v1/bots/${encodeURIComponent(player.dataset.bot)}/predictions`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify({ ...order, n: posts.length }),
      signal: mine.signal,
    });
    if (!response.ok) readAnswer(response.status, await response.text());
    for await (const [name, value] of eventsIn(response.body)) {
      if (name === "queued") say(`${value.ahead} before you.`);
      if (name === "piece") posts[value.post].append(value.text);
      if (name === "error") throw new ApiError(value.error, 0);
      if (name === "done") await finish(order, value, mine.signal);
    }
  } catch (trouble) {
    if (trouble.name === "AbortError") return;
    list().replaceChildren();
    say("");
    complain(trouble instanceof ApiError ? trouble : unreachable());
    if (!(trouble instanceof ApiError || trouble instanceof TypeError)) throw trouble; // a bug, for the console
  } finally {
    if (running === mine) document.querySelector("#hug").classList.remove("busy");
  }
}

/** The address becomes one that writes the same again. */
async function finish(order, { draw, seed, predictions }, signal) {
  const one = predictions[0];
  const link = new URLSearchParams(FIELDS.map((name) => [name, name === "seed" ? seed : one[name]]));
  history.replaceState(null, "", `${player.dataset.url}?${link}`);
  const answer = await fetch(`${player.dataset.url}?draw=${encodeURIComponent(draw)}`, { headers: { Accept: "text/html" }, signal });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#written");
  list().replaceChildren(...document.importNode(fresh, true).children);
  document.querySelector("#written-head").textContent = "What it wrote";
  wake(list());
  const copies = list().querySelectorAll("[data-copied]").length;
  say(`${predictions.length} posts are written.${copies ? ` ${copies} close to real ones.` : ""}`);
}

/** Nothing is sent from here: the page of one's own server opens, with the text in its form. */
function askServer(button) {
  if (button.nextElementSibling?.localName === "form") return button.nextElementSibling.querySelector("input").focus();
  let known = "";
  try { known = localStorage.getItem("mastodon") ?? ""; } catch { /* then it is typed each time */ }
  const input = h("input", { type: "text", value: known, placeholder: "mastodon.social", "aria-label": "Your Mastodon server", autocapitalize: "none", spellcheck: "false" });
  const form = h("form", {}, input, h("button", { class: "link", type: "submit" }, "Open"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const server = input.value.trim().replace(/^https?:\/\//, "").replace(/\/.*$/, "").replace(/^.*@/, "");
    if (!/^[\w-]+(\.[\w-]+)+(:\d+)?$/.test(server)) return toast("Type a server such as mastodon.social.");
    try { localStorage.setItem("mastodon", server); } catch { /* see above */ }
    const text = `${button.dataset.mastodon}\n\n(AI-generated)\n${new URL(button.dataset.url, location.href)}`;
    return open(`https://${server}/share?text=${encodeURIComponent(text)}`, "_blank", "noopener");
  });
  button.after(form);
  return input.focus();
}

async function change(path, body, done, method = "PATCH") {
  try {
    await api(path, { method, body });
    done();
  } catch (error) {
    toast(error.what ?? String(error));
  }
}

function makePreview(button) {
  return change(`/predictions/${button.dataset.preview}/preview`, undefined, () => {
    for (const other of document.querySelectorAll("[data-preview]")) other.disabled = other === button;
    toast("It is the bot's preview now.");
  }, "POST");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  for (const menu of document.querySelectorAll("details.share[open]")) if (!menu.contains(event.target)) menu.open = false;
  if (!button) return undefined;
  const { copy: text, mastodon, share: shared, preview, hide, start, url } = button.dataset;
  if (text !== undefined) return copy(text);
  if (mastodon !== undefined) return askServer(button);
  if (shared !== undefined) return share({ title: "AI-generated", text: `${shared}\n\n(AI-generated)`, url });
  if (preview !== undefined) return makePreview(button);
  if (hide !== undefined) return change(`/predictions/${hide}`, { hidden: true }, () => location.reload());
  if (button.id === "list") return change(`/bots/${encodeURIComponent(location.pathname.slice(1).replace(/^~/, "").split("/")[0])}`, { published: !button.dataset.published }, () => location.reload());
  if (start === undefined) return undefined;
  player.elements.start.value = start;
  return player.elements.start.focus();
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.activeElement?.closest("details.share[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.querySelector("#hide-copies")?.addEventListener("change", (event) => list().classList.toggle("hiding", event.target.checked));

wake(document);
if (player) {
  player.addEventListener("submit", (event) => { event.preventDefault(); write(); });
  const link = new URLSearchParams(location.search);
  for (const name of FIELDS) if (link.has(name) && player.elements[name]) player.elements[name].value = link.get(name);
  if (link.has("seed")) { write(); player.elements.seed.value = ""; }
}
