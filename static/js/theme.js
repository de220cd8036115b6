// Light, dark or as the device: set before the first paint, kept in this browser. The only script that blocks.
(() => {
  const root = document.documentElement;
  const device = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try { return localStorage.getItem("kvweb.theme") || "auto"; } catch { return "auto"; }
  };
  const show = () => {
    const choice = kept();
    root.dataset.bsTheme = choice === "auto" ? (device.matches ? "dark" : "light") : choice;
    document.querySelectorAll("[data-theme-choice]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    });
  };
  root.classList.add("scripts");
  show();
  device.addEventListener("change", show);
  window.addEventListener("storage", show);
  document.addEventListener("DOMContentLoaded", show);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try { localStorage.setItem("kvweb.theme", button.dataset.themeChoice); } catch { /* private window: not kept */ }
    show();
  });
})();
