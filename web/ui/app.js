import "htmx.org";
import "htmx.org/dist/ext/hx-csp.js";
import "./forms.js";
import "./outbox.js";
import "./desk.js";
import "./dialogs.js";
