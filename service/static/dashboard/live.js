// Live pages: what changed is merged into the page as it stands, so that nothing flickers and nothing typed is lost.
(function () {
  "use strict";

  // Merging. Charts take their new numbers and redraw; what a person opened, typed or focused stays as it is.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks.beforeNodeMorphed = function (old, fresh) {
    if (!(old instanceof Element) || !(fresh instanceof Element)) return true;
    if (old.localName === "x-chart" && fresh.localName === "x-chart") {
      if (old.dataset.chart !== fresh.dataset.chart) old.setAttribute("data-chart", fresh.dataset.chart);
      return false;
    }
    if (old.hasAttribute("data-own")) return false;  // it asks for its news itself
    if (old.localName === "form" && old.contains(document.activeElement)) return false;
    return true;
  };
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, node) {
    return !(name === "open" && (node.localName === "details" || node.localName === "dialog"));
  };

  // News. One connection for as long as the page stands: a browser keeps six to a server, and one that is made anew with a
  // merge would soon leave none to ask with.
  function listen(wait) {
    var main = document.getElementById("main");
    if (!main || !main.dataset.changes) return;
    var source = new EventSource(main.dataset.changes), missing = wait > 0;
    function tell() {
      document.querySelectorAll('[hx-trigger~="news"]').forEach(function (node) { htmx.trigger(node, "news"); });
    }
    source.addEventListener("change", tell);
    source.addEventListener("hello", function () {
      if (missing) tell();
      missing = false;
      wait = 0;
    });
    source.addEventListener("error", function () {
      if (source.readyState !== EventSource.CLOSED) return;  // it comes back by itself, and says what it saw last
      wait = Math.min(Math.max(wait * 2, 1000), 60000);
      setTimeout(function () { listen(wait); }, wait);
    });
  }

  // A page that nobody sees needs no news; it looks again when it is seen.
  var missed = null;
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (document.hidden && event.detail.elt.id === "main") { missed = event.detail.elt; event.preventDefault(); }
  });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && missed) { htmx.trigger(missed, "news"); missed = null; }
  });

  // A refusal is shown where a form asked for that; anything else that fails leaves the page as it is.
  document.addEventListener("htmx:beforeSwap", function (event) {
    var failed = event.detail.xhr.status >= 400;
    if (failed && event.detail.target.hasAttribute("data-errors")) { event.detail.shouldSwap = true; event.detail.isError = false; }
  });

  // Times that pass.
  var STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
  function span(seconds) {
    var step = STEPS.find(function (one) { return seconds < one[0]; });
    var number = Math.round(seconds / step[1] * 10) / 10;
    return (step[2] === "s" || number >= 10 ? Math.round(number) : number) + " " + step[2];
  }
  function ago(then) {
    var past = (Date.now() - then) / 1000;
    if (Math.abs(past) < 5) return "just now";
    return past > 0 ? span(past) + " ago" : "in " + span(-past);
  }
  function write(node, text) { if (node.textContent !== text) node.textContent = text; }
  function tick() {
    document.querySelectorAll("time[data-ago]").forEach(function (node) { write(node, ago(Date.parse(node.dateTime))); });
    document.querySelectorAll("time[data-left]").forEach(function (node) {
      var left = (Date.parse(node.dataset.left) - Date.now()) / 1000;
      write(node, left > 0 ? span(left) + " left" : "budget used up");
    });
    document.querySelectorAll("progress[data-from]").forEach(function (node) {
      node.value = (Date.now() - Date.parse(node.dataset.from)) / 1000;
    });
  }
  setInterval(function () { if (!document.hidden) tick(); }, 1000);

  // Keys.
  var GO = { o: "/projects", h: "", r: "/runs", m: "/models", d: "/data", l: "/labeling", p: "/predict" };
  var going = false;
  document.addEventListener("keydown", function (event) {
    var at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || at.closest("input, textarea, select, [contenteditable]")) return;
    if (going && event.key in GO) {
      var tabs = document.querySelector("[data-root]");
      if (event.key === "o") location.assign("/projects");
      else if (tabs) location.assign(tabs.dataset.root + GO[event.key]);
      going = false;
      return;
    }
    going = event.key === "g";
    if (going) setTimeout(function () { going = false; }, 1200);
    if (event.key === "t") window.incumbentTheme();
    if (event.key === "?") document.querySelector("[data-keys]").showModal();
    if (event.key === "Escape") document.querySelectorAll("details.sure[open], details.switch[open]").forEach(function (one) { one.open = false; });
  });
  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-theme-toggle]")) window.incumbentTheme();
    document.querySelectorAll("details.sure[open], details.switch[open]").forEach(function (one) {
      if (!one.contains(event.target)) one.open = false;
    });
  });

  // The tab of this page is in sight on a phone, too.
  document.addEventListener("DOMContentLoaded", function () {
    var tab = document.querySelector(".tabs [aria-current]");
    if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - 24;
    listen(0);
    tick();
  });
})();
