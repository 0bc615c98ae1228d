// What every page needs: forms that speak with the server, pages that stay true, and widgets on demand.
import htmx from "htmx.org";
import { askFirst } from "./confirm.js";
import { bindKeys } from "./keys.js";
import { keepTrue } from "./live.js";
import { tickTimes } from "./times.js";
import { bindUploads } from "./upload.js";

const widgets = {
  charts: () => import("./charts.js"),
  log: () => import("./log.js"),
  shell: () => import("./shell.js"),
};

/** Starts the widgets of a page that are not running yet. */
function startWidgets() {
  for (const place of document.querySelectorAll("[data-widget]:not([data-on])")) {
    place.dataset.on = "";
    widgets[place.dataset.widget]?.().then((module) => module.start(place));
  }
}

// The page of another origin cannot add this header.
document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-Lace-Csrf"] = "page";
});

// What a person has opened stays open when the page is swapped.
htmx.registerExtension("keep-open", {
  htmx_before_morph_attr: (_, { attrName }) => attrName !== "open" && attrName !== "data-on",
});

document.addEventListener("htmx:error", () => say("The controller did not answer. What you asked for may not have been done: look, and repeat it."));

document.addEventListener("htmx:after:swap", () => {
  startWidgets();
  for (const toast of document.querySelectorAll("#said .toast:not([data-timed])")) {
    toast.dataset.timed = "";
    if (!toast.matches(".bad, .keep")) setTimeout(() => toast.remove(), 8000);
  }
});

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (!(ctx.response?.status < 300)) return;
  if (ctx.sourceElement?.matches?.("[data-reset]")) ctx.sourceElement.reset();
  // What was shown to be done is done.
  ctx.sourceElement?.closest?.("[data-once]")?.remove();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) event.target.closest(".toast").remove();
  if (event.target.closest("[data-theme-next]")) nextTheme();
});

document.addEventListener("lace:say", (event) => say(event.detail));

/** A message that the server had no chance to write. */
function say(text) {
  const toast = document.createElement("div");
  toast.className = "toast bad";
  toast.setAttribute("role", "alert");
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.dataset.close = "";
  close.setAttribute("aria-label", "Close this message");
  close.textContent = "×";
  toast.append(words, close);
  document.getElementById("said").append(toast);
}

function nextTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("lace-theme", root.dataset.theme);
}

askFirst();
bindKeys();
bindUploads();
tickTimes();
keepTrue(htmx);
startWidgets();
