// What is wider than its place can be reached and moved by keyboard.
(() => {
  const look = () => {
    for (const place of document.querySelectorAll(".scroll")) {
      if (place.scrollWidth > place.clientWidth || place.scrollHeight > place.clientHeight) place.tabIndex = 0;
      else place.removeAttribute("tabindex");
    }
  };
  look();
  addEventListener("resize", look);
  document.addEventListener("htmx:afterSettle", look);
})();
