// New mail without loading the page again: asks now and then, seldom while nobody looks.
"use strict";
(() => {
  const list = document.getElementById("rows");
  if (!list) return;
  const SEEN = 20000, HIDDEN = 120000;
  let known = null;
  let timer = 0;

  function show(mailbox, unseen) {
    for (const item of document.querySelectorAll(".folders li[data-mailbox]")) {
      if (item.dataset.mailbox !== mailbox) continue;
      item.classList.toggle("has-unseen", unseen > 0);
      let count = item.querySelector(".count");
      if (!count && unseen) {
        count = document.createElement("span");
        count.className = "count";
        item.querySelector("a").append(" ", count);
      }
      if (count) count.textContent = unseen || "";
    }
  }

  async function look() {
    try {
      const answer = await fetch(list.dataset.news, { headers: { Accept: "application/json" }, redirect: "error" });
      if (answer.ok) {
        const found = await answer.json();
        for (const [mailbox, figures] of Object.entries(found)) show(mailbox, figures.unseen);
        const here = JSON.stringify(found[list.dataset.mailbox] || null);
        if (known !== null && known !== here) document.dispatchEvent(new Event("news"));
        known = here;
      }
    } catch {
      // asked again later
    }
    plan();
  }
  function plan() {
    clearTimeout(timer);
    timer = setTimeout(look, document.hidden ? HIDDEN : SEEN);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  window.gatepostLook = look;
  look();
})();
