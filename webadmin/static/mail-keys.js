// Keyboard shortcuts: what has data-key is done by its key; j, k, o and x go through the list. "?" shows them all.
"use strict";
(() => {
  const list = document.getElementById("rows");
  const help = document.getElementById("keys");
  let going = false;

  const rows = () => [...list.querySelectorAll("li.row")];
  function go(step) {
    const all = rows();
    const at = all.findIndex((row) => row.classList.contains("cursor"));
    const next = all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + step))];
    if (!next) return;
    if (at >= 0) all[at].classList.remove("cursor");
    next.classList.add("cursor");
    next.querySelector("a").focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }
  const cursor = () => list && list.querySelector("li.cursor");

  function press(button) {
    if (list && button.name === "do" && !list.querySelector(":checked")) {
      const row = cursor();
      if (!row) return;
      row.querySelector("input[name=uid]").checked = true;
    }
    button.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (help && help.open) return;
    const key = event.shiftKey && /^[A-Z]$/.test(event.key) ? "Shift+" + event.key : event.key;
    let done = true;
    if (going) {
      going = false;
      const link = document.querySelector(`.folders [data-go="${CSS.escape(key)}"]`);
      if (link) link.click();
    } else if (key === "g") {
      going = true;
      setTimeout(() => { going = false; }, 1500);
    } else if (key === "?" && help) help.showModal();
    else if (key === "/" && document.querySelector(".search input[type=search]")) document.querySelector(".search input[type=search]").focus();
    else if (list && (key === "j" || key === "ArrowDown")) go(1);
    else if (list && (key === "k" || key === "ArrowUp")) go(-1);
    else if (list && key === "o" && cursor()) cursor().querySelector("a").click();
    else if (list && key === "x" && cursor()) cursor().querySelector("input[name=uid]").click();
    else if (list && key === "s" && cursor()) cursor().querySelector("button.star").click();
    else {
      const named = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (named) press(named); else done = false;
    }
    if (done) event.preventDefault();
  });
})();
