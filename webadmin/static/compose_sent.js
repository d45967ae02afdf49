// The seconds run down until a message goes; then to the mail.
"use strict";
(() => {
  const page = document.getElementById("sent"), left = document.getElementById("left");
  if (!page || !left) return;
  const end = Date.now() + page.dataset.left * 1000;
  const timer = setInterval(() => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    left.textContent = left.textContent.replace(/\d+/, String(Math.max(seconds, 0)));
    if (seconds <= 0) { clearInterval(timer); window.location.assign(page.dataset.home); }
  }, 250);
})();
