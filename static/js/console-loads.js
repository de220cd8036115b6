// A console's page whose own program was lost on its way: without it nothing on the page would say so, or try again. Runs
// before the program, as a plain script. A network that changes makes browsers drop what they are loading, and machines
// that start on this very computer change its network.
(() => {
  const STARTS_WITHIN_MS = 20000;
  const AT_MOST_EVERY_MS = 60000;

  // Loads the page again, unless that was just tried; whether it does.
  window.reloadConsole = () => {
    const last = Number(sessionStorage.getItem("console-reloaded-at") ?? 0);
    if (Date.now() - last < AT_MOST_EVERY_MS) return false;
    sessionStorage.setItem("console-reloaded-at", String(Date.now()));
    location.reload();
    return true;
  };

  const lost = () => {
    const root = document.querySelector("[data-console]");
    if (!root || window.reloadConsole()) return;
    root.dataset.state = "ended";
    root.querySelector("[data-console-words]").textContent = "Not connected";
    root.querySelector("[data-console-title]").textContent = "The console's own program could not be loaded";
    root.querySelector("[data-console-text]").textContent = "Check the network, then load the page again.";
    const again = root.querySelector("[data-console-again]");
    again.hidden = false;
    again.querySelector("span").textContent = "Load again";
    again.addEventListener("click", () => location.reload());
  };

  // Whatever of the modules failed, it is their <script> that tells; and one that never comes tells nothing.
  const late = setTimeout(lost, STARTS_WITHIN_MS);
  document.addEventListener("console:started", () => clearTimeout(late));
  addEventListener("error", ({ target }) => {
    if (target?.tagName !== "SCRIPT" || target.type !== "module") return;
    clearTimeout(late);
    lost();
  }, true);
})();
