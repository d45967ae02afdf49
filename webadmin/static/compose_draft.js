// The draft is saved while one writes; files go up by choosing or dropping them, with progress.
"use strict";
(() => {
  const form = document.getElementById("compose");
  if (!form) return;
  const told = document.getElementById("told"), list = document.getElementById("attachments"), file = document.getElementById("file");
  const progress = document.getElementById("progress");
  const PAUSE = 4000; // milliseconds of silence after which it is saved
  let timer = 0, busy = null, isDirty = false, isLeaving = false, before = "";

  const state = () => JSON.stringify([...new FormData(form)].filter(([name, value]) => typeof value === "string" && !["draft", "csrf_token"].includes(name)));
  before = state();

  function post(files) {
    form.dispatchEvent(new CustomEvent("collect"));
    const data = new FormData(form);
    data.delete("files");
    for (const one of files || []) data.append("files", one, one.name);
    data.set("do", files ? "attach" : "save");
    const now = state();
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      busy = request;
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      if (files) {
        progress.hidden = false;
        progress.value = 0;
        request.upload.onprogress = (event) => { if (event.lengthComputable) progress.value = event.loaded / event.total; };
      }
      request.onloadend = () => {
        busy = null;
        progress.hidden = true;
        let answer = null;
        try { answer = JSON.parse(request.responseText); } catch { answer = null; }
        if (request.status === 200 && answer) {
          form.elements.draft.value = answer.draft;
          show(answer.attachments);
          told.textContent = answer.told;
          before = files ? state() : now;
          isDirty = state() !== before;
        } else if (!isLeaving) {
          told.textContent = form.dataset.unsaved.replace("{detail}", (answer && answer.problem) || request.statusText || "-");
        }
        done();
      };
      request.send(data);
    });
  }

  function show(attachments) {
    list.textContent = "";
    for (const one of attachments) {
      const item = document.createElement("li"), input = document.createElement("input"), name = document.createElement("span");
      const size = document.createElement("small"), remove = document.createElement("button");
      input.type = "hidden"; input.name = "part"; input.value = one.place;
      name.className = "name"; name.textContent = one.name;
      size.textContent = one.size >= 1e6 ? `${(one.size / 1e6).toFixed(1)} MB` : `${Math.ceil(one.size / 1000)} kB`;
      remove.type = "button"; remove.textContent = "×";
      remove.setAttribute("aria-label", form.dataset.remove.replace("{name}", one.name));
      remove.onclick = () => { item.remove(); changed(); save(); };
      item.append(input, name, size, remove);
      list.append(item);
    }
  }

  async function save() {
    clearTimeout(timer);
    if (busy) { timer = setTimeout(save, 500); return; }
    if (isLeaving || !isDirty || state() === before) return;
    told.textContent = form.dataset.saving;
    await post(null);
  }

  function changed() {
    isDirty = true;
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
  }

  async function upload(files) {
    if (!files.length) return;
    const size = [...files].reduce((sum, one) => sum + one.size, 0);
    if (size > form.dataset.room * 0.7) { told.textContent = form.dataset.tooLarge; return; }
    while (busy) await new Promise((again) => setTimeout(again, 100));
    told.textContent = form.dataset.uploading;
    await post(files);
    file.value = "";
  }

  form.addEventListener("input", (event) => { if (event.target !== file) changed(); });
  file.addEventListener("change", () => upload([...file.files]));
  form.querySelector(".upload").hidden = true;
  form.querySelector(".hint").hidden = false;
  for (const box of list.querySelectorAll(".drop")) {
    const item = box.closest("li"), remove = document.createElement("button");
    remove.type = "button"; remove.textContent = "×";
    remove.setAttribute("aria-label", form.dataset.remove.replace("{name}", item.querySelector(".name").textContent));
    remove.onclick = () => { item.remove(); changed(); save(); };
    box.replaceWith(remove);
  }
  for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => {
    if (event.dataTransfer && [...event.dataTransfer.types].includes("Files")) { event.preventDefault(); form.classList.add("dropping"); }
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("dropping"); });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer || !event.dataTransfer.files.length) return;
    event.preventDefault();
    form.classList.remove("dropping");
    upload([...event.dataTransfer.files]);
  });

  const later = document.getElementById("later");
  document.getElementById("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  form.addEventListener("submit", (event) => {
    const what = event.submitter ? event.submitter.value : "save";
    if (what === "discard" && !window.confirm(event.submitter.dataset.sure)) { event.preventDefault(); return; }
    if (busy) { // the draft's newest place is needed
      event.preventDefault();
      busy.addEventListener("loadend", () => form.requestSubmit(event.submitter));
      return;
    }
    form.dispatchEvent(new CustomEvent("collect"));
    if (later.value) form.elements.offset.value = -new Date(later.value).getTimezoneOffset();
    isLeaving = true;
    clearTimeout(timer);
  });
  window.addEventListener("beforeunload", (event) => { if (isDirty && !isLeaving && state() !== before) event.preventDefault(); });
  window.addEventListener("pageshow", () => { isLeaving = false; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(document.getElementById("send")); }
  });
  for (const one of form.querySelectorAll("input:not([type=hidden])")) one.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && one.type !== "file") event.preventDefault(); // it would send half a message
  });
})();
