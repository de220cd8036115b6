// Who is here and who has the keyboard: the chip in the strip with its list, and the line above the screen for those who
// only watch and for who is asked. What is offered is what the service says may be done.
const element = (tag, words, attributes = {}) => {
  const made = document.createElement(tag);
  made.textContent = words;
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
};

export class People {
  #find; #say; #now = null; #dismissed = new Set();

  constructor(find, say) {
    this.#find = find;
    this.#say = say;
    const list = find("people-list");
    find("people-open").addEventListener("click", () => this.#toggle(list.hidden));
    document.addEventListener("click", (event) => { if (!find("people").contains(event.target)) this.#toggle(false); });
    find("people").addEventListener("keydown", (event) => { if (event.key === "Escape") { this.#toggle(false); find("people-open").focus(); } });
    [find("people-acts"), find("people-list"), find("banner")].forEach((place) => place.addEventListener("click", (event) => {
      const button = event.target.closest("[data-say]");
      if (!button) return;
      event.stopPropagation();
      const { say, to } = button.dataset;
      if (say === "later") this.#dismissed.add(this.#key);
      else this.#say(to === undefined ? { type: say } : { type: say, to: this.#now.people.find((one) => String(one.id) === to)?.id });
      this.#show();
    }));
  }

  // Nobody knows any more: the line is closed.
  forget() {
    if (!this.#now) return;
    this.#now = null;
    this.#show();
  }

  heard(now) {
    this.#now = now;
    this.#show();
  }

  #toggle(isOpen) {
    this.#find("people-list").hidden = !isOpen;
    this.#find("people-open").setAttribute("aria-expanded", String(isOpen));
  }

  get #me() { return this.#now?.people.find((one) => one.id === this.#now.you); }
  get #driver() { return this.#now?.people.find((one) => one.id === this.#now.driver); }
  get #key() { return `${this.#now?.driver}/${this.#now?.drives}`; }

  #name(person) { return person.id === this.#now.you ? `${person.name} (you)` : person.guest ? `${person.name} (guest)` : person.name; }

  #show() {
    const people = this.#now?.people ?? [];
    this.#find("people").hidden = people.length < 2;
    if (people.length < 2) this.#toggle(false);
    this.#find("people-count").textContent = `${people.length} people`;
    this.#find("people-list").querySelector("ul").replaceChildren(...people.map((person) => this.#line(person)));
    this.#find("people-acts").replaceChildren(...this.#offers());
    const banner = this.#banner();
    this.#find("banner").hidden = !banner.length;
    this.#find("banner").replaceChildren(...banner);
  }

  #line(person) {
    const { driver, may } = this.#now;
    const line = element("li", "");
    const does = person.id === driver ? "has the keyboard" : person.asks ? "asks for the keyboard" : driver === null && !person.view_only ? "" : "watches";
    line.append(element("span", this.#name(person), { class: "console-person" }), element("span", does, { class: "soft" }));
    if (may.give && person.id !== this.#now.you && !person.view_only) line.append(element("button", "Hand over", { class: "btn", type: "button", "data-say": "give", "data-to": person.id }));
    return line;
  }

  #offers() {
    const { may } = this.#now ?? { may: {} };
    const offers = [];
    if (this.#me?.asks) offers.push(element("button", "Do not ask any more", { class: "btn", type: "button", "data-say": "withdraw" }));
    else if (may.ask) offers.push(element("button", "Ask for the keyboard", { class: "btn btn-primary", type: "button", "data-say": "ask" }));
    if (may.take) offers.push(element("button", "Take the keyboard", { class: "btn", type: "button", "data-say": "take" }));
    if (may.release) offers.push(element("button", "Let the keyboard go", { class: "btn", type: "button", "data-say": "release" }));
    return offers;
  }

  #banner() {
    if (!this.#now || this.#dismissed.has(this.#key)) return [];
    const { drives, driver, may, people } = this.#now;
    const asking = drives && may.give ? people.find((one) => one.asks && one.id !== this.#now.you) : null;
    if (asking) return [
      element("span", `${asking.name} asks for the keyboard.`),
      element("button", "Hand over", { class: "btn btn-primary", type: "button", "data-say": "give", "data-to": asking.id }),
      element("button", "Not now", { class: "btn", type: "button", "data-say": "refuse", "data-to": asking.id }),
    ];
    if (drives || people.length < 2 || this.#me?.view_only) return [];
    const words = this.#driver ? `${this.#driver.name} has the keyboard; you watch.` : driver === null ? "Nobody has the keyboard." : "You watch.";
    return [element("span", this.#me?.asks ? `${words} You asked for it.` : words), ...this.#offers(), element("button", "", { class: "btn-close", type: "button", "data-say": "later", "aria-label": "Close" })];
  }
}
