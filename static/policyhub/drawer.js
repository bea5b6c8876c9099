// A part that was put into a dialog opens it; a click beside it closes it.
document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.target.closest("dialog");
  if (dialog && !dialog.open) dialog.showModal();
});

// A live list waits while nobody sees it or somebody reads a row of it, and does not
// move what is being read if its answer was under way already.
const waits = () => document.hidden || document.querySelector("dialog[open]") !== null;
const isTail = (event) => event.target.id === "found" && event.detail.elt?.id === "found";

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isTail(event) && waits()) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.requestConfig?.elt?.id === "found" && waits()) event.detail.shouldSwap = false;
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog[open]")) event.target.close();
});
