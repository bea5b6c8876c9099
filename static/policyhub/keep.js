// What somebody opened stays open when a part of the page is renewed.
const opened = new WeakMap();

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target } = event.detail;
  const open = [...target.querySelectorAll("details[open][id]")].map((each) => each.id);
  if (open.length) opened.set(target, open);
});

document.addEventListener("htmx:afterSwap", (event) => {
  for (const id of opened.get(event.detail.target) ?? []) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  opened.delete(event.detail.target);
});
