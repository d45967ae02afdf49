// A photo is made small in the browser before it is sent: 400 pixels, turned as the camera was held.
"use strict";
const SIDE = 400;
for (const form of document.querySelectorAll("form.photo")) {
  const input = form.querySelector("input[type=file]");
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    try {
      const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
      const cut = Math.min(picture.width, picture.height), side = Math.min(SIDE, cut);
      const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
      canvas.getContext("2d").drawImage(picture, (picture.width - cut) / 2, (picture.height - cut) / 2, cut, cut, 0, 0, side, side);
      const small = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.88));
      const list = new DataTransfer();
      list.items.add(new File([small], "photo.jpg", { type: "image/jpeg" }));
      input.files = list.files;
      form.requestSubmit();
    } catch { /* no picture that this browser knows: the server says what it takes */ }
  });
}
