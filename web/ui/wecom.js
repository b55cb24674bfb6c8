// Inside WeCom: pictures, files, colleagues and the window by its own means. Loaded there only; whatever it can't do
// here, or refuses, is done as in any other browser.
import * as ww from "@wecom/jssdk";
import { csrf, enhance, icon, make, once, toast } from "./page.js";

const telephone = /mobile|android|iphone|ipad|harmony/i.test(navigator.userAgent); // at the desk the browser's own ways are better
const CHOOSE = ["chooseImage", "uploadImage"];
const USED = [...CHOOSE, "previewFile", "selectEnterpriseContact", "closeWindow"];

// A page is signed when something is first asked of WeCom, not before.
let signed;
function config() {
  signed ??= ask(`/wecom/js-config?url=${encodeURIComponent(location.href.split("#")[0])}`);
  signed.catch(() => (signed = undefined));
  return signed;
}

async function ask(path, options) {
  const answer = await fetch(path, { headers: { "HX-Request-Type": "partial", "X-CSRF-Token": csrf() }, ...options });
  if (answer.headers.get("content-type")?.includes("json") && answer.ok) return answer.json();
  throw new Error(answer.headers.get("content-type")?.startsWith("text/plain") ? await answer.text() : "");
}

const read = (value) => (typeof value === "string" ? JSON.parse(value) : value); // Android answers in JSON
const cancelled = (error) => /cancel/i.test(error?.errMsg ?? "");

const ENTERED = "piyue-entered"; // the page at which this window came in
if (!sessionStorage.getItem(ENTERED)) sessionStorage.setItem(ENTERED, location.pathname);

if (ww.env.isWeCom) {
  const { corp: corpId, agent: agentId } = document.documentElement.dataset;
  ww.register({
    corpId,
    agentId,
    jsApiList: USED,
    getConfigSignature: async () => (await config()).corp,
    getAgentConfigSignature: async () => (await config()).agent,
  });
  enhance((root) => {
    if (telephone) once(root, "input[data-upload]", "camera", camera);
    once(root, '[data-picker^="person"], [data-picker^="people"]', "members", members);
    once(root, "[data-sent^='item:']", "closing", closing);
  });
  if (telephone) document.addEventListener("click", preview);
}

// Pictures: chosen or taken in WeCom, carried over by it, and staged as an upload is.

function camera(field) {
  if (field.accept && !/image|\.(jpe?g|png|heic)/i.test(field.accept)) return;
  const button = make("button", "pick pick_wecom");
  button.type = "button";
  button.append(icon("camera"), make("span", "", "拍照或相册"));
  field.closest(".pick").after(button);
  button.addEventListener("click", async () => {
    let chosen;
    try {
      chosen = await ww.chooseImage({ count: field.multiple ? 9 : 1, sizeType: ["compressed", "original"], sourceType: ["album", "camera"] });
    } catch (error) {
      if (!cancelled(error)) field.click();
      return;
    }
    button.disabled = true;
    try {
      for (const localId of read(chosen.localIds)) {
        const { serverId } = await ww.uploadImage({ localId, isShowProgressTips: true });
        const file = await ask("/wecom/pictures", { method: "POST", body: new URLSearchParams({ media_id: serverId }) });
        field.dispatchEvent(new CustomEvent("piyue:staged", { detail: file }));
      }
    } catch (error) {
      toast((error instanceof Error && error.message) || "图片没有传上来，请重试，或改用“添加附件”");
    }
    button.disabled = false;
  });
}

// Files: WeCom's previewer brings no cookie along, so it gets a link that holds for a few minutes.

async function preview(event) {
  const link = event.target.closest?.('a[href^="/attachments/"]');
  if (!link || event.defaultPrevented) return;
  event.preventDefault();
  try {
    const { url, name, size } = await ask(`${link.getAttribute("href")}/link`);
    await ww.previewFile({ url: new URL(url, location.href).href, name, size });
  } catch (error) {
    if (!cancelled(error)) location.href = link.href;
  }
}

// Colleagues: picked in WeCom's contacts, put into the picker as ours.

function members(box) {
  const field = box.querySelector('input[type="text"]');
  const button = make("button", "pick pick_wecom");
  button.type = "button";
  button.append(icon("person"), make("span", "", "从企业微信选人"));
  box.append(button);
  button.addEventListener("click", async () => {
    let users;
    try {
      const mode = "many" in box.dataset ? "multi" : "single";
      const picked = await ww.selectEnterpriseContact({ fromDepartmentId: -1, mode, type: ["user"] });
      users = read(picked.result).userList ?? [];
    } catch (error) {
      if (!cancelled(error)) {
        toast("这里打不开企业微信通讯录，请直接输入姓名");
        field.focus();
      }
      return;
    }
    if (!users.length) return;
    try {
      const { people } = await ask(`/wecom/people?${new URLSearchParams(users.map((user) => ["userid", user.id]))}`);
      for (const person of people) box.dispatchEvent(new CustomEvent("piyue:chosen", { detail: person }));
      const known = new Set(people.map((person) => person.userid));
      const missing = users.filter((user) => !known.has(user.id)).map((user) => user.name || user.id);
      if (missing.length) toast(`批阅里没有${missing.join("、")}，请改用姓名或工号查找`);
    } catch (error) {
      toast(error.message || "没有查到所选的人，请直接输入姓名");
    }
  });
}

// What was opened from a card goes back to the chat when it is done.

function closing() {
  if (sessionStorage.getItem(ENTERED) !== location.pathname || !location.pathname.startsWith("/items/")) return;
  const back = document.querySelector(".bar a[data-back]");
  if (!back) return;
  back.textContent = "返回聊天";
  const close = () => ww.closeWindow().catch(() => history.back());
  back.addEventListener("click", (event) => {
    event.preventDefault();
    close();
  });
  if (!document.querySelector(".bar__main:not([data-back])")) setTimeout(close, 1500); // nothing else waits
}
