// Lists of the admin that a search box narrows: the first answers at once, then as typed.
"use strict";
{
  const watch = (box) => {
    const list = document.getElementById(box.dataset.list);
    if (!list) return;
    let asked = 0;
    let timer = 0;
    const fill = async () => {
      const mine = ++asked;
      const at = new URL(box.dataset.from, location.href);
      at.searchParams.set("term", box.value.trim());
      at.searchParams.set("app_label", list.dataset.appLabel);
      at.searchParams.set("model_name", list.dataset.modelName);
      at.searchParams.set("field_name", list.dataset.fieldName);
      const answer = await fetch(at);
      if (!answer.ok || mine !== asked) return;
      const { results } = await answer.json();
      const kept = [...list.options].filter((each) => !each.value || each.selected);
      if (!kept.some((each) => !each.value)) kept.unshift(new Option("—", ""));
      const known = kept.map((each) => each.value);
      const found = results.filter((each) => !known.includes(String(each.id)));
      list.replaceChildren(...kept, ...found.map((each) => new Option(each.text, each.id)));
      if (box.value && found.length === 1) list.value = found[0].id;
    };
    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(fill, 200);
    });
    fill();
  };
  addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll("input.chooser").forEach(watch));
}
