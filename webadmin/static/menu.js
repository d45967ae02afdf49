// The menu on a telephone: folded until the button is pressed. Without scripts it stands open above the page.
(() => {
  const button = document.querySelector(".menu-button");
  if (!button) return;
  const show = (open) => {
    document.documentElement.classList.toggle("menu-open", open);
    button.setAttribute("aria-expanded", String(open));
  };
  button.addEventListener("click", () => show(button.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && button.getAttribute("aria-expanded") === "true") {
      show(false);
      button.focus();
    }
  });
  // what opens over the page closes when somebody looks elsewhere
  const drop = document.querySelector(".bar details.me");
  if (drop) {
    document.addEventListener("click", (event) => { if (!drop.contains(event.target)) drop.open = false; });
    drop.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { drop.open = false; drop.querySelector("summary").focus(); }
    });
  }
})();
