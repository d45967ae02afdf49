// The list without pages: blocks of rows as high as they will be, filled when they come into sight and emptied when they
// are far away; choosing all or a range; search while typing. Without this script the list has pages and a search button.
"use strict";
(() => {
  const list = document.getElementById("rows");
  if (!list) return;
  document.documentElement.classList.add("scripted");
  const MAX_LOADED = 12;
  const form = list.closest("form");
  const page = Number(list.dataset.page);
  const total = document.querySelector(".total");
  let source = new URL(list.dataset.source, location.href);
  let blocks = [];
  let generation = 0;

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) load(entry.target);
  }, { rootMargin: "800px 0px" });

  async function ask(at) {
    const url = new URL(source);
    if (at) url.searchParams.set("at", at);
    const answer = await fetch(url, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    return { html: await answer.text(), count: Number(answer.headers.get("X-Gatepost-Total")) };
  }

  async function load(block) {
    if (block.dataset.state) return;
    block.dataset.state = "asked";
    const mine = generation;
    try {
      const found = await ask(Number(block.dataset.at));
      if (mine !== generation) return;
      block.innerHTML = found.html;
      block.dataset.state = "loaded";
      document.dispatchEvent(new CustomEvent("rows", { detail: block }));
      forget(block);
    } catch {
      delete block.dataset.state;  // asked again when it comes into sight again
    }
  }

  function forget(kept) {
    const loaded = blocks.filter((block) => block.dataset.state === "loaded" && block !== kept && !block.querySelector(":checked"));
    if (loaded.length < MAX_LOADED) return;
    const here = kept.getBoundingClientRect().top;
    loaded.sort((a, b) => Math.abs(b.getBoundingClientRect().top - here) - Math.abs(a.getBoundingClientRect().top - here));
    for (const block of loaded.slice(0, loaded.length - MAX_LOADED)) {
      block.replaceChildren();
      delete block.dataset.state;
      near.unobserve(block);
      near.observe(block);
    }
  }

  function lay(count, first, rows) {
    for (const block of blocks) near.unobserve(block);
    generation += 1;
    blocks = [];
    const start = first - (first % page);
    list.replaceChildren();
    for (let at = 0; at < count || at === 0; at += page) {
      const block = document.createElement("ol");
      block.className = "block";
      block.dataset.at = at;
      block.style.setProperty("--count", Math.max(0, Math.min(page, count - at)));
      if (at === start && rows) {
        block.append(...rows);
        block.dataset.state = "loaded";
      }
      blocks.push(block);
    }
    list.append(...blocks);
    for (const block of blocks) near.observe(block);
    const pages = document.querySelector(".pages");
    if (pages) pages.hidden = true;
  }

  async function again() {
    const mine = ++generation;
    try {
      const found = await ask(0);
      if (mine !== generation) return;
      const holder = document.createElement("template");
      holder.innerHTML = found.html;
      const chosen = new Set([...list.querySelectorAll("input[name=uid]:checked")].map((box) => box.value));
      lay(found.count, 0, [...holder.content.querySelectorAll("li")]);
      for (const box of list.querySelectorAll("input[name=uid]")) box.checked = chosen.has(box.value);
      if (total) total.textContent = search && search.value.trim() ? total.dataset.found.replace("%s", found.count) : found.count || "";
      const empty = document.querySelector(".empty");
      if (empty) empty.hidden = found.count > 0;
      document.dispatchEvent(new CustomEvent("rows", { detail: list }));
    } catch {
      // what is shown stays; the next look shows it
    }
  }
  document.addEventListener("news", () => { if (window.scrollY < 400) again(); });

  const first = Number(list.dataset.first);
  lay(Number(list.dataset.total), first, [...list.querySelectorAll("li")]);
  if (first) blocks[Math.floor(first / page)]?.scrollIntoView();

  // choosing
  let last = null;
  list.addEventListener("click", (event) => {
    const box = event.target.closest("input[name=uid]");
    if (!box) return;
    if (event.shiftKey && last && last.isConnected) {
      const boxes = [...list.querySelectorAll("input[name=uid]")];
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const each of boxes.slice(from, to + 1)) each.checked = box.checked;
    }
    last = box;
  });
  const all = document.getElementById("all");
  all.addEventListener("change", () => {
    for (const box of list.querySelectorAll("input[name=uid]")) box.checked = all.checked;
  });

  // search while typing
  const search = document.querySelector(".search input[type=search]");
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const words = search.value.trim();
      const here = new URL(location.href);
      here.searchParams.delete("at");
      for (const url of [source, here]) {
        if (words) url.searchParams.set("q", words); else url.searchParams.delete("q");
      }
      history.replaceState(null, "", here);
      form.elements.q.value = words;
      form.elements.back.value = here.pathname + here.search;
      again();
    }, 250);
  });
})();
