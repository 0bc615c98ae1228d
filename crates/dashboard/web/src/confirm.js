// Deeds that cannot be taken back are asked about in a dialog of the page.

/** Answers htmx's question with the dialog. */
export function askFirst() {
  const dialog = document.getElementById("confirm");
  // htmx asks only what stands on the form: of several buttons, each has a question of its own.
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    ctx.confirm = ctx.request.submitter?.getAttribute("hx-confirm") ?? ctx.confirm;
  });
  document.addEventListener("htmx:confirm", (event) => {
    const { ctx, issueRequest, dropRequest } = event.detail;
    event.preventDefault();
    dialog.querySelector("#confirm-text").textContent = ctx.confirm;
    dialog.returnValue = "no";
    dialog.showModal();
    dialog.addEventListener("close", () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest()), { once: true });
  });
}
