// An action on many rows goes on by itself; without scripts, by its button.
"use strict";
addEventListener("load", () => {
  setTimeout(() => document.getElementById("go-on")?.requestSubmit(), 400);
});
