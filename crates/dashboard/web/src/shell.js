// A shell in a node, or of its runtime: xterm.js over the API's stream.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { EXIT, FAILED, RESIZE, STDERR, STDIN, STDOUT, json, open } from "./stream.js";
import { load, strictDocument } from "./styles.js";

/** Fills the place with a button that opens the shell of its target. */
export function start(place) {
  const whose = place.dataset.action === "beam-shell" ? "It is the runtime's own." : "Runs as the node's user.";
  place.innerHTML = `<p class="row"><button type="button" class="strong open">Open a shell</button><span class="dim says" role="status">${whose} Ctrl F6 leaves the terminal.</span></p><div class="terminal" hidden></div>`;
  place.querySelector(".open").addEventListener("click", () => run(place));
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { background: of("--term"), foreground: of("--term-ink"), cursor: of("--term-ink"), selectionBackground: "#4c7d8499" };
}

async function run(place) {
  const button = place.querySelector(".open");
  const state = place.querySelector(".says");
  const screen = place.querySelector(".terminal");
  button.disabled = true;
  state.textContent = "Opening";
  await load("./shell.css");
  screen.hidden = false;
  screen.replaceChildren();
  const terminal = new Terminal({
    documentOverride: strictDocument(),
    cursorBlink: true,
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
    fontSize: 13,
    screenReaderMode: true,
    theme: colours(),
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(screen);
  fit.fit();
  const size = () => ({ columns: terminal.cols, rows: terminal.rows });

  let ended = false;
  const end = (words) => {
    if (ended) return;
    ended = true;
    state.textContent = words;
    button.disabled = false;
    button.textContent = "Open another shell";
    watch.disconnect();
  };
  const common = { target: place.dataset.target, env: { TERM: "xterm-256color" }, terminal: size() };
  const request =
    place.dataset.action === "beam-shell" ? { ...common, action: "beam-shell" } : { ...common, action: "exec", argv: [], stdin: true };
  const stream = open(request, {
    opened: () => {
      state.textContent = "Connected. Ctrl F6 leaves the terminal.";
      terminal.focus();
    },
    [STDOUT]: (bytes) => terminal.write(bytes),
    [STDERR]: (bytes) => terminal.write(bytes),
    [EXIT]: (bytes) => end(`The shell ended with status ${json(bytes)}.`),
    [FAILED]: (bytes) => end(json(bytes).message),
    closed: () => end("The connection ended."),
  });
  terminal.onData((text) => stream.send(STDIN, text));
  terminal.onResize(() => stream.send(RESIZE, JSON.stringify(size())));
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.key !== "F6" || !event.ctrlKey) return true;
    if (event.type === "keydown") button.disabled ? document.getElementById("why")?.querySelector("h2")?.focus() : button.focus();
    terminal.blur();
    return false;
  });
  const watch = new ResizeObserver(() => fit.fit());
  watch.observe(screen);
  addEventListener("pagehide", () => stream.close());
}
