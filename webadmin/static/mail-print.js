// Print when everything is there.
"use strict";
window.addEventListener("load", () => {
  for (const quote of document.querySelectorAll("details")) quote.open = true;
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument;
    if (page) frame.style.height = page.documentElement.scrollHeight + "px";
  }
  window.print();
});
