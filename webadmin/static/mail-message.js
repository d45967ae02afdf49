// A message's frame is as high as what it holds; pictures are offered where some were left out.
"use strict";
for (const frame of document.querySelectorAll(".message iframe")) {
  const fit = () => {
    const page = frame.contentDocument;
    if (page && page.body) frame.style.height = Math.min(page.body.scrollHeight + 4, 30000) + "px";
  };
  frame.style.minHeight = "0";
  frame.addEventListener("load", () => {
    fit();
    const page = frame.contentDocument;
    const offer = frame.parentElement.querySelector(".pictures");
    if (offer && page && page.body) offer.hidden = page.body.dataset.leftOut === "0";
    if (page && page.body) new ResizeObserver(fit).observe(page.body);
  });
  fit();
}
