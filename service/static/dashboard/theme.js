// The chosen theme, before anything is painted. Without a choice the system's is followed.
(function () {
  "use strict";
  var root = document.documentElement;
  function read() { try { return localStorage.getItem("incumbent-theme"); } catch (error) { return null; } }
  var chosen = read();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  window.incumbentTheme = function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("incumbent-theme", root.dataset.theme); } catch (error) { /* kept for this page alone */ }
    window.dispatchEvent(new Event("incumbent:theme"));
  };
})();
