// Passkeys: the browser makes one, or signs with one. What it is asked and what it answers is JSON with base64url in it.
(() => {
  if (!window.PublicKeyCredential) return;
  const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((each) => ({ ...each, id: octets(each.id) }));
  const answer = (made) => {
    const parts = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (made.response[name]) parts[name] = text(made.response[name]);
    }
    return JSON.stringify({
      id: made.id, rawId: text(made.rawId), type: made.type, response: parts,
      authenticatorAttachment: made.authenticatorAttachment, clientExtensionResults: {},
    });
  };
  const fail = (form, words) => {
    const place = form.querySelector(".problem");
    if (words) place.textContent = words;
    place.hidden = false;
  };

  for (const form of document.querySelectorAll(".passkey-use")) {
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const asked = JSON.parse(form.dataset.asked).publicKey;
      try {
        const made = await navigator.credentials.get({ publicKey: {
          ...asked, challenge: octets(asked.challenge), allowCredentials: named(asked.allowCredentials),
        } });
        form.elements.passkey.value = answer(made);
        form.submit();
      } catch { fail(form); }
    });
  }

  for (const section of document.querySelectorAll(".passkey-only")) section.hidden = false;
  for (const form of document.querySelectorAll(".passkey-make")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const begun = await fetch(form.dataset.begin, {
          method: "POST", headers: { "X-CSRFToken": form.elements.csrf_token.value },
          body: new URLSearchParams({ password: form.elements.password.value }),
        });
        const told = await begun.json();
        if (!begun.ok) { fail(form, told.problem); return; }
        const asked = told.publicKey;
        const made = await navigator.credentials.create({ publicKey: {
          ...asked, challenge: octets(asked.challenge), user: { ...asked.user, id: octets(asked.user.id) },
          excludeCredentials: named(asked.excludeCredentials),
        } });
        form.elements.passkey.value = answer(made);
        form.elements.password.value = "";
        form.submit();
      } catch { fail(form); }
    });
  }
})();
