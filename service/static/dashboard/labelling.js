// Labelling by keyboard: a digit answers, s skips, u shows the guess.
(function () {
  "use strict";
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select")) return;
    var form = document.querySelector("[data-labelling]");
    if (!form) return;
    if (event.key === "u") { var guess = form.querySelector("[data-guess]"); guess.open = !guess.open; }
    var button = form.querySelector('button[data-key="' + CSS.escape(event.key) + '"]');
    if (button) { event.preventDefault(); button.click(); }
  });
})();
