// The page by keyboard: `g` and a letter go to a noun, `/` to the filter.

const places = {
  o: "/", a: "/apps", n: "/nodes", h: "/hosts", r: "/releases", p: "/operations", e: "/events", j: "/jobs",
  s: "/secrets", t: "/tokens", u: "/audit", c: "/server", v: "/providers", k: "/packages",
};

/** Listens for the keys, where nobody writes. */
export function bindKeys() {
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable], .xterm, dialog")) return;
    if (event.key === "/") {
      const filter = document.querySelector("[data-filter]");
      if (filter) {
        event.preventDefault();
        filter.focus();
      }
    } else if (event.key === "?") {
      location.href = "/help#keys";
    } else if (event.key === "g") {
      going = Date.now();
    } else if (Date.now() - going < 1500 && places[event.key]) {
      location.href = places[event.key];
    }
  });
}
