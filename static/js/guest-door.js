// <div data-guest-door="/guest/<uuid>/enter">: the link's secret stands behind its #, which browsers send to nobody; it is
// shown to the portal once, and taken out of the address bar and of the history.
const door = document.querySelector("[data-guest-door]");
const secret = location.hash.slice(1);

function say(title, words) {
  door.querySelector("[data-guest-title]").textContent = title;
  door.querySelector("[data-guest-words]").textContent = words;
}

async function enter() {
  history.replaceState(null, "", location.pathname);
  say("Opening…", "The portal looks at your link.");
  const body = new FormData(door.querySelector("form"));
  body.set("secret", secret);
  try {
    const answer = await fetch(door.dataset.guestDoor, { method: "POST", body, credentials: "same-origin", headers: { Accept: "application/json" } });
    const told = await answer.json();
    if (told.entered) location.reload();
    else say("This did not open", told.sentence);
  } catch {
    say("This did not work", "The portal does not answer. Open the link again in a moment.");
  }
}

if (secret) enter();
