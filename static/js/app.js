// What every page loads: one module per behaviour, each finding its elements by data attributes.
import "./toasts.js";
import "./errors.js";
import "./ago.js";
import "./copy.js";
import "./dialog.js";
import "./act.js";
import "./action-form.js";
import "./menu.js";
import "./rows.js";
import "./bulk.js";
import "./keys.js";
import "./events.js";
import "./edit.js";
import "./tabs.js";
import "./charts.js";
import "./sparklines.js";
import "./reading.js";
