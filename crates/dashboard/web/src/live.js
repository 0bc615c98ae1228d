// The page stays true: each event asks for it again, at most so often as it can be made; a lost connection is shown,
// tried again, and followed by a fresh page.

const AT_LEAST_EVERY_MS = 5000;
const AT_MOST_EVERY_MS = 250;
const TRY_AGAIN_MS = [500, 1000, 2000, 5000];

/** Follows the feed and keeps the page as it is at the server. */
export function keepTrue(htmx) {
  const sign = document.getElementById("live");
  if (!sign) return;
  let feed, waiting, failed = 0, last = 0, cost = 0, busy = false, again = false;

  function show(state, word) {
    if (sign.dataset.state === state) return;
    sign.dataset.state = state;
    sign.querySelector(".word").textContent = word;
  }

  async function refresh() {
    waiting = undefined;
    if (busy) return void (again = true);
    if (document.hidden || document.querySelector("dialog[open]")) return;
    busy = true;
    const began = performance.now();
    try {
      await htmx.ajax("GET", location.pathname + location.search, { target: "#main", swap: "outerMorph" });
      const title = document.getElementById("main")?.dataset.title;
      if (title) document.title = title;
    } finally {
      last = performance.now();
      cost = last - began;
      busy = false;
    }
    if (again) {
      again = false;
      soon();
    }
  }

  function soon() {
    if (waiting) return;
    const pause = Math.max(AT_MOST_EVERY_MS, cost * 3) - (performance.now() - last);
    waiting = setTimeout(refresh, Math.max(30, pause));
  }

  function connect() {
    feed?.close();
    feed = new EventSource("/v1/events?follow=true");
    feed.onopen = () => {
      if (failed) soon();
      failed = 0;
      show("live", "live");
    };
    feed.onmessage = soon;
    feed.onerror = retry;
    feed.addEventListener("problem", retry);
  }

  function retry() {
    feed.close();
    show("lost", "connection lost, trying again");
    const pause = TRY_AGAIN_MS[Math.min(failed++, TRY_AGAIN_MS.length - 1)];
    setTimeout(() => document.hidden || connect(), pause);
  }

  // A page that nobody sees holds no connection: browsers allow six to one server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return feed?.close();
    connect();
    soon();
  });
  document.addEventListener("lace:changed", soon);
  addEventListener("pagehide", () => feed?.close());
  setInterval(soon, AT_LEAST_EVERY_MS);
  connect();
}
