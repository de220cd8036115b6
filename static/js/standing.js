// standing(): may this page still send something? "here", "over" (the session has ended), "other" (somebody else signed in
// meanwhile) or "unreachable". A page that is older than its person's latest sign-in gets a token that is taken again.
const PATIENCE_MS = 8000;

/** What proves that a request comes from a page of ours. */
export const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];

function renew(fresh) {
  document.querySelectorAll("input[name=csrfmiddlewaretoken]").forEach((field) => { field.value = fresh; });
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": fresh }));
}

export async function standing() {
  try {
    const answer = await fetch("/standing", {
      headers: { "HX-Request": "true" }, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (answer.status === 401) return "over";
    if (!answer.ok) return "unreachable";
    const told = await answer.json();
    if (told.person !== document.body.dataset.person) return "other";
    renew(told.token);
    return "here";
  } catch {
    return "unreachable";
  }
}
