// A part that was put into a dialog opens it; a click beside it closes it.
document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.target.closest("dialog");
  if (dialog && !dialog.open) dialog.showModal();
});

document.addEventListener("click", (event) => {
  if (event.target.matches("dialog[open]")) event.target.close();
});
