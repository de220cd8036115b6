// What a page is made of and did not come: a network that changes makes browsers drop what they are loading, and machines
// that start on this very computer change its network. Half a page hears no news, opens no menu and says nothing of it, so
// it is loaded again. Runs before all other programs, as a plain script.
(() => {
  // Such changes come in bursts; what fails again and again is another matter.
  const MOST = 3;
  const WITHIN_MS = 60000;
  const PAUSE_MS = 500;
  let isLoading = false;

  // Loads the page again; whether it does. Not where that was tried a few times just now, and not where the page answers a
  // form: it would be sent once more.
  window.loadAgain = () => {
    if (isLoading) return true;
    if (document.documentElement.hasAttribute("data-answers-form")) return false;
    const tried = JSON.parse(sessionStorage.getItem("loaded-again") ?? "[]").filter((at) => Date.now() - at < WITHIN_MS);
    if (tried.length >= MOST) return false;
    sessionStorage.setItem("loaded-again", JSON.stringify([...tried, Date.now()]));
    isLoading = true;
    document.documentElement.setAttribute("data-loads-again", "");
    setTimeout(() => location.reload(), tried.length * PAUSE_MS);
    return true;
  };

  // Whatever of the modules failed, it is their <script> that tells.
  addEventListener("error", ({ target }) => {
    if (target?.tagName === "SCRIPT" || target?.rel === "stylesheet") window.loadAgain();
  }, true);
})();
