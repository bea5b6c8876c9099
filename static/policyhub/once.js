// A form that is on its way is not sent again by a second click.
const sent = new WeakSet();
const AGAIN = 8000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  sent.add(form);
  setTimeout(() => sent.delete(form), AGAIN);
  // Back may show this page as it was left.
  addEventListener("pageshow", () => sent.delete(form), { once: true });
});
