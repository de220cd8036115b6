// Times of day are said in the person's own time zone: the portal learns it from this cookie (kvweb/ui/middleware.py).
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (zone && !document.cookie.split("; ").includes(`kvweb_zone=${zone}`)) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `kvweb_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}
