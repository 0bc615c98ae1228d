// A log that follows, with a filter; it stands still while someone reads further up.
import { EXIT, FAILED, LINE, json, open } from "./stream.js";

const LINES_MAX = 3000;
const AGAIN_MS = 1000;

/** Fills the place with the log of its target. */
export function start(place) {
  place.innerHTML = `<p class="row"><label>Filter <input type="search" class="filter"></label><span class="dim note-line" role="status"></span><span class="grow"></span><button type="button" class="follow" aria-pressed="true">Following</button></p><div class="lines" role="log" aria-live="off" aria-label="Log" tabindex="0"></div>`;
  const lines = place.querySelector(".lines");
  const note = place.querySelector(".note-line");
  const filter = place.querySelector(".filter");
  const follow = place.querySelector(".follow");
  let since, stream, over = false, queue = [], following = true;

  function setFollowing(on) {
    following = on;
    follow.setAttribute("aria-pressed", String(on));
    follow.textContent = on ? "Following" : "Follow";
    if (on) lines.scrollTop = lines.scrollHeight;
  }

  const shown = (item) => (item.hidden = !item.textContent.toLowerCase().includes(filter.value.toLowerCase()));

  function flush() {
    const items = queue.splice(0).map((line) => {
      const item = document.createElement("div");
      if (line.stderr) item.className = "stderr";
      const at = document.createElement("time");
      at.textContent = new Date(line.at).toISOString().slice(11, 23);
      item.append(at, line.text);
      shown(item);
      return item;
    });
    lines.append(...items);
    while (lines.childElementCount > LINES_MAX) lines.firstChild.remove();
    if (following) lines.scrollTop = lines.scrollHeight;
  }

  function connect() {
    if (!place.isConnected) return;
    const from = since ? { since: since + 1 } : { tail: 200 };
    stream = open({ target: place.dataset.target, action: "logs", follow: true, ...from }, {
      opened: () => (note.textContent = ""),
      [LINE]: (bytes) => {
        const line = json(bytes);
        since = line.at;
        if (queue.push(line) === 1) requestAnimationFrame(flush);
      },
      [EXIT]: () => (over = place.dataset.target.startsWith("job:")),
      [FAILED]: (bytes) => (note.textContent = json(bytes).message),
      closed: () => {
        if (over) return void (note.textContent = "that is all");
        note.textContent ||= "not connected, trying again";
        setTimeout(connect, AGAIN_MS);
      },
    });
  }

  lines.addEventListener("scroll", () => {
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
    if (atEnd !== following) setFollowing(atEnd);
  });
  follow.addEventListener("click", () => setFollowing(!following));
  filter.addEventListener("input", () => [...lines.children].forEach(shown));
  addEventListener("pagehide", () => stream?.close());
  connect();
}
