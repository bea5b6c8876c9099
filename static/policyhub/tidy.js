// An address without empty filters is one that people can read.
addEventListener("htmx:configRequest", (event) => {
  const { elt, parameters } = event.detail;
  if (!elt.matches?.("[data-tidy]")) return;
  for (const name of new Set(parameters.keys()))
    if (parameters.getAll(name).every((each) => !each)) parameters.delete(name);
});
