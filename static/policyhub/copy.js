// Buttons that copy a text of the page. Without this file they stay hidden.
const SHOWN_MS = 2000;

function reveal(root) {
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

async function write(text, source) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Without https there is no clipboard to write to: the browser copies what is chosen.
  const range = document.createRange();
  range.selectNodeContents(source);
  const chosen = getSelection();
  chosen.removeAllRanges();
  chosen.addRange(range);
  document.execCommand("copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  const source = button && document.getElementById(button.dataset.copy);
  if (!source) return;
  await write(source.textContent, source);
  const label = button.querySelector("span");
  const before = label.dataset.before ?? label.textContent;
  label.dataset.before = before;
  label.textContent = button.dataset.copied;
  label.setAttribute("role", "status");
  setTimeout(() => { label.textContent = before; }, SHOWN_MS);
});

document.addEventListener("htmx:load", (event) => reveal(event.target));
reveal(document);
