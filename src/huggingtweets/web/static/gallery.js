// The fleet that is at work, as it goes on.

import { api } from "./base.js";

const EVERY_MS = 5000;
const section = document.querySelector("[data-fleet]");

async function look() {
  if (document.visibilityState !== "visible") return;
  let fleet;
  try {
    ({ fleet } = await api("/fleet"));
  } catch {
    return; // the next time
  }
  if (!fleet) return location.reload();
  section.querySelector("progress").value = fleet.counts.done + fleet.counts.failed;
  section.querySelector("[data-fleet-words]").textContent = fleet.words;
}

setInterval(look, EVERY_MS);
