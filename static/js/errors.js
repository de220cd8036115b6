// What a page says when a request did not work: never silence, never a half-replaced page.
import { standing } from "./standing.js";
import { toast } from "./toasts.js";

const SENTENCES = {
  400: "That could not be understood. Load the page again and repeat it.",
  403: "You may not do this, or the page is too old: load it again.",
  404: "It is not there any more, or not yours.",
  413: "That is too much to send at once.",
  429: "Too many requests; wait a moment.",
  502: "The portal is starting or does not answer. Try again in a moment.",
  503: "The portal is busy. Try again in a moment.",
};

document.body.addEventListener("htmx:sendError", () => {
  toast("Not sent: the portal cannot be reached. Check the network and try again.", "error");
});
document.body.addEventListener("htmx:timeout", () => {
  toast("No answer in time. It may have been done all the same; look before you repeat it.", "warning");
});
document.body.addEventListener("htmx:responseError", (event) => {
  const { status, getResponseHeader } = event.detail.xhr;
  if (status === 401) {
    tellStanding("over");
    return;
  }
  if (status === 403 && getResponseHeader?.call(event.detail.xhr, "X-Old-Page")) {
    // The page is older than the person's latest sign-in: its token is too old, and nothing else is wrong with it.
    standing().then(tellStanding);
    return;
  }
  // The answer's own sentence comes as a toast already.
  if ((getResponseHeader?.call(event.detail.xhr, "HX-Trigger") ?? "").includes('"toast"')) return;
  toast(SENTENCES[status] ?? "An unexpected error. Try again; if it stays, tell an administrator.", "error");
});

const STANDINGS = {
  here: ["You signed in again since this page was opened. It can go on now: press it once more.", "warning"],
  other: ["Somebody else is signed in in this browser now. Load the page again.", "error"],
  unreachable: ["Not sent: the portal cannot be reached. What you typed is still here; try again in a moment.", "error"],
};
let isOver = false;

/** Say why something was not sent; see standing(). */
export function tellStanding(found) {
  if (found !== "over") return toast(...STANDINGS[found]);
  isOver = true;
  const here = encodeURIComponent(location.pathname + location.search);
  const link = { href: `${document.body.dataset.login}?next=${here}`, text: "Sign in in a new tab", newTab: true };
  return toast("Your session is over; what you typed is still here.", "error", { link });
}

// Whoever comes back after signing in elsewhere goes on where they were.
async function lookAgain() {
  if (!isOver || document.hidden || await standing() !== "here" || !isOver) return;
  isOver = false;
  document.querySelectorAll("#toasts [data-level=error] a[target=_blank]").forEach((link) => link.closest("[data-level]").remove());
  toast("You are signed in again. Everything you typed is still here.", "success");
  document.dispatchEvent(new CustomEvent("kvweb:signed-in"));
}
addEventListener("focus", lookAgain);
document.addEventListener("visibilitychange", lookAgain);
