// Imported before noVNC: it would decode a test film while it loads, to see whether the browser knows H.264, and waits for
// that before anything else. No screen here sends H.264, and a browser whose decoder hangs would never show one.
delete globalThis.VideoDecoder;
