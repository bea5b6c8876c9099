// Choose all rows of a list at once. Without this file each is chosen by itself.
function all(form) {
  return [...form.querySelectorAll('input[type="checkbox"][name]')];
}

function show(form) {
  const boxes = all(form);
  const chosen = boxes.filter((box) => box.checked).length;
  const every = form.querySelector("[data-choose-all]");
  every.hidden = false;
  every.checked = chosen > 0 && chosen === boxes.length;
  every.indeterminate = chosen > 0 && chosen < boxes.length;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("[data-choose]");
  if (!form) return;
  if (event.target.matches("[data-choose-all]")) {
    for (const box of all(form)) box.checked = event.target.checked;
  }
  show(form);
});

function reveal() {
  for (const form of document.querySelectorAll("[data-choose]")) show(form);
}
document.addEventListener("htmx:load", reveal);
reveal();
