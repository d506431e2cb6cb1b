// What every page needs, and what the other scripts import: elements, icons, the API, notes, copying, sharing, events.

const here = new URL(".", import.meta.url).href; // the static folder, with its version

/** An element: h("p", { class: "note", onclick: f }, "text", child). Never HTML from a string. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const use = svg("use", { href: `${here}icons.svg#${name}` });
  return svg("svg", { class: `icon icon-${name}`, "aria-hidden": "true", width: 20, height: 20 }, use);
}

/** What the server said went wrong: code, what, why, next, needs; status is HTTP's. */
export class ApiError extends Error {
  constructor(error, status) {
    super(error.what);
    Object.assign(this, { code: "internal", why: "", next: "", needs: [] }, error, { status });
  }
}

/** JSON in, JSON out; raises ApiError, also when nothing answers. Paths are below /api/v1. */
export async function api(path, { method = "GET", body, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: sent, signal });
  } catch (trouble) {
    if (trouble.name === "AbortError") throw trouble;
    throw unreachable();
  }
  return readAnswer(response.status, await response.text());
}

export function unreachable() {
  return new ApiError({ code: "unreachable", what: "The server does not answer.", why: "Try again in a moment." }, 0);
}

/** The JSON of an answer; raises ApiError for every status that is no success. */
export function readAnswer(status, text) {
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch { /* a proxy's own page */ }
  if (status >= 200 && status < 300) return answer;
  throw new ApiError(answer?.error ?? { what: `The server answered ${status}.` }, status);
}

/** A short note at the edge of the page, read out by screen readers. */
export function toast(text, kind = "") {
  const note = h("p", { class: `toast ${kind}` }, text);
  document.querySelector(".toasts").append(note);
  setTimeout(() => note.remove(), 5000);
}

export async function copy(text, said = "Copied.") {
  try {
    await navigator.clipboard.writeText(text);
    toast(said);
  } catch { // no permission, or no https
    const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    toast(document.execCommand("copy") ? said : "Your browser did not allow copying.");
    area.remove();
  }
}

/** The device's own share sheet; where there is none, the link is copied. */
export async function share({ title, text, url }) {
  const absolute = new URL(url, location.href).href;
  if (navigator.share) {
    try {
      return await navigator.share({ title, text, url: absolute });
    } catch (trouble) {
      if (trouble.name === "AbortError") return undefined;
    }
  }
  return copy(absolute, "Link copied.");
}

/** Server-sent events; reconnects by itself, waiting longer each time, also after an answer that is no stream. */
export function events(url, handlers, { onstate = () => {} } = {}) {
  let source, timer, wait = 1000, closed = false;
  const open = () => {
    source = new EventSource(url);
    source.onopen = () => { wait = 1000; onstate("open"); };
    source.onerror = () => {
      source.close();
      if (closed) return;
      onstate("waiting");
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, 15000);
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  };
  open();
  return { close() { closed = true; clearTimeout(timer); source.close(); } };
}

/** The events of a stream that was asked for by POST, which EventSource can't: [name, value], .... */
export async function* eventsIn(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      // Lines end with "\n" alone: a text may hold U+2028, which a regular expression takes for an end too.
      const fields = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
      if (fields.has("event")) yield [fields.get("event"), JSON.parse(fields.get("data"))];
    }
  }
}

const numbers = new Intl.NumberFormat("en");
export const number = (value) => numbers.format(value);
export const percent = (share) => `${Math.round(100 * share)}\u2009%`;

/** duration(93) → "1 min 33 s" */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

function setUpTheme() {
  const button = document.querySelector(".theme-toggle");
  const device = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (device.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("theme", theme); } catch { /* for this page only, then */ }
    show();
  });
  device.addEventListener("change", show);
  button.hidden = false;
  show();
}

setUpTheme();
