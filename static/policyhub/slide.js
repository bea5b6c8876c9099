// A slider beside a threshold: it writes the amount into the field, and says how often
// that would have been reached. The preview follows the field, as if it were typed.
const read = (box) => JSON.parse(box.querySelector("[data-stops]").textContent);

function say(box, said) {
  box.querySelector("output").textContent = said;
  box.querySelector("input").setAttribute("aria-valuetext", said);
}

// As the form reads it: in German 12,50 is twelve and a half, and 1.250 over a thousand.
function number(text) {
  const plain = text.replace(/[_\s$]/g, "");
  const point = new Intl.NumberFormat(document.documentElement.lang || "en").format(0.5)[1];
  if (point !== "," || /,.*\./.test(plain)) return Number(plain.replace(/,/g, ""));
  return Number(plain.replace(/\.(?=\d{3}(?:\D|$))/g, "").replace(",", "."));
}

function typed(box, text) {
  const { stops, values, typed: said } = read(box);
  const amount = number(text);
  if (!(amount > 0)) return say(box, "");
  const above = stops.findIndex((each) => each.at >= amount);
  box.querySelector("input").value = above < 0 ? stops.length - 1 : above;
  if (stops[above]?.at === amount) return say(box, stops[above].said);
  const times = values.filter((each) => each >= amount).length;
  say(box, said.replace("{cap}", text.trim()).replace("{times}", times));
}

// Before the form hears of it, so that it sends what the slider has written.
document.addEventListener("input", ({ target }) => {
  const box = target.closest?.("[data-slide]");
  if (box) {
    const stop = read(box).stops[Number(target.value)];
    document.getElementById(box.dataset.slide).value = stop.text;
    say(box, stop.said);
    return;
  }
  const beside = target.id && document.querySelector(`[data-slide="${CSS.escape(target.id)}"]`);
  if (beside) typed(beside, target.value);
}, true);

document.addEventListener("htmx:load", ({ target }) => {
  for (const box of target.parentElement?.querySelectorAll("[data-slide]") ?? []) {
    typed(box, document.getElementById(box.dataset.slide).value);
  }
});
