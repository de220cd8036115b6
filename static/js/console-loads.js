// A console's page whose own program was lost on its way, also after it was loaded again (loads.js): without it nothing on
// the page would say so. Runs before the program, as a plain script.
(() => {
  const STARTS_WITHIN_MS = 20000;

  const lost = () => {
    const root = document.querySelector("[data-console]");
    if (!root || window.loadAgain()) return;
    root.dataset.state = "ended";
    root.querySelector("[data-console-words]").textContent = "Not connected";
    root.querySelector("[data-console-title]").textContent = "The console's own program could not be loaded";
    root.querySelector("[data-console-text]").textContent = "Check the network, then load the page again.";
    const again = root.querySelector("[data-console-again]");
    again.hidden = false;
    again.querySelector("span").textContent = "Load again";
    again.addEventListener("click", () => location.reload());
  };

  // One that fails tells so; one that never comes tells nothing.
  const late = setTimeout(lost, STARTS_WITHIN_MS);
  document.addEventListener("console:started", () => clearTimeout(late));
  addEventListener("error", ({ target }) => {
    if (target?.tagName !== "SCRIPT" || target.type !== "module") return;
    clearTimeout(late);
    lost();
  }, true);
})();
