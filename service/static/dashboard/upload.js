// Uploads by drag and drop, with their progress; what is refused is said in place.
(function () {
  "use strict";
  function begin() {
    var form = document.querySelector("[data-upload]");
    if (!form || form.dataset.ready) return;
    form.dataset.ready = "yes";
    var file = form.querySelector("input[type=file]");
    ["dragenter", "dragover"].forEach(function (name) { form.addEventListener(name, function (event) { event.preventDefault(); form.classList.add("over"); }); });
    ["dragleave", "drop"].forEach(function (name) { form.addEventListener(name, function (event) { event.preventDefault(); form.classList.remove("over"); }); });
    form.addEventListener("drop", function (event) { if (event.dataTransfer.files.length) send(form, event.dataTransfer.files[0]); });
    file.addEventListener("change", function () { if (file.files.length) send(form, file.files[0]); });
    form.addEventListener("submit", function (event) { event.preventDefault(); if (file.files.length) send(form, file.files[0]); });
  }
  function send(form, file) {
    var doing = form.querySelector(".doing"), bar = doing.querySelector("progress"), said = doing.querySelector("[data-said]");
    var refusal = form.querySelector("[data-refusal]");
    var body = new FormData(), call = new XMLHttpRequest();
    body.append("file", file, file.name);
    doing.hidden = false;
    refusal.replaceChildren();
    said.textContent = file.name;
    bar.value = 0;
    call.upload.addEventListener("progress", function (event) {
      if (!event.lengthComputable) return;
      bar.value = event.loaded / event.total;
      said.textContent = event.loaded < event.total
        ? file.name + ": " + Math.round(100 * event.loaded / event.total) + "% of " + (event.total / 1048576).toFixed(1) + " MiB"
        : file.name + ": checking every row";
      if (event.loaded >= event.total) bar.removeAttribute("value");
    });
    call.addEventListener("load", function () {
      var told = {};
      try { told = JSON.parse(call.responseText); } catch (error) { told = { detail: "The server's answer can't be read." }; }
      if (call.status === 201) { location.assign(told.page); return; }
      refuse(told.detail || "It was refused.", told.remedy);
    });
    call.addEventListener("error", function () { refuse("The server can't be reached.", "Try again in a moment."); });
    function refuse(detail, remedy) {
      doing.hidden = true;
      form.reset();
      var box = document.createElement("div");
      box.className = "said bad";
      box.setAttribute("role", "alert");
      [detail, remedy].forEach(function (text) { if (text) { var line = document.createElement("p"); line.textContent = text; box.append(line); } });
      refusal.replaceChildren(box);
    }
    call.open("POST", form.dataset.to);
    call.setRequestHeader("Accept", "application/json");
    call.setRequestHeader("X-CSRF-Token", form.dataset.token);
    call.send(body);
  }
  document.addEventListener("DOMContentLoaded", begin);
})();
