// Lists keep their place, the desk has two panes, and the diagram is drawn by bpmn-js where there is room.
import { enhance, make, once } from "./page.js";

const desk = matchMedia("(min-width: 900px)");
const WIDE = "piyue_wide";

function remember() {
  document.cookie = `${WIDE}=${desk.matches ? 1 : 0}; path=/; max-age=31536000; samesite=lax`;
}
remember();
desk.addEventListener("change", remember);

const place = (path) => `piyue-place:${path}`;
const scroller = (list) => (desk.matches ? list.closest(".pane") : null) ?? document.scrollingElement;

function keep() {
  const list = document.querySelector("[data-list]");
  if (!list) return;
  const rows = list.querySelectorAll(".rows__item").length;
  sessionStorage.setItem(place(list.dataset.list), JSON.stringify({ top: scroller(list).scrollTop, rows }));
}
window.addEventListener("pagehide", keep);

enhance((root) => {
  once(root, ".pane_list[data-pane]", "filled", (pane) => {
    if (!desk.matches || pane.children.length) return;
    window.htmx.ajax("GET", pane.dataset.pane, { target: pane, select: ".pane_list > *", swap: "innerHTML" });
  });
  once(root, "[data-list]", "placed", async (list) => {
    const kept = JSON.parse(sessionStorage.getItem(place(list.dataset.list)) ?? "null");
    if (!kept || new URLSearchParams(location.search).has("cursor")) return;
    const path = list.dataset.list;
    if (kept.rows > 20 && list.querySelector("[data-more]")) {
      const show = Math.min(100, Math.ceil(kept.rows / 20) * 20);
      await window.htmx.ajax("GET", `${path}${path.includes("?") ? "&" : "?"}show=${show}`, { target: list, select: "#rows > *", swap: "innerHTML" });
    }
    scroller(list).scrollTop = kept.top;
  });
  once(root, "[data-bpmn]", "drawn", (box) => desk.matches && draw(box));
});

// At the desk the link to the diagram opens the viewer in its place.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-diagram][data-viewer]");
  if (!link || !desk.matches) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const slot = document.getElementById(link.dataset.slot);
  if (slot.querySelector(".viewer")) return slot.replaceChildren();
  const box = make("div", "viewer");
  Object.assign(box.dataset, { bpmn: link.dataset.viewer, script: link.dataset.script, style: link.dataset.style });
  slot.replaceChildren(box);
  draw(box).then(() => box.scrollIntoView({ block: "nearest" }));
}, true);

const ROOM = 36; // around the diagram, for buttons and notes
const READABLE = 0.95; // of the diagram's own size: names are then 11 pixels high

let loading;
function viewer(box) {
  const loaded = (element) => new Promise((resolve, reject) => {
    Object.assign(element, { onload: resolve, onerror: reject });
    document.head.append(element);
  });
  // both, for the drawing is measured by its style; the script is trusted by the page's own: strict-dynamic
  loading ??= Promise.all([
    loaded(Object.assign(make("link"), { rel: "stylesheet", href: box.dataset.style })),
    loaded(Object.assign(make("script"), { src: box.dataset.script })),
  ]).then(() => window.BpmnViewer);
  return loading;
}

async function draw(box) {
  const Viewer = await viewer(box);
  const answer = await fetch(box.dataset.bpmn);
  const state = answer.headers.get("content-type").includes("json") ? await answer.json() : { xml: await answer.text(), walked: [], open: [], notes: {} };
  box.replaceChildren();
  box.classList.add("viewer_drawn");
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const [fill, line] = [colour("--panel"), colour("--diagram")];
  const shown = new Viewer({ container: box, bpmnRenderer: { defaultFillColor: fill, defaultStrokeColor: line, defaultLabelColor: line } });
  await shown.importXML(state.xml);
  const canvas = shown.get("canvas");
  const overlays = shown.get("overlays");
  const known = shown.get("elementRegistry");
  const whole = () => canvas.zoom("fit-viewport", "auto");
  const here = [...state.open.filter((id) => known.get(id)), ...state.walked.filter((id) => known.get(id)?.width).slice(-1)][0];
  const clamp = (value, low, high) => (low > high ? (low + high) / 2 : Math.min(high, Math.max(low, value)));
  // As wide as there is room, but never so small that names can't be read: then one starts where the instance stands.
  const fit = () => {
    whole();
    const { inner } = canvas.viewbox();
    const scale = clamp(box.clientWidth / (inner.width + 2 * ROOM), READABLE, 1.2);
    if (!box.classList.contains("viewer_full")) box.style.height = `${clamp((inner.height + 2 * ROOM) * scale, 300, 560)}px`;
    canvas.resized();
    const [width, height] = [box.clientWidth / scale, box.clientHeight / scale];
    const at = here ? known.get(here) : { ...inner, width: 0 };
    const x = clamp(at.x + at.width / 2 - width / 2, inner.x - ROOM, inner.x + inner.width + ROOM - width);
    const y = clamp(at.y + at.height / 2 - height / 2, inner.y - ROOM, inner.y + inner.height + ROOM - height);
    canvas.viewbox({ x, y, width, height });
  };
  const full = () => {
    if (box.classList.toggle("viewer_full")) box.style.height = "";
    fit();
  };
  document.addEventListener("keydown", (event) => event.key === "Escape" && box.classList.contains("viewer_full") && full());
  const zoom = make("div", "viewer__zoom");
  for (const [text, name, act] of [["＋", "放大", () => canvas.zoom(canvas.zoom() * 1.3)], ["－", "缩小", () => canvas.zoom(canvas.zoom() / 1.3)], ["全图", "显示全图", whole], ["全屏", "放大到整个窗口，再按一次缩回", full]]) {
    const button = make("button", "", text);
    button.type = "button";
    button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    zoom.append(button);
  }
  box.append(zoom);
  fit();
  for (const id of state.walked) if (known.get(id)) canvas.addMarker(id, "walked");
  for (const id of state.open) {
    if (!known.get(id)) continue;
    canvas.addMarker(id, "standing");
    const text = (state.notes[id] ?? []).join(" · ");
    if (text) overlays.add(id, { position: { top: -26, left: 0 }, html: make("div", "viewer__note", text) });
  }
  box.dataset.ready = "1";
}
