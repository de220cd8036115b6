// What a chosen file is, by its first bytes, before hours of sending it: the portal looks in the same way when it arrives.
const FOREIGN = [
  ["PK\x03\x04", "a ZIP archive"],
  ["7z\xbc\xaf\x27\x1c", "a 7-Zip archive"],
  ["Rar!\x1a\x07", "a RAR archive"],
  ["%PDF-", "a PDF document"],
  ["\x89PNG\r\n", "a picture"],
  ["\xff\xd8\xff", "a picture"],
  ["GIF8", "a picture"],
  ["\x7fELF", "a program (ELF)"],
  ["!<arch>\n", "a software package"],
  ["\xed\xab\xee\xdb", "a software package"],
  ["KDMV", "a VMware disk (VMDK)"],
  ["# Disk DescriptorFile", "a VMware disk (VMDK)"],
  ["vhdxfile", "a Hyper-V disk (VHDX)"],
  ["conectix", "a Hyper-V disk (VHD)"],
  ["<<< Oracle VM VirtualBox", "a VirtualBox disk (VDI)"],
];
const PACKED = ["\x1f\x8b", "\xfd7zXZ\0", "BZh", "\x28\xb5\x2f\xfd"];
const USUAL = /\.(qcow2?|img|raw|iso|bin|dd|disk|image)$/i;
const SECTOR = 512, TAR_AT = 257, ISO_AT = 16 * 2048 + 1;

function readsAsText(bytes) {
  try {
    // The end may cut a character in two.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: bytes.length === SECTOR });
    // Nothing but what is printed, and the ends of lines.
    return text !== "" && !/[^\P{Cc}\t\n\r\f]/u.test(text);
  } catch {
    return false;
  }
}

/** What is wrong with a file: {isCertain, sentence}, or null. Certain means that the portal would refuse it. */
export async function look(file) {
  if (!file.size) return { isCertain: true, sentence: "The file is empty." };
  const bytes = new Uint8Array(await file.slice(0, ISO_AT + 5).arrayBuffer());
  const head = String.fromCharCode(...bytes.subarray(0, SECTOR));
  const is = (what) => ({ isCertain: true, sentence: `“${file.name}” is ${what}. Choose a qcow2, raw or ISO image.` });
  if (PACKED.some((magic) => head.startsWith(magic))) return { isCertain: true, sentence: `“${file.name}” is packed. Unpack it first, or put it where the portal can fetch it: what comes from an address is unpacked.` };
  const foreign = FOREIGN.find(([magic]) => head.startsWith(magic));
  if (foreign) return is(foreign[1]);
  if (head.startsWith("QFI\xfb") || String.fromCharCode(...bytes.subarray(ISO_AT)) === "CD001") return null;
  if (head.startsWith("ustar", TAR_AT)) return is("an archive (tar), such as an appliance (OVA)");
  if (/^\s*<(!doctype\s+html|html)/i.test(head)) return is("a web page");
  if (readsAsText(bytes.subarray(0, SECTOR))) return is("a text file");
  // A raw disk may be anything; its name is all that is left to go by.
  if (!USUAL.test(file.name)) return { isCertain: false, sentence: `“${file.name}” is not called like a disk image. If it is a raw disk, send it; if not, no machine will start from it.` };
  return null;
}
