// One console's connection: asks for a grant, opens the websocket, and after an end decides by its code what comes next.
//
// States told to `onState(state, detail)`: connecting, open, waiting {seconds, sentence}, off, ended {sentence},
// signed-out, link {url}. `onOpen(channel)` is called when the machine is joined; `onSaid(message)` for whatever else the
// service tells (docs/consoles.md says what that can be).
import { askGrant, SIGNED_OUT } from "./console-grant.js";
import { Pulse } from "./console-pulse.js";

const NORMAL = 1000;
const GONE = 4404;
const NOT_RUNNING = 4409;
const NOT_CARRIED = 4451;
// The machine closed, the service restarts, the line broke, the provider was slow: it may be better in a moment.
const PASSING = new Set([1001, 1005, 1006, 1011, 1012, 4408, 4410, 4452]);
const PAUSES_S = [1, 2, 4, 8, 15, 30];
// While the machine is off: soon, since somebody may just be starting it, later seldom.
const WATCH_OFF_S = 3;
const WATCH_OFF_LATER_S = 15;
const SOON_ROUNDS = 20;
const STEADY_MS = 10000;
const ANSWER_MS = 8000;

// What a viewer sees of the websocket: the machine's bytes only, not what the portal says beside them.
class Channel {
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  #socket;

  constructor(socket) { this.#socket = socket; }
  get binaryType() { return this.#socket.binaryType; }
  set binaryType(kind) { this.#socket.binaryType = kind; }
  get readyState() { return this.#socket.readyState; }
  get protocol() { return this.#socket.protocol; }
  send(data) { if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data); }
  close() { this.#socket.close(NORMAL); }
}

export class Connection {
  #grant; #csrf; #told; #socket = null; #pulse = null; #timer = 0; #failures = 0; #looks = 0; #round = 0; #asked = new Map(); #count = 0;

  constructor({ grant, csrf, ...told }) {
    this.#grant = grant;
    this.#csrf = csrf;
    this.#told = told;
  }

  get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }

  // `quietly`: what is shown stays until there is something new to say.
  async connect({ quietly = false } = {}) {
    this.close();
    const round = this.#round;
    if (!quietly) this.#told.onState("connecting");
    const grant = await askGrant(this.#grant, this.#csrf);
    if (round !== this.#round) return;
    if (!grant.token) {
      this.#ended(grant.code, grant.sentence);
      return;
    }
    const address = new URL(grant.path, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, ["kvweb.console", `kvweb.token.${grant.token}`]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    const channel = new Channel(socket);
    let openedAt = 0;
    let link = "";
    this.#pulse = new Pulse({ ask: () => this.say({ type: "here" }), onLost: () => this.#lost(openedAt) });
    socket.onmessage = (event) => {
      if (round === this.#round) this.#pulse.heard();
      if (typeof event.data !== "string") {
        channel.onmessage?.(event);
        return;
      }
      const said = JSON.parse(event.data);
      if (said.type === "open") {
        openedAt = Date.now();
        this.#looks = 0;
        this.#told.onState("open", { viewOnly: said.view_only });
        this.#told.onOpen(channel, said);
      } else if (said.type === "link") link = said.url;
      else if (said.type === "here") return;
      else if (said.type === "keys") this.#asked.get(said.id)?.(said.sentence ?? "");
      else this.#told.onSaid(said);
    };
    socket.onclose = (event) => {
      channel.onclose?.(event);
      if (round !== this.#round) return;
      this.#pulse.stop();
      this.#socket = null;
      [...this.#asked.values()].forEach((answer) => answer("The console was closed."));
      this.#forgive(openedAt);
      if (link) this.#told.onState("link", { url: link });
      // One host does not know it any more, and perhaps it is on its way to another; whoever gives rights knows.
      else if (event.code === GONE) this.#countDown(event.reason);
      else this.#ended(event.code, event.reason);
    };
    socket.onerror = (event) => channel.onerror?.(event);
  }

  // Tells the service something.
  say(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  // … and waits for its answer: an empty sentence when it was done, else why not.
  request(message) {
    if (!this.isOpen) return Promise.resolve("The console is not open.");
    const id = this.#count += 1;
    return new Promise((done) => {
      const timer = setTimeout(() => done("The console service did not answer."), ANSWER_MS);
      this.#asked.set(id, (sentence) => { clearTimeout(timer); this.#asked.delete(id); done(sentence); });
      this.say({ ...message, id });
    });
  }

  close() {
    this.#round += 1;
    clearTimeout(this.#timer);
    this.#pulse?.stop();
    [...this.#asked.values()].forEach((answer) => answer("The console was closed."));
    this.#socket?.close(NORMAL);
    this.#socket = null;
  }

  // The line is dead and nobody said so: its end would come much later, if at all.
  #lost(openedAt) {
    this.close();
    this.#forgive(openedAt);
    this.#countDown("The line does not answer.");
  }

  // What was open for a while is no failed attempt.
  #forgive(openedAt) { if (openedAt && Date.now() - openedAt > STEADY_MS) this.#failures = 0; }

  #ended(code, sentence) {
    if (code === SIGNED_OUT) this.#told.onState("signed-out");
    else if (code === NOT_RUNNING) {
      this.#failures = 0;
      this.#looks += 1;
      this.#told.onState("off", { sentence });
      const seconds = this.#looks < SOON_ROUNDS ? WATCH_OFF_S : WATCH_OFF_LATER_S;
      this.#timer = setTimeout(() => this.connect({ quietly: true }), seconds * 1000);
    } else if (PASSING.has(code)) this.#countDown(sentence || "The connection was lost.");
    else this.#told.onState("ended", { sentence: sentence || "The console was closed.", isFinal: code === GONE || code === NOT_CARRIED });
  }

  #countDown(sentence) {
    let seconds = PAUSES_S[Math.min(this.#failures, PAUSES_S.length - 1)];
    this.#failures += 1;
    const tick = () => {
      if (seconds <= 0) { this.connect(); return; }
      this.#told.onState("waiting", { seconds, sentence });
      seconds -= 1;
      this.#timer = setTimeout(tick, 1000);
    };
    tick();
  }
}
