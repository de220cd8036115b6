// What will be made, in words, beside the form: the same answer that the button will give.

const form = document.querySelector("[data-create-summary]");

const checked = (name) => form.querySelector(`input[name="${name}"]:checked`);
const value = (name) => form.elements[name]?.value?.trim() ?? "";
const number = (name) => Number.parseInt(value(name), 10) || 0;
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function memory(mib) {
  const [amount, unit] = mib < 1024 ? [mib, "MiB"] : mib < 1024 * 1024 ? [mib / 1024, "GiB"] : [mib / 1024 / 1024, "TiB"];
  return `${Number(amount.toFixed(1))} ${unit}`;
}

function size() {
  const choice = checked("size");
  if (!choice) return "no size chosen yet";
  const own = choice.value === "own";
  const cpus = own ? number("vcpus") : Number(choice.dataset.vcpus);
  const mib = own ? number("memory_mib") : Number(choice.dataset.memory);
  return [`${plural(cpus, "CPU")}, ${memory(mib)} of memory`, choice.dataset.price].filter(Boolean).join(", ");
}

function disks() {
  const image = checked("image");
  const starts = image?.dataset.starts;
  const least = Math.max(1, Math.ceil(Number(image?.dataset.gib) || 0));
  const own = number("disk_gib") || Math.max(Number(checked("size")?.dataset.disk) || 0, starts === "image" ? least : 0);
  const more = [...form.querySelectorAll('input[name^="disk-"][name$="-size_gib"]')].map((field) => Number(field.value) || 0);
  const all = [own, ...more].filter(Boolean);
  if (!all.length) return image ? "say how large its disk should be" : "as large as the image";
  return all.map((gib) => `${gib} GiB`).join(" + ");
}

function networks() {
  const cards = [...form.querySelectorAll('select[name^="nic-"]')];
  if (!cards.length) return "no network card";
  return cards.map((select) => {
    const address = form.elements[select.name.replace(/network$/, "address")]?.value.trim();
    return (select.selectedOptions[0]?.textContent ?? "").trim() + (address ? `, ${address}` : "");
  }).join("; ");
}

function access() {
  const image = checked("image");
  if (image && image.dataset.starts !== "image") return "set up by its installer";
  if (value("user_data")) return "by your own user data";
  const user = value("username") || image?.dataset.user || "the image’s user";
  const keys = form.querySelectorAll('input[name="keys"]:checked').length + (value("new_key") ? 1 : 0);
  const ways = [keys ? plural(keys, "SSH key") : "", value("password") ? "a password" : ""].filter(Boolean);
  return ways.length ? `${user}, with ${ways.join(" and ")}` : user;
}

function warning() {
  const image = checked("image");
  const isImage = !image || image.dataset.starts === "image";
  const ways = value("new_key") || value("password") || value("user_data") || form.querySelector('input[name="keys"]:checked');
  return isImage && !ways ? "No key and no password: nobody may be able to sign in." : "";
}

function where() {
  const project = form.elements.project;
  const zone = value("zone") && form.elements.zone.selectedOptions?.[0]?.textContent;
  const words = [checked("provider")?.dataset.label, zone, project?.selectedOptions?.[0]?.textContent];
  return words.filter(Boolean).join(", ");
}

function show() {
  const told = {
    name: value("name") || "A machine without a name yet",
    image: checked("image")?.dataset.label ?? "no image chosen yet",
    size: size(), disks: disks(), networks: networks(), access: access(), warning: warning(),
    where: where(),
  };
  for (const place of form.querySelectorAll("[data-summary]")) {
    const text = told[place.dataset.summary];
    if (place.dataset.summary === "warning") place.hidden = !text;
    if (text && place.textContent !== text) place.textContent = text;
  }
}

if (form) {
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  document.addEventListener("htmx:afterSettle", show);
  document.addEventListener("htmx:oobAfterSwap", show);
  show();
}
