// What the strip and the card over the screen say in each state of the console: [words, title, text].
export function wordsOf(state, { sentence = "", seconds = 0, viewOnly = false, doing = "", reason = "" }) {
  const words = {
    connecting: ["Connecting", "Connecting…", "The portal asks the provider for this console."],
    open: [viewOnly ? "Connected, watching only" : "Connected", "", ""],
    waiting: [`Trying again in ${seconds} s`, sentence, `Trying again in ${seconds} second${seconds === 1 ? "" : "s"}.`],
    off: doing ? [`${doing}…`, `${doing}…`, "The console opens by itself."]
      : reason ? ["Not open yet", reason, "The console opens by itself when it can."] : ["Off", "It is off", "The console opens by itself when the machine runs."],
    ended: ["Closed", sentence, ""],
    "signed-out": ["Signed out", "You are signed out", "Sign in again to go on; the machine was not touched."],
    link: ["On the provider's page", "This console opens at the provider", "The provider shows it on a page of its own."],
    detached: ["In its own window", "This console is open in a window of its own", "It comes back here when that window is closed."],
  };
  return words[state];
}

export const latencyWords = (ms) => `${ms < 10 ? Math.max(ms, 0.1).toFixed(1) : Math.round(ms)} ms`;

// "11 h left", exact when it matters; and whether it is time to say so loudly.
export function leftWords(seconds) {
  const minutes = Math.ceil(seconds / 60);
  if (minutes > 90) return [`${Math.round(minutes / 60)} h left`, false];
  return [`${Math.max(minutes, 0)} min left`, minutes <= 10];
}
