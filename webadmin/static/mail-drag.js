// Messages dragged onto a folder are moved there: the row that is dragged, or all that are chosen when it is one of them.
"use strict";
(() => {
  const list = document.getElementById("rows");
  const tree = document.getElementById("folders");
  if (!list || !tree) return;
  const prepare = (root) => { for (const row of root.querySelectorAll("li.row")) row.draggable = true; };
  prepare(list);
  document.addEventListener("rows", (event) => prepare(event.detail));
  list.addEventListener("dragstart", (event) => {
    const row = event.target.closest("li.row");
    if (!row) return;
    const box = row.querySelector("input[name=uid]");
    if (!box.checked) {
      for (const each of list.querySelectorAll("input[name=uid]:checked")) each.checked = false;
      box.checked = true;
    }
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", row.querySelector(".subject").textContent);
  });
  const target = (event) => event.target.closest("li[data-mailbox]");
  tree.addEventListener("dragover", (event) => {
    const item = target(event);
    if (!item || !item.querySelector("a")) return;
    event.preventDefault();
    item.classList.add("over");
  });
  tree.addEventListener("dragleave", (event) => { const item = target(event); if (item) item.classList.remove("over"); });
  tree.addEventListener("drop", (event) => {
    const item = target(event);
    if (!item) return;
    event.preventDefault();
    const form = list.closest("form");
    form.elements.to.value = item.dataset.mailbox;
    form.requestSubmit(form.querySelector("button[name=do][value=move]"));
  });
})();
