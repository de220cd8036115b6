// Keeps "5 minutes ago" true; the same table of units as kvweb/ui/words.py.
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];

export function agoWords(seconds) {
  if (seconds < 45) return "just now";
  for (const [unit, length] of UNITS) {
    const count = Math.round(seconds / length);
    if (seconds >= length * 0.95 && count) return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }
  return "1 minute ago";
}

function renew() {
  if (document.hidden) return;
  const now = Date.now();
  document.querySelectorAll("time[data-ago]").forEach((time) => {
    const words = agoWords((now - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== words) time.textContent = words;
  });
}

setInterval(renew, 20000);
document.addEventListener("visibilitychange", renew);
