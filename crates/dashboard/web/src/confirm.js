// Deeds that cannot be taken back are asked about in a dialog of the page.

/** Answers htmx's question with the dialog. */
export function askFirst() {
  const dialog = document.getElementById("confirm");
  document.addEventListener("htmx:confirm", (event) => {
    const { ctx, issueRequest, dropRequest } = event.detail;
    const submitter = ctx.request.submitter ?? ctx.sourceElement;
    const question = submitter?.getAttribute("hx-confirm") ?? ctx.confirm;
    if (!question) return;
    event.preventDefault();
    dialog.querySelector("#confirm-text").textContent = question;
    dialog.returnValue = "no";
    dialog.showModal();
    dialog.addEventListener("close", () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest()), { once: true });
  });
}
