// A slider beside a threshold: it writes the amount into the field, and says how often
// that would have been reached. The preview follows the field, as if it were typed.
const stopsOf = (box) => JSON.parse(box.querySelector("[data-stops]").textContent);

function say(box, stop) {
  const range = box.querySelector("input");
  box.querySelector("output").textContent = stop ? stop.said : "";
  range.setAttribute("aria-valuetext", stop ? stop.said : "");
}

// Before the form hears of it, so that it sends what the slider has written.
document.addEventListener("input", ({ target }) => {
  const box = target.closest?.("[data-slide]");
  if (box) {
    const stop = stopsOf(box)[Number(target.value)];
    document.getElementById(box.dataset.slide).value = stop.text;
    say(box, stop);
    return;
  }
  const beside = target.id && document.querySelector(`[data-slide="${CSS.escape(target.id)}"]`);
  if (!beside) return;
  const typed = Number(target.value.replace(/[,_\s$]/g, ""));
  const stops = stopsOf(beside);
  const above = stops.findIndex((each) => each.at >= typed);
  beside.querySelector("input").value = above < 0 ? stops.length - 1 : above;
  say(beside, stops.find((each) => each.at === typed));
}, true);

document.addEventListener("htmx:load", ({ target }) => {
  for (const box of target.querySelectorAll?.("[data-slide]") ?? []) {
    say(box, stopsOf(box)[Number(box.querySelector("input").value)]);
  }
});
