// An archive on its way to the controller, by hand or dropped, with its progress.
import htmx from "htmx.org";

/** Makes forms with `data-upload` take archives. */
export function bindUploads() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-upload]");
    if (!form) return;
    event.preventDefault();
    send(form, form.elements.archive.files[0]);
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const form = event.target.closest?.("[data-upload]");
      if (!form) return;
      event.preventDefault();
      form.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) {
        form.elements.archive.files = event.dataTransfer.files;
        send(form, event.dataTransfer.files[0]);
      }
    });
  }
}

function rollOut(target, release) {
  htmx.ajax("POST", "/act/verb", { values: { verb: "activate", target, release }, target: "#said", swap: "beforeend" });
}

function send(form, file) {
  const shown = form.querySelector("[data-progress]");
  const [bar, says] = [shown.querySelector("progress"), shown.querySelector("output")];
  const query = new URLSearchParams({ file: file.name });
  for (const name of ["name", "version", "start"]) {
    const value = form.elements[name].value.trim();
    if (value) query.set(name, value);
  }
  const request = new XMLHttpRequest();
  request.open("POST", `/v1/archives?${query}`);
  request.setRequestHeader("X-Lace-Csrf", "page");
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  shown.hidden = false;
  says.className = "";
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = (loaded / total) * 100;
    says.textContent = `${file.name}: ${Math.round(bar.value)} % of ${(total / 1048576).toFixed(1)} MiB`;
  };
  request.upload.onload = () => {
    bar.removeAttribute("value");
    says.textContent = `${file.name} is there; it is unpacked and looked at`;
  };
  request.onload = () => {
    bar.value = request.status < 300 ? 100 : 0;
    const answer = request.response ?? {};
    if (request.status < 300) {
      says.textContent = `${answer.name}@${answer.version} is uploaded`;
      form.reset();
      document.dispatchEvent(new CustomEvent("lace:changed"));
      if (form.dataset.activate) rollOut(form.dataset.activate, `${answer.name}@${answer.version}`);
    } else {
      says.className = "bad";
      says.textContent = [answer.message ?? `the controller answered ${request.status}`, answer.hint].filter(Boolean).join(": ");
    }
  };
  request.onerror = () => {
    bar.value = 0;
    says.className = "bad";
    says.textContent = `the connection was lost; choose ${file.name} again`;
  };
  request.send(file);
}
