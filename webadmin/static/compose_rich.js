// Writing with formats: Squire over what DOMPurify lets through; the field "html" is sent while it is on.
"use strict";
(() => {
  const form = document.getElementById("compose");
  if (!form || !window.Squire || !window.DOMPurify) return;
  const place = document.getElementById("rich"), text = document.getElementById("text"), html = document.getElementById("html");
  const tools = form.querySelector(".tools"), change = document.getElementById("switch");
  const TAGS = ["a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup",
    "table", "tbody", "td", "th", "thead", "tr", "u", "ul"];
  let editor = null;

  const fragment = (source) => document.importNode(window.DOMPurify.sanitize(source, {
    ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ["href", "title", "colspan", "rowspan", "start"], ALLOW_DATA_ATTR: false, RETURN_DOM_FRAGMENT: true,
  }), true);

  function begin(source) {
    place.hidden = tools.hidden = false;
    text.hidden = true;
    html.disabled = false;
    if (!editor) {
      editor = new window.Squire(place, { sanitizeToDOMFragment: fragment, toPlainText: null });
      place.setAttribute("role", "textbox");
      place.setAttribute("aria-multiline", "true");
      editor.addEventListener("input", () => form.dispatchEvent(new Event("input")));
      editor.addEventListener("pathChange", mark);
      editor.addEventListener("select", mark);
    }
    editor.setHTML(source);
    editor.moveCursorToStart();
    change.textContent = change.dataset.plain;
    collect();
  }

  function end() {
    collect();
    text.value = shown(place).replace(/\u00a0/g, " ");
    place.hidden = tools.hidden = true;
    text.hidden = false;
    html.value = "";
    html.disabled = true;
    change.textContent = change.dataset.rich;
    form.dispatchEvent(new Event("input"));
  }

  function shown(node) { // what one sees, quotes with their marks
    let lines = [];
    for (const child of node.childNodes) {
      if (child.nodeName === "BLOCKQUOTE") lines.push(...shown(child).split("\n").map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`)));
      else if (child.nodeName === "UL" || child.nodeName === "OL") lines.push(...[...child.children].map((item, number) => `${child.nodeName === "UL" ? "*" : `${number + 1}.`} ${item.innerText.trim()}`));
      else lines.push(...(child.innerText ?? child.textContent).replace(/\n$/, "").split("\n"));
    }
    return lines.join("\n");
  }

  function escaped(source) {
    const box = document.createElement("div");
    let depth = 0, found = "";
    for (let line of source.split("\n")) {
      let now = 0;
      while (line.startsWith(">")) { now++; line = line.slice(1).replace(/^ /, ""); }
      while (depth < now) { found += "<blockquote>"; depth++; }
      while (depth > now) { found += "</blockquote>"; depth--; }
      box.textContent = line;
      found += `<div>${box.innerHTML || "<br>"}</div>`;
    }
    return found + "</blockquote>".repeat(depth);
  }

  function collect() { if (editor && !place.hidden) html.value = editor.getHTML(); }

  const has = (tag) => editor.hasFormat(tag);
  const doing = {
    bold: () => (has("B") ? editor.removeBold() : editor.bold()),
    italic: () => (has("I") ? editor.removeItalic() : editor.italic()),
    underline: () => (has("U") ? editor.removeUnderline() : editor.underline()),
    list: () => (has("UL") ? editor.removeList() : editor.makeUnorderedList()),
    numbers: () => (has("OL") ? editor.removeList() : editor.makeOrderedList()),
    quote: () => (has("BLOCKQUOTE") ? editor.decreaseQuoteLevel() : editor.increaseQuoteLevel()),
    plain: () => editor.removeAllFormatting(),
    link: (button) => {
      const address = window.prompt(button.dataset.ask, "https://");
      if (address && /^(https?:|mailto:|tel:)/i.test(address)) editor.makeLink(address);
    },
  };
  function mark() {
    for (const [name, tag] of [["bold", "B"], ["italic", "I"], ["underline", "U"], ["list", "UL"], ["numbers", "OL"], ["quote", "BLOCKQUOTE"]]) {
      tools.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", has(tag) ? "true" : "false");
    }
  }
  for (const button of tools.children) {
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => { editor.focus(); doing[button.dataset.do](button); mark(); });
  }
  change.hidden = false;
  change.textContent = change.dataset.rich;
  change.addEventListener("click", () => {
    if (place.hidden) { begin(escaped(text.value)); editor.focus(); }
    else if (!/<(b|i|u|a|ul|ol|strong|em|h\d|table|pre)\b/i.test(editor.getHTML()) || window.confirm(change.dataset.loss)) end();
  });
  form.addEventListener("collect", collect);
  if (html.value.trim()) begin(html.value);
})();
