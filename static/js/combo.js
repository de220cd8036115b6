// <input list="…" data-combo>: its suggestions as a list that opens at once with all of them, and that typing narrows.
// A browser's own shows only those that begin like what stands there already. Anything else may be typed all the same.
//
// Keyboard and names follow the pattern “Editable Combobox With List Autocomplete” of the ARIA Authoring Practices.
const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

function enrich(input) {
  const source = document.getElementById(input.getAttribute("list"));
  if (!source || input.dataset.comboReady) return;
  input.dataset.comboReady = "yes";
  const choices = [...source.options].map((option) => ({ value: option.value, name: option.textContent }));
  const box = document.createElement("div");
  const list = document.createElement("ul");
  const told = document.createElement("span");
  box.className = "combo";
  Object.assign(list, { className: "combo-list", id: `${input.id}_list`, hidden: true });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", input.labels?.[0]?.textContent.trim() ?? "Suggestions");
  told.className = "combo-told";
  told.setAttribute("aria-hidden", "true");
  input.replaceWith(box);
  box.append(input, told, list);
  input.removeAttribute("list");
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value);
  let active = -1;
  let shown = [];

  const sayName = () => { told.textContent = choices.find((choice) => choice.value === input.value)?.name ?? ""; };
  function point(at) {
    active = at;
    [...list.children].forEach((option, index) => option.classList.toggle("is-active", index === at));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  }
  function open(narrowed) {
    const asked = narrowed ? words(input.value) : [];
    shown = choices.filter(({ value, name }) => asked.every((word) => `${value} ${name}`.toLowerCase().includes(word)));
    list.replaceChildren(...shown.map(({ value, name }, index) => {
      const option = document.createElement("li");
      Object.assign(option, { id: `${list.id}_${index}`, className: "combo-option" });
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(value === input.value));
      option.append(Object.assign(document.createElement("span"), { textContent: value }), Object.assign(document.createElement("small"), { textContent: name }));
      return option;
    }));
    list.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    point(narrowed ? -1 : shown.findIndex(({ value }) => value === input.value));
  }
  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    point(-1);
  }
  function take(at) {
    input.value = shown[at].value;
    close();
    sayName();
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  input.addEventListener("click", () => { if (list.hidden) { open(false); input.select(); } });
  input.addEventListener("input", () => { open(true); sayName(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) open(false);
      else if (shown.length) point((active + step + shown.length + (active < 0 && step < 0 ? 1 : 0)) % shown.length);
    } else if (event.key === "Enter" && !list.hidden) {
      // The first press is about the list, the next one sends the form.
      event.preventDefault();
      if (active >= 0) take(active);
      else close();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
  // Before the field loses the focus, and with it the list.
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option && event.pointerType === "mouse") take([...list.children].indexOf(option));
  });
  // A finger that scrolls the list chooses nothing.
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option && !list.hidden) take([...list.children].indexOf(option));
  });
  sayName();
}

document.querySelectorAll("input[list][data-combo]").forEach(enrich);
