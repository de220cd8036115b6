// Sentences at the corner of the page: from the page's own messages, from answers (HX-Trigger: toast), from modules.
const box = document.getElementById("toasts");
const template = document.getElementById("toast-template");
const LASTS_MS = { success: 5000, info: 6000, warning: 12000 };

export function toast(text, level = "info", { details = [], link = null } = {}) {
  const same = [...box.children].find((card) => card.dataset.text === text);
  if (same) same.remove();
  const card = template.content.firstElementChild.cloneNode(true);
  card.dataset.level = level;
  card.dataset.text = text;
  const words = card.querySelector("p");
  words.textContent = text;
  if (link) {
    const anchor = Object.assign(document.createElement("a"), { href: link.href, textContent: link.text });
    if (link.newTab) anchor.target = "_blank";
    words.append(" ", anchor);
  }
  if (details.length) {
    const more = card.querySelector("details");
    more.hidden = false;
    more.querySelector("ul").append(...details.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  }
  card.querySelector("button").addEventListener("click", () => card.remove());
  (document.querySelector("dialog[open]") ?? document.body).append(box);
  box.append(card);
  while (box.children.length > 5) box.firstElementChild.remove();
  // An error stays until it is closed; the others wait while the pointer or the focus is on them.
  if (LASTS_MS[level] && !details.length) {
    let timer;
    const leave = () => { timer = setTimeout(() => card.remove(), LASTS_MS[level]); };
    card.addEventListener("pointerenter", () => clearTimeout(timer));
    card.addEventListener("pointerleave", leave);
    leave();
  }
}

document.addEventListener("close", () => document.body.append(box), true);

document.body.addEventListener("toast", (event) => {
  const { text, level, details } = event.detail;
  if (text) toast(text, level, { details: details ?? [] });
});

document.querySelectorAll("[data-toast-from-page]").forEach((message) => {
  const level = message.dataset.level;
  // An error stays where it is, beside what it is about.
  if (level === "error") return;
  toast(message.textContent.trim(), level);
  message.remove();
});
