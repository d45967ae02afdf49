// Recipients are completed from the directory: a list below the field, for mouse, keys and screen readers.
"use strict";
(() => {
  const form = document.getElementById("compose");
  if (!form) return;
  const PAUSE = 150; // milliseconds
  for (const input of form.querySelectorAll("[data-complete]")) {
    const list = document.createElement("ul");
    let timer = 0, asked = 0, chosen = -1, found = [];
    list.className = "people"; list.id = `${input.id}-people`; list.hidden = true;
    list.setAttribute("role", "listbox");
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", list.id);
    input.setAttribute("aria-expanded", "false");
    input.parentElement.append(list);

    const typed = () => input.value.slice(0, input.selectionStart).split(/[,;，；]/).pop().trim();
    function close() {
      list.hidden = true; chosen = -1; asked++;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }
    function pick(number) {
      chosen = number;
      [...list.children].forEach((item, place) => item.setAttribute("aria-selected", place === number ? "true" : "false"));
      if (number >= 0) { input.setAttribute("aria-activedescendant", list.children[number].id); list.children[number].scrollIntoView({ block: "nearest" }); }
    }
    function take(one) {
      const end = input.selectionStart, head = input.value.slice(0, end), tail = input.value.slice(end).replace(/^\s*[,;，；]?\s*/, "");
      const start = head.length - head.split(/[,;，；]/).pop().length;
      const plain = /^[\p{L}\p{N} .'&()/-]+$/u.test(one.name);
      const text = one.name ? `${plain ? one.name : `"${one.name.replace(/["\\]/g, "\\$&")}"`} <${one.address}>` : one.address;
      const before = head.slice(0, start).trimEnd();
      input.value = `${before}${before ? " " : ""}${text}, ${tail}`;
      const place = input.value.length - tail.length;
      input.setSelectionRange(place, place);
      close();
      input.dispatchEvent(new Event("input", { bubbles: true }));
      clearTimeout(timer);
    }
    async function look() {
      const text = typed(), number = ++asked;
      if (text.length < 1 || text.includes("<")) { close(); return; }
      const answer = await fetch(`${form.dataset.people}?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer || !answer.ok || number !== asked) return;
      found = await answer.json().catch(() => []);
      if (number !== asked) return;
      list.textContent = "";
      found.forEach((one, place) => {
        const item = document.createElement("li"), address = document.createElement("small");
        item.id = `${list.id}-${place}`;
        item.setAttribute("role", "option");
        item.textContent = `${one.name} `;
        address.textContent = one.address;
        item.append(address);
        item.addEventListener("mousedown", (event) => { event.preventDefault(); take(one); });
        list.append(item);
      });
      list.hidden = !found.length;
      input.setAttribute("aria-expanded", found.length ? "true" : "false");
      pick(found.length ? 0 : -1);
    }
    input.addEventListener("input", (event) => { if (event.isTrusted) { clearTimeout(timer); timer = setTimeout(look, PAUSE); } });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", (event) => {
      if (list.hidden || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowDown") pick((chosen + 1) % found.length);
      else if (event.key === "ArrowUp") pick((chosen + found.length - 1) % found.length);
      else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(found[chosen]);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }, true);
  }
})();
