// The making form: accounts as chips that say which network they are on, files that upload as soon as they are chosen,
// and consent asked only where an account is read from a network. Without this script the form posts as it is.

import { ApiError, api, h, icon, percent, readAnswer, unreachable } from "./base.js";

const MOST = 3;
const NETWORKS = { bluesky: "Bluesky", mastodon: "Mastodon", x: "X" };
const FORMS = [ // as the server tells them apart (sources/__init__.py), which has the last word
  ["bluesky", /^(bluesky:.+|(https?:\/\/)?(www\.)?bsky\.app\/profile\/.+|at:\/\/.+|@?did:[a-z]+:\S+)$/i],
  ["x", /^(x:.+|(https?:\/\/)?(www\.|mobile\.|m\.)?(x|twitter)\.com\/.+)$/i],
  ["mastodon", /^(mastodon:.+|https?:\/\/[^/\s]+\/(web\/)?(@|users\/)\S+|[\w-]+(\.[\w-]+)+\/@\S+)$/i],
  ["bluesky", /^(https?:\/\/)?@?[\w-]+\.bsky\.social\/?$/i],
  ["mastodon", /^(acct:)?@?[\w.-]+@[\w-]+(\.[\w-]+)+(:\d+)?$/],
  ["bluesky", /^@([\w-]+\.)+[a-z]{2,}$/i],
  ["x", /^@\w{1,15}$/],
];

const form = document.querySelector("#maker");
const input = form.querySelector("#accounts");
const files = form.querySelector("#files");
const box = form.querySelector(".voicebox");
const list = form.querySelector(".voice-list");
const says = form.querySelector("#voice-says");
const consent = form.querySelector("#consent");
const trouble = form.querySelector("#maker-trouble");
const button = form.querySelector("[type=submit]");
const invitation = says.textContent;
let voices = []; // { kind: "account", text } or { kind: "file", name, done, id, stop() }
let wanted = false; // the button was pressed while a file was still on its way

const networkOf = (text) => FORMS.find(([, pattern]) => pattern.test(text))?.[0];

function say(text) {
  says.textContent = text || invitation;
  says.classList.toggle("says", Boolean(text));
}

function complain(error) {
  trouble.replaceChildren(...(error ? [h("div", { class: "note note-warn" },
    h("strong", {}, error.what ?? error.message),
    error.why ? h("p", {}, error.why) : null,
    error.next ? h("p", {}, error.next) : null)] : []));
}

function refresh() {
  consent.hidden = !consent.dataset.asked && !voices.some(({ kind }) => kind === "account") && !input.value.trim();
  form.querySelector(".who").hidden = form.elements.consent.value !== "permission";
  input.placeholder = voices.length ? "" : "alice.bsky.social";
  input.disabled = files.disabled = voices.length >= MOST;
}

function remove(voice) {
  voice.stop?.();
  voice.chip.remove();
  voices = voices.filter((other) => other !== voice);
  say("");
  refresh();
  input.focus();
}

function chipOf(voice, sign, title, detail) {
  const off = h("button", { type: "button", class: "icon-button", "aria-label": `Remove ${title}`, onclick: () => remove(voice) }, icon("close"));
  voice.chip = h("li", { class: "voice" }, icon(sign), h("span", { dir: "auto" }, title, " ", h("small", {}, detail)), off);
  list.append(voice.chip);
  voices.push(voice);
  refresh();
}

function addAccount(text) {
  if (voices.some((voice) => voice.text === text)) return say(`${text} is there already.`);
  if (voices.length >= MOST) return say(`Up to ${MOST} voices become one bot.`);
  const network = networkOf(text);
  const voice = { kind: "account", text };
  chipOf(voice, network ?? "at", text, network ? NETWORKS[network] : "network?");
  voice.chip.classList.toggle("unsure", !network);
  return say(network ? `${text} is on ${NETWORKS[network]}.` : `Which network is ${text} on? Write @${text.replace(/^@/, "")} for X, or the whole name: alice.bsky.social, @alice@mastodon.social.`);
}

function takeTyped() {
  const typed = input.value.split(/[,\s]+/).filter(Boolean);
  input.value = "";
  typed.forEach(addAccount);
  refresh();
}

