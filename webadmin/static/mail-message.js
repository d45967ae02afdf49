// A message's frame is as high as what it holds.
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
    if (page && page.body) new ResizeObserver(fit).observe(page.body);
  });
  fit();
}
