// What is typed is kept on this device until the server has it; what the network lost is sent again under its own key.
import { enhance, once, toast } from "./page.js";

const PREFIX = "piyue:";
const DAYS = 14;

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify({ ...value, at: Date.now() }));
  } catch {
    // A full or forbidden store only means that nothing is kept.
  }
}

for (const name of Object.keys(localStorage)) {
  if (name.startsWith(PREFIX) && Date.now() - (read(name.slice(PREFIX.length))?.at ?? 0) > DAYS * 86400000) localStorage.removeItem(name);
}

function note(form, text) {
  const bar = form.querySelector(".bar");
  bar?.classList.toggle("bar_unsent", Boolean(text));
  const place = bar?.querySelector(".bar__note");
  if (place && text) place.textContent = text;
}

function send(form) {
  const kept = read(form.dataset.outbox);
  if (!kept?.unsent) return;
  const button = [...form.querySelectorAll('button[type="submit"]')].find((b) => (b.value || "") === kept.unsent.outcome && !b.dataset.plain && b.name !== "_add");
  form.querySelector('input[name="_key"]').value = kept.unsent.key;
  form.requestSubmit(button);
}

enhance((root) => {
  for (const done of root.querySelectorAll("[data-sent]")) write(done.dataset.sent, null);
  once(root, "form[data-outbox]", "kept", (form) => {
    const name = form.dataset.outbox;
    const field = form.querySelector("[data-keep]");
    const kept = read(name);
    if (field && kept?.opinion && !field.value) field.value = kept.opinion;
    if (kept?.unsent) {
      note(form, "上次未提交，内容已保留");
      if (navigator.onLine) setTimeout(() => form.isConnected && send(form), 800);
    }
    field?.addEventListener("input", () => write(name, { ...read(name), opinion: field.value }));
  });
});

document.addEventListener("htmx:error", (event) => {
  const form = event.detail?.ctx?.sourceElement;
  if (!form?.matches?.("form[data-outbox]")) {
    if (event.detail?.ctx?.request?.method === "POST" && form?.matches?.("form")) toast("网络不通，未提交，请稍后重试");
    return;
  }
  const outcome = event.detail.ctx.request.submitter?.value ?? "";
  const opinion = form.querySelector("[data-keep]")?.value ?? "";
  write(form.dataset.outbox, { opinion, unsent: { outcome, key: form.querySelector('input[name="_key"]').value } });
  note(form, "未提交：网络不通。内容已保存在本机，恢复后自动提交");
});

document.addEventListener("htmx:before:swap", (event) => {
  // The server has answered, if only with a refusal: nothing is left to be sent again.
  const form = event.detail?.ctx?.sourceElement;
  if (!form?.matches?.("form[data-outbox]")) return;
  write(form.dataset.outbox, { opinion: form.querySelector("[data-keep]")?.value ?? "" });
});

// What is being sent isn't kept as a draft beside it: a save under way is stopped, a later one isn't begun.
const sending = new WeakSet();

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-outbox]")) return;
  sending.add(event.target);
  event.target.querySelector(".bar__note")?.dispatchEvent(new Event("htmx:abort"));
});

document.addEventListener("htmx:before:request", (event) => {
  const source = event.detail.ctx.sourceElement;
  if (source.matches(".bar__note") && sending.has(source.closest("form"))) event.preventDefault();
});

document.addEventListener("htmx:finally:request", (event) => {
  const { ctx } = event.detail;
  if (!ctx.hx?.redirect) sending.delete(ctx.sourceElement);
});

// A part of the page was refused (a draft, a form shown anew): the page stays, the reason is told.
document.addEventListener("htmx:response:error", (event) => {
  const ctx = event.detail?.ctx;
  if (ctx?.hx?.reswap === "none") toast(ctx.text);
});

window.addEventListener("online", () => document.querySelectorAll("form[data-outbox]").forEach(send));
