// Boxes that name people, one a line (textarea[data-pick]): a field above them looks names up in the directory and adds
// the one that is chosen. Without this script the names are typed.
"use strict";
for (const box of document.querySelectorAll("textarea[data-pick]:not([readonly])")) {
  const label = box.labels[0] ? box.labels[0].textContent : "";
  const field = document.createElement("input");
  const list = document.createElement("ul");
  const wrap = document.createElement("div");
  let asked = 0, timer = 0;
  wrap.className = "picker";
  field.type = "search";
  field.placeholder = "+";
  field.autocomplete = "off";
  field.maxLength = 200;
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-label", label);
  field.setAttribute("aria-expanded", "false");
  field.setAttribute("aria-controls", box.id + "-found");
  list.id = box.id + "-found";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", label);
  list.hidden = true;
  wrap.append(field, list);
  box.before(wrap);

  const close = () => { list.hidden = true; field.setAttribute("aria-expanded", "false"); };
  const options = () => [...list.querySelectorAll("[role=option]")];
  const take = (option) => {
    const there = box.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (!there.includes(option.dataset.key)) there.push(option.dataset.key);
    box.value = there.join("\n");
    box.rows = Math.min(Math.max(there.length + 1, 2), 12);
    field.value = "";
    close();
    field.focus();
  };
  const look = async () => {
    const number = ++asked, text = field.value.trim();
    if (!text) return close();
    const answer = await fetch(box.dataset.pick + "?q=" + encodeURIComponent(text), { headers: { "X-Requested-With": "fetch" } });
    if (number !== asked) return;
    if (!answer.ok || answer.redirected) return close();
    list.innerHTML = await answer.text();
    const any = options().length > 0;
    list.hidden = !any;
    field.setAttribute("aria-expanded", String(any));
  };
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 150); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter") { event.preventDefault(); const one = options()[0]; if (one && !list.hidden) take(one); }
    if (event.key === "ArrowDown" && !list.hidden) { event.preventDefault(); options()[0].focus(); }
  });
  list.addEventListener("keydown", (event) => {
    const all = options(), at = all.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && at + 1 < all.length) { event.preventDefault(); all[at + 1].focus(); }
    if (event.key === "ArrowUp") { event.preventDefault(); (all[at - 1] || field).focus(); }
    if (event.key === "Enter" && at >= 0) { event.preventDefault(); take(all[at]); }
    if (event.key === "Escape") { close(); field.focus(); }
  });
  list.addEventListener("click", (event) => { const option = event.target.closest("[role=option]"); if (option) take(option); });
  wrap.addEventListener("focusout", (event) => { if (!wrap.contains(event.relatedTarget)) close(); });
}
