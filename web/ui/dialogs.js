// Dialogs, menus, filters, phrases: what a page does without asking the server.
import { enhance, once } from "./page.js";

enhance((root) => {
  once(root, "dialog[data-open]", "shown", (dialog) => {
    dialog.close();
    dialog.showModal();
  });
  once(root, "[data-phrases]", "ready", (chips) => {
    chips.hidden = false;
    chips.addEventListener("click", (event) => {
      const chip = event.target.closest("button");
      const field = document.querySelector(chips.dataset.phrases);
      if (!chip || !field) return;
      const before = field.value.trimEnd();
      field.value = before ? `${before}${/[。！？；，]$/.test(before) ? "" : "。"}${chip.textContent}` : chip.textContent;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    });
  });
  once(root, "form[data-auto]", "ready", (form) => {
    form.addEventListener("change", (event) => event.target.type !== "search" && form.requestSubmit());
    form.addEventListener("submit", () => {
      for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
    });
  });
  once(root, "[data-filter]", "ready", (field) => {
    const list = document.querySelector(field.dataset.filter);
    const none = list.parentElement.querySelector("[data-none]");
    field.addEventListener("input", () => {
      const text = field.value.trim().toLowerCase();
      let shown = 0;
      for (const row of list.children) {
        row.hidden = !row.dataset.text.toLowerCase().includes(text);
        shown += !row.hidden;
      }
      none.hidden = shown > 0;
    });
  });
  const alert = root.querySelector("[data-alert]:not([data-told]), .form-errors:not([data-told])");
  if (alert) {
    alert.dataset.told = "1";
    alert.scrollIntoView({ block: "center" });
  }
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    const dialog = document.getElementById(`dialog-${opener.dataset.dialog}`);
    if (dialog) {
      event.preventDefault();
      opener.closest("details.more")?.removeAttribute("open");
      const reason = dialog.querySelector("textarea[name=reason]");
      const opinion = document.getElementById("opinion");
      if (opener.dataset.dialog === "return" && reason && !reason.value && opinion) reason.value = opinion.value;
      if (dialog.open) dialog.close();
      dialog.showModal();
    }
  }
  const closer = event.target.closest("[data-close]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
  if (event.target.matches("dialog.sheet")) event.target.close();
  for (const menu of document.querySelectorAll("details.more[open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
  // A button that is to send the form the ordinary way, to its own address.
  const plain = event.target.closest("button[data-plain]");
  if (plain) {
    event.preventDefault();
    plain.form.action = plain.getAttribute("formaction");
    HTMLFormElement.prototype.submit.call(plain.form);
  }
  // An opinion that is needed is asked for before anything is sent.
  const outcome = event.target.closest('button[data-opinion="required"]');
  const opinion = document.getElementById("opinion");
  if (outcome && opinion && !opinion.value.trim()) {
    event.preventDefault();
    event.stopPropagation();
    opinion.classList.add("field__input_warn");
    opinion.setAttribute("aria-invalid", "true");
    if (!document.getElementById("opinion-error")) {
      const error = document.createElement("p");
      error.id = "opinion-error";
      error.className = "field__error";
      error.setAttribute("role", "alert");
      error.textContent = `“${outcome.textContent.trim()}”需要填写意见`;
      opinion.after(error);
    }
    opinion.scrollIntoView({ block: "center" });
    opinion.focus();
  }
}, true);

document.addEventListener("input", (event) => {
  if (event.target.id !== "opinion") return;
  event.target.classList.remove("field__input_warn");
  event.target.removeAttribute("aria-invalid");
  document.getElementById("opinion-error")?.remove();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("details.more[open]")?.removeAttribute("open");
});
