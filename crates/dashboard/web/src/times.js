// Ages go on between two pages.

function words(past) {
  if (past < 2000) return "just now";
  if (past < 60e3) return `${Math.floor(past / 1000)} s ago`;
  if (past < 3600e3) return `${Math.floor(past / 60e3)} min ago`;
  if (past < 1728e5) return `${Math.floor(past / 3600e3)} h ago`;
  return `${Math.floor(past / 864e5)} d ago`;
}

/** Rewrites the ages each second, by the server's clock. */
export function tickTimes() {
  const ahead = Date.now() - Number(document.body.dataset.now || Date.now());
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now() - ahead;
    for (const time of document.querySelectorAll("time[data-at]")) {
      const at = Number(time.dataset.at);
      const text = at ? words(now - at) : "never";
      if (time.textContent !== text) time.textContent = text;
    }
  }, 1000);
}
