// A console's page whose own program was lost on its way: without it nothing on the page would say so, or try again. Runs
// before the program, as a plain script. A network that changes makes browsers drop what they are loading, and machines
// that start on this very computer change its network.
(() => {
  const STARTS_WITHIN_MS = 20000;
  // Such changes come in bursts; what fails again and again is another matter.
  const MOST = 3;
  const WITHIN_MS = 60000;
  const PAUSE_MS = 500;

  // Loads the page again, unless that was tried a few times just now; whether it does.
  let isReloading = false;
  window.reloadConsole = () => {
    if (isReloading) return true;
    const tried = JSON.parse(sessionStorage.getItem("console-reloaded") ?? "[]").filter((at) => Date.now() - at < WITHIN_MS);
    if (tried.length >= MOST) return false;
    sessionStorage.setItem("console-reloaded", JSON.stringify([...tried, Date.now()]));
    isReloading = true;
    setTimeout(() => location.reload(), tried.length * PAUSE_MS);
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
    if (target?.tagName === "SCRIPT" && target.type === "module") {
      clearTimeout(late);
      lost();
    } else if (target?.tagName === "SCRIPT" || target?.rel === "stylesheet") window.reloadConsole();
  }, true);
})();
