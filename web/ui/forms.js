// Forms with script: people are suggested while typing, files go up at once and show how far they are.
import { csrf, enhance, icon, make, once } from "./page.js";

enhance((root) => {
  once(root, "[data-picker]", "ready", picker);
  once(root, "input[data-upload]", "ready", uploads);
  once(root, "input[data-chosen]", "ready", chosen);
});

// People and departments

let departments;
async function search(kind, text) {
  if (kind.startsWith("department")) {
    departments ??= fetch("/api/v1/departments").then((answer) => answer.json());
    const found = (await departments).departments.filter((each) => each.name.includes(text) || each.code.toLowerCase().startsWith(text.toLowerCase()));
    return found.slice(0, 8).map((each) => ({ id: each.id, name: each.name, note: `${each.people} 人` }));
  }
  const answer = await fetch(`/api/v1/people?limit=8&text=${encodeURIComponent(text)}`);
  if (!answer.ok) return [];
  return (await answer.json()).people.map((each) => ({ id: each.id, name: each.name, note: `${each.department} ${each.post}` }));
}

function picker(box) {
  box.closest(".form-cell")?.setAttribute("data-live", ""); // a form that is shown anew leaves it as it is
  const field = box.querySelector('input[type="text"]');
  const kind = box.dataset.picker;
  field.placeholder = kind.startsWith("department") ? "输入科室名称或代码" : "输入姓名、拼音首字母或工号";
  const list = make("div", "suggest__list");
  list.hidden = true;
  list.id = `${field.id}-list`;
  list.setAttribute("role", "listbox");
  field.after(list);
  Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list" }).forEach(([k, v]) => field.setAttribute(k, v));
  let asked = 0;
  let timer;

  const close = () => {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
  };
  const choose = (person) => {
    let chips = box.querySelector(".form-chips");
    if (!chips) box.prepend((chips = make("div", "form-chips")));
    if (!("many" in box.dataset)) chips.replaceChildren();
    const check = [...chips.querySelectorAll("input")].find((each) => each.value === person.id);
    if (check) check.checked = true;
    else {
      const label = make("label", "form-chip form-chip_chosen");
      const input = make("input", "form-chip__check");
      Object.assign(input, { type: "checkbox", name: box.dataset.name, value: person.id, checked: true });
      if (field.hasAttribute("data-depends")) input.setAttribute("data-depends", "");
      label.append(input, make("span", "form-chip__text", person.name));
      chips.append(label);
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
    field.value = "";
    close();
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const show = (found) => {
    list.replaceChildren();
    for (const person of found) {
      const row = make("button", "suggest__item");
      row.type = "button";
      row.tabIndex = -1;
      row.setAttribute("role", "option");
      row.append(make("span", "", person.name), make("span", "muted", person.note));
      row.addEventListener("click", () => choose(person));
      list.append(row);
    }
    if (!found.length) list.append(make("p", "suggest__none", kind.startsWith("department") ? "没有找到这个科室" : "没有找到，试试姓名、拼音首字母或工号"));
    list.firstChild.setAttribute?.("aria-selected", found.length ? "true" : "false");
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const text = field.value.trim();
    if (!text) return close();
    timer = setTimeout(async () => {
      const mine = ++asked;
      try {
        const found = await search(kind, text);
        if (mine === asked && field.value.trim() === text) show(found);
      } catch {
        close(); // offline: what is typed is resolved by the server
      }
    }, 180);
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const rows = [...list.querySelectorAll('[role="option"]')];
    const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (event.key === "Enter" && rows[at]) {
      event.preventDefault();
      rows[at].click();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = (at + (event.key === "ArrowDown" ? 1 : -1) + rows.length) % rows.length;
      rows.forEach((row, index) => row.setAttribute("aria-selected", String(index === next)));
    }
  });
  box.addEventListener("piyue:chosen", (event) => choose(event.detail)); // somebody who was picked elsewhere
  box.addEventListener("focusout", (event) => !box.contains(event.relatedTarget) && setTimeout(close, 150));
}

// Attachments

function uploads(field) {
  field.closest(".form-cell")?.setAttribute("data-live", "");
  const list = make("div", "upload-list");
  const button = make("div", "pick"); // the field lies over all of it; a second label would take the first one's place
  field.before(button);
  button.append(icon("clip"), make("span", "", field.multiple ? "添加附件" : "选择附件"), field);
  button.before(list);
  field.addEventListener("change", () => {
    for (const file of field.files) upload(field, list, file);
    field.value = "";
  });
  field.addEventListener("piyue:staged", ({ detail }) => {
    // a file that came here by another way
    if (!field.multiple) list.replaceChildren();
    const row = make("div", "upload-row");
    row.append(make("span", "upload-row__name"), make("span", "upload-row__size", sized(detail.size)), remover(() => row.remove()));
    list.append(row);
    staged(field, row, detail);
  });
  // Files that are staged already are removed by the same button as new ones.
  for (const keep of field.closest(".form-cell")?.querySelectorAll(".form-file__keep input") ?? []) {
    const row = keep.closest(".form-file");
    const remove = remover(() => row.remove());
    keep.closest("label").hidden = true;
    row.append(remove);
  }
}

// Files that go with their form: what was chosen is listed, the browser only counts them.
function chosen(field) {
  const list = make("div", "upload-list");
  field.after(list);
  field.addEventListener("change", () => {
    list.replaceChildren();
    for (const file of field.files) {
      const row = make("div", "upload-row");
      row.append(make("span", "upload-row__name", file.name), make("span", "upload-row__size", sized(file.size)));
      list.append(row);
    }
  });
}

function remover(act) {
  const button = make("button", "upload-row__remove");
  button.type = "button";
  button.setAttribute("aria-label", "移除附件");
  button.append(icon("close"));
  button.addEventListener("click", () => {
    const form = button.closest("form");
    act();
    form?.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return button;
}

function upload(field, list, file) {
  if (!field.multiple) list.replaceChildren();
  const row = make("div", "upload-row");
  const name = make("span", "upload-row__name", file.name);
  const size = make("span", "upload-row__size", sized(file.size));
  const meter = make("progress", "meter");
  Object.assign(meter, { max: 100, value: 0 });
  meter.setAttribute("aria-label", `正在上传 ${file.name}`);
  const request = new XMLHttpRequest();
  const remove = remover(() => {
    request.abort();
    row.remove();
  });
  row.append(name, size, remove, meter);
  list.append(row);
  const body = new FormData();
  body.append("file", file);
  request.open("POST", "/api/v1/attachments");
  request.setRequestHeader("X-CSRF-Token", csrf());
  request.upload.onprogress = (event) => {
    if (event.lengthComputable) meter.value = (100 * event.loaded) / event.total;
  };
  const failed = (message) => {
    meter.remove();
    row.classList.add("upload-row_failed");
    row.append(make("p", "upload-row__error", message));
  };
  request.onload = () => {
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // no problem document: told below
    }
    if (request.status >= 300 || !answer.id) return failed(answer.detail ?? "上传失败，请重试");
    meter.remove();
    staged(field, row, answer);
  };
  request.onerror = () => failed("网络不通，没有上传，请移除后重新添加");
  request.send(body);
}

// The server has a file: its row opens it, and the form names it.
function staged(field, row, { id, name }) {
  const kept = make("input");
  Object.assign(kept, { type: "hidden", name: field.name, value: id });
  const link = make("a", "upload-row__name", name);
  Object.assign(link, { href: `/attachments/${id}`, target: "_blank" });
  row.querySelector(".upload-row__name").replaceWith(link);
  row.append(kept);
  field.form.dispatchEvent(new Event("input", { bubbles: true }));
}

function sized(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1048576 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;
}