function upload(file, onprogress) {
  const request = new XMLHttpRequest(); // fetch tells no progress
  const body = new FormData();
  body.append("file", file);
  const done = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => onprogress(loaded / total);
    request.onerror = () => reject(unreachable());
    request.onload = () => {
      try { resolve(readAnswer(request.status, request.responseText)); } catch (error) { reject(error); }
    };
  });
  request.open("POST", "/api/v1/uploads");
  request.setRequestHeader("Accept", "application/json");
  request.send(body);
  return { done, stop: () => request.abort() };
}

async function addFile(file) {
  if (voices.length >= MOST) return say(`Up to ${MOST} voices become one bot.`);
  if (file.size > Number(form.dataset.mostBytes)) return complain({ what: `${file.name} is too large.`, why: `At most ${form.dataset.mostSize}.` });
  complain(null);
  const voice = { kind: "file", name: file.name, done: false };
  chipOf(voice, "file", file.name, "0\u2009%");
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  voice.chip.append(bar);
  const { done, stop } = upload(file, (share) => {
    bar.value = share;
    voice.chip.querySelector("small").textContent = percent(share);
  });
  voice.stop = stop;
  try {
    const answer = await done;
    Object.assign(voice, { id: answer.upload, done: true, stop: undefined });
    voice.chip.querySelector("small").textContent = "ready";
    bar.remove();
    say(`${file.name} is here.`);
    if (wanted) send();
  } catch (error) {
    wanted = false;
    working(null);
    remove(voice);
    complain(error);
  }
}

function working(text) {
  button.disabled = Boolean(text);
  button.replaceChildren(text ?? "Read the posts ", ...(text ? [] : [icon("arrow")]));
}

/** What the consent gate wants to hear, as far as it was said; null where the form must ask. */
function word() {
  if (consent.hidden) return {};
  const choice = form.elements.consent.value;
  if (choice === "mine") return { mine: true };
  const who = form.elements.who.value.trim();
  return choice === "permission" && who ? { permission: who } : null;
}

async function send() {
  takeTyped();
  complain(null);
  if (!voices.length) { complain({ what: "Whose voice shall it learn?", why: "Name an account or choose a file." }); return input.focus(); }
  const said = word();
  if (!said) { complain({ what: "Whose posts are these?", why: "Yours, or somebody's who gave you permission: say who, and when." }); return consent.querySelector("input").focus(); }
  wanted = voices.some((voice) => voice.kind === "file" && !voice.done);
  if (wanted) return working("Uploading…");
  working("One moment…");
  try {
    const job = await api("/jobs", { method: "POST", body: order(said) });
    location.assign(job.url);
  } catch (error) {
    working(null);
    if (error.needs?.includes("word")) consent.dataset.asked = "yes";
    refresh();
    complain(error instanceof ApiError ? error : { what: "That did not work.", why: String(error) });
  }
}

function order(said) {
  const { base, minutes, name } = form.elements;
  return {
    accounts: voices.filter(({ kind }) => kind === "account").map(({ text }) => text),
    uploads: voices.filter(({ kind }) => kind === "file").map(({ id }) => id),
    name: name.value.trim() || null,
    base: base.value,
    minutes: minutes.value ? Number(minutes.value) : null,
    straight: false,
    word: said,
  };
}

form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
form.addEventListener("change", refresh);
input.addEventListener("input", () => { if (/[,\s]/.test(input.value)) takeTyped(); else refresh(); });
input.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== input) takeTyped(); }, 150));
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && input.value.trim()) { event.preventDefault(); takeTyped(); }
  if (event.key === "Backspace" && !input.value && voices.length) remove(voices.at(-1));
});
files.addEventListener("change", () => { [...files.files].forEach(addFile); files.value = ""; });
for (const kind of ["dragenter", "dragover"]) form.addEventListener(kind, (event) => { event.preventDefault(); box.classList.add("dragging"); });
for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, (event) => { event.preventDefault(); box.classList.remove("dragging"); });
form.addEventListener("drop", (event) => [...event.dataTransfer.files].forEach(addFile));
form.noValidate = true;
refresh();
addEventListener("pageshow", () => working(null)); // also when the back button brings the page as it was
