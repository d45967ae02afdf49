// Moments of a form are shown and typed by the reader's own clock; the field "offset" says how far it is from UTC.
"use strict";
(() => {
  const form = document.getElementById("moments");
  if (!form) return;
  const inputs = [...form.querySelectorAll("input[type=datetime-local]")];
  const pad = (number) => String(number).padStart(2, "0");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (Number(form.dataset.offset) === 0) for (const input of inputs) {
    if (!input.value) continue;
    const moment = new Date(`${input.value}Z`);
    input.value = `${moment.getFullYear()}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}T${pad(moment.getHours())}:${pad(moment.getMinutes())}`;
  }
  for (const place of form.querySelectorAll(".zone")) place.textContent = zone || "";
  form.addEventListener("submit", () => {
    // one offset for both fields: each is moved to the clock of the first
    const first = inputs.find((input) => input.value);
    if (!first) return;
    const offset = -new Date(first.value).getTimezoneOffset();
    for (const input of inputs) {
      if (!input.value) continue;
      const shift = offset + new Date(input.value).getTimezoneOffset();
      if (shift) {
        const moment = new Date(new Date(`${input.value}Z`).getTime() + shift * 60000);
        input.value = moment.toISOString().slice(0, 16);
      }
    }
    form.elements.offset.value = offset;
  });
})();
