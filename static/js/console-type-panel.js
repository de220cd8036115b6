// The panel that types a text: layout, speed, what this keyboard cannot type, progress, stop, and the mask for passwords.
import { planned, tableAt } from "./console-typing.js";

const KEPT = "kvweb.console.layout";
// Where the browser says which language its person writes, the guest often has that keyboard too.
const BY_LANGUAGE = { "en-gb": "gb", "de-ch": "ch", "fr-ch": "ch-fr", "fr-ca": "ca", "pt-br": "pt-br", "nl-be": "be", "fr-be": "be", cs: "cz", da: "dk", ja: "jp", nb: "no", nn: "no", sv: "se" };

const kept = (key) => { try { return localStorage.getItem(key) ?? ""; } catch { return ""; } };
const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } };

export class TypePanel {
  #find; #type; #isTyping = false; #wasStopped = false; #table = {};

  // `type(plan, options)` types it, on whichever way this console has.
  constructor(panel, type) {
    this.#find = (name) => panel.querySelector(`[data-type-${name}]`);
    this.#type = type;
    this.#chooseLayout();
    this.#find("layout").addEventListener("change", () => { keep(KEPT, this.#find("layout").value); this.#check(); });
    this.#find("text").addEventListener("input", () => this.#check());
    this.#find("secret").addEventListener("input", () => this.#check());
    this.#find("mask").addEventListener("change", () => this.#mask());
    this.#find("form").addEventListener("submit", (event) => { event.preventDefault(); this.#go(); });
    this.#find("stop").addEventListener("click", () => this.stop());
    this.#find("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey) { event.preventDefault(); this.#go(); } });
  }

  get #field() { return this.#find(this.#find("mask").checked ? "secret" : "text"); }

  opened() { this.#field.focus(); this.#check(); }

  // What was not typed is forgotten with the panel: it may be a password.
  closed() {
    this.stop();
    this.#find("text").value = "";
    this.#find("secret").value = "";
    this.#say("");
  }

  stop() { this.#wasStopped = true; }

  take(text) {
    this.#find("mask").checked = false;
    this.#mask();
    this.#find("text").value = text;
    this.#check();
  }

  #chooseLayout() {
    const options = [...this.#find("layout").options].map((option) => option.value);
    const [language, region] = navigator.language.toLowerCase().split("-");
    const wishes = [kept(KEPT), BY_LANGUAGE[`${language}-${region}`], BY_LANGUAGE[language], language, "us"];
    this.#find("layout").value = wishes.find((wish) => options.includes(wish));
  }

  #mask() {
    const isSecret = this.#find("mask").checked;
    const [from, to] = isSecret ? ["text", "secret"] : ["secret", "text"];
    this.#find(to).value = this.#find(from).value.split("\n")[0];
    this.#find(from).value = "";
    this.#find("text").hidden = isSecret;
    this.#find("secret").hidden = !isSecret;
    this.#find(to).focus();
    this.#check();
  }

  async #check() {
    const option = this.#find("layout").selectedOptions[0];
    try { this.#table = await tableAt(option.dataset.table); } catch { this.#say("The table of this keyboard could not be loaded.", true); return null; }
    const { plan, missing } = planned(this.#field.value, this.#table);
    if (!missing.length) this.#say("");
    else if (this.#find("mask").checked) this.#say(`${missing.length === 1 ? "One character" : `${missing.length} different characters`} cannot be typed on this keyboard (${option.text}).`, true);
    else this.#say(`This keyboard (${option.text}) cannot type: ${missing.slice(0, 20).join(" ")}`, true);
    return missing.length ? null : plan;
  }

  async #go() {
    if (this.#isTyping) return;
    const plan = await this.#check();
    if (!plan) return;
    if (this.#find("enter").checked) plan.push(...planned("\n", {}).plan);
    if (!plan.length) { this.#field.focus(); return; }
    this.#isTyping = true;
    this.#wasStopped = false;
    this.#show(0, plan.length);
    const began = Date.now();
    try {
      const done = await this.#type(plan, {
        holdMs: Number(this.#find("speed").value),
        isOn: () => !this.#wasStopped,
        onProgress: (count, of) => this.#show(count, of),
      });
      const seconds = Math.max(1, Math.round((Date.now() - began) / 1000));
      if (done < plan.length) this.#say(`Stopped: ${done} of ${plan.length} were typed.`, true);
      else {
        this.#say(`Typed ${plan.length === 1 ? "one key" : `${plan.length} characters`} in ${seconds} s.`);
        this.#find("text").value = "";
        this.#find("secret").value = "";
      }
    } catch (error) {
      this.#say(error.message, true);
    } finally {
      this.#isTyping = false;
      this.#find("progress").hidden = true;
      this.#swap("stop", "go");
    }
  }

  #show(done, of) {
    this.#find("progress").hidden = false;
    this.#find("progress").max = of;
    this.#find("progress").value = done;
    this.#swap("go", "stop");
    this.#say(`${done} of ${of}`);
  }

  // One button in the place of the other; who was at the first is at the second then.
  #swap(from, to) {
    const hadFocus = document.activeElement === this.#find(from);
    this.#find(from).hidden = true;
    this.#find(to).hidden = false;
    if (hadFocus) this.#find(to).focus();
  }

  #say(words, isBad = false) {
    this.#find("note").textContent = words;
    this.#find("note").classList.toggle("is-bad", isBad);
  }
}
