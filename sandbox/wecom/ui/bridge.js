// What WeCom puts into the pages of its webview: window.WeixinJSBridge, for a browser that says wxwork/… as its user agent.
// Inject it before the page's own scripts. It asks the stand-in through `window.wecomNative(name, params)`, a function that
// whoever injects it must bind (a page's own content policy wouldn't let it reach another origin); see phone_bridge.py.
(() => {
  if (window.WeixinJSBridge || window !== window.top) return;
  const android = /\bAndroid\b/i.test(navigator.userAgent);
  const native = (name, params = {}) => window.wecomNative(name, params);
  const listeners = new Map();
  const granted = new Set();
  const images = new Map();
  const webview = { menu: true, clipboard: '' };
  const ALWAYS = ['preVerifyJSAPI', 'preVerifyJsApi', 'agentConfig', 'checkJsApi', 'closeWindow', 'getNetworkType'];

  // What the client draws over the page: in a shadow, so that neither sees the other's styles; the sheet is constructed,
  // because the page's policy may refuse <style>.
  const SHEET = `
    :host { all: initial; position: fixed; inset: 0; z-index: 2147483647; font: 16px/1.5 system-ui, "PingFang SC", "Noto Sans SC", sans-serif; color: #1b2330; }
    .shade { position: absolute; inset: 0; background: rgba(12, 20, 34, .45); }
    .sheet { position: absolute; inset: auto 0 0; max-height: 88%; display: flex; flex-direction: column; background: #fff; border-radius: 14px 14px 0 0; overflow: hidden; }
    .sheet.full { inset: 0; max-height: none; border-radius: 0; }
    header { display: flex; align-items: center; justify-content: space-between; padding: 6px 8px; border-bottom: 1px solid #e8ebf0; }
    h2 { font-size: 17px; font-weight: 600; margin: 0; }
    button, label.pick { font: inherit; border: 0; background: none; color: #2463b5; min-height: 44px; padding: 0 12px; cursor: pointer; }
    label.pick, .sheet > button { display: flex; align-items: center; justify-content: center; border-bottom: 1px solid #eef0f4; color: #1b2330; }
    label.pick input { position: absolute; opacity: 0; width: 1px; }
    button:focus-visible, label:focus-within { outline: 2px solid #2463b5; outline-offset: -2px; }
    input[type=search] { font: inherit; margin: 10px 12px; padding: 8px 12px; border: 0; border-radius: 8px; background: #f1f3f7; }
    ul { list-style: none; margin: 0; padding: 0 0 16px; overflow: auto; flex: 1; }
    li label { display: flex; gap: 12px; align-items: center; min-height: 52px; padding: 4px 16px; border-bottom: 1px solid #f1f3f7; }
    strong { font-weight: 500; }
    small { color: #5f6b7c; display: block; font-size: 13px; }
    .file { padding: 32px 20px; text-align: center; overflow-wrap: anywhere; }
    img { max-width: 100%; max-height: 80vh; margin: auto; }`;

  const make = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };

  // Shows a sheet until `close` is called with what came of it, or a tap on the shade cancels it.
  function ask(full, build) {
    return new Promise((resolve) => {
      const host = make('wecom-sheet');
      const shadow = host.attachShadow({ mode: 'open' });
      const styles = new CSSStyleSheet();
      styles.replaceSync(SHEET);
      shadow.adoptedStyleSheets = [styles];
      const close = (result) => { host.remove(); resolve(result); };
      const sheet = make('div', { className: full ? 'sheet full' : 'sheet' });
      sheet.setAttribute('role', 'dialog');
      shadow.append(make('div', { className: 'shade', onclick: () => close(null) }), sheet);
      document.documentElement.append(host);
      build(sheet, close);
    });
  }

  const base64 = (file) => new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });

  async function chooseImage({ count = 9, sourceType = ['album', 'camera'] }) {
    const files = await ask(false, (sheet, close) => {
      const pick = (text, capture) => {
        const input = make('input', { type: 'file', accept: 'image/*', multiple: !capture && count > 1 });
        if (capture) input.setAttribute('capture', 'environment');
        input.onchange = () => close([...input.files].slice(0, count));
        sheet.append(make('label', { className: 'pick' }, text, input));
      };
      sheet.setAttribute('aria-label', '选择图片');
      if (sourceType.includes('camera')) pick('拍照', true);
      if (sourceType.includes('album')) pick('从手机相册选择', false);
      sheet.append(make('button', { textContent: '取消', onclick: () => close(null) }));
    });
    if (!files || !files.length) return 'cancel';
    const ids = files.map((file) => {
      const id = `wxLocalResource://imageid${Date.now()}${images.size}`;
      images.set(id, file);
      return id;
    });
    return { localIds: android ? JSON.stringify(ids) : ids, sourceType: 'album' };
  }

  async function selectEnterpriseContact({ mode, type = ['user'], fromDepartmentId = 0, selectedUserIds = [], selectedDepartmentIds = [] }) {
    const chosen = new Map();
    const key = (kind, id) => `${kind} ${id}`;
    const start = await native('sandbox.people', { q: '', from: fromDepartmentId, users: selectedUserIds, departments: selectedDepartmentIds });
    start.chosen.forEach((entry) => chosen.set(key(entry.kind, entry.id), entry));
    const done = await ask(true, (sheet, close) => {
      sheet.setAttribute('aria-label', '选择同事');
      const sure = make('button', { onclick: () => close([...chosen.values()]) });
      const count = () => { sure.textContent = chosen.size ? `确定（${chosen.size}）` : '确定'; };
      const list = make('ul');
      const draw = (entries) => list.replaceChildren(...entries.filter((entry) => type.includes(entry.kind)).map((entry) => {
        const box = make('input', { type: mode === 'single' ? 'radio' : 'checkbox', name: 'chosen', checked: chosen.has(key(entry.kind, entry.id)) });
        box.onchange = () => {
          if (mode === 'single') chosen.clear();
          if (box.checked) chosen.set(key(entry.kind, entry.id), entry); else chosen.delete(key(entry.kind, entry.id));
          count();
        };
        return make('li', {}, make('label', {}, box, make('span', {}, make('strong', { textContent: entry.name }), make('small', { textContent: entry.label }))));
      }));
      const search = make('input', { type: 'search', placeholder: '搜索', ariaLabel: '搜索' });
      let asked = 0;
      search.oninput = async () => {
        const turn = ++asked;
        const answer = await native('sandbox.people', { q: search.value, from: fromDepartmentId });
        if (turn === asked) draw(answer.found);
      };
      sheet.append(make('header', {}, make('button', { textContent: '取消', onclick: () => close(null) }), make('h2', { textContent: '选择同事' }), sure), search, list);
      count();
      draw(start.found);
    });
    if (!done) return 'cancel';
    const of = (kind) => done.filter((entry) => entry.kind === kind);
    const result = {
      selectAll: false,
      departmentList: of('department').map(({ id, name }) => ({ id, name })),
      userList: of('user').map(({ id, name }) => ({ id, name, avatar: '' })),
    };
    return { result: android ? JSON.stringify(result) : result };
  }

  async function previewFile({ url, name, size }) {
    const file = await native('previewFile', { url: new URL(url, location.href).href });
    if (!file.ok) return `fail ${file.why}`;
    ask(true, (sheet, close) => {
      sheet.setAttribute('aria-label', '文件预览');
      sheet.append(
        make('header', {}, make('button', { textContent: '关闭', onclick: () => close(null) }), make('h2', { textContent: '文件预览' }), make('span')),
        make('p', { className: 'file' }, name || file.name || '文件', make('small', { textContent: `${file.type} · ${Math.ceil((file.size || size || 0) / 1024)} KB` })),
      );
    });
    return {};
  }

  async function imagePreview({ current, urls = [] }) {
    ask(true, (sheet, close) => {
      sheet.setAttribute('aria-label', '图片');
      sheet.append(make('header', {}, make('button', { textContent: '关闭', onclick: () => close(null) })), make('img', { src: current || urls[0], alt: '' }));
    });
    return {};
  }

  const grant = async (name, params) => {
    const answer = await native(name, params);
    if (answer.why) return answer.why;
    (params.verifyJsApiList || params.jsApiList || []).forEach((api) => granted.add(api));
    return {};
  };
  const knows = (name) => Object.hasOwn(API, name);
  const API = {
    preVerifyJSAPI: (params) => grant('preVerifyJSAPI', params),
    preVerifyJsApi: (params) => grant('preVerifyJSAPI', params),
    agentConfig: (params) => grant('agentConfig', params),
    checkJsApi: ({ jsApiList = [] }) => {
      const checkResult = Object.fromEntries(jsApiList.map((name) => [name, knows(name) && (granted.has(name) || ALWAYS.includes(name))]));
      return { checkResult: android ? JSON.stringify(checkResult) : checkResult };
    },
    chooseImage,
    getLocalImgData: async ({ localId }) => {
      if (!images.has(localId)) return 'fail no such image';
      const data = await base64(images.get(localId));
      return { localData: android ? data.slice(data.indexOf(',') + 1) : data };
    },
    uploadImage: async ({ localId }) => {
      if (!images.has(localId)) return 'fail no such image';
      const file = images.get(localId);
      const data = await base64(file);
      const answer = await native('uploadImage', { name: file.name, type: file.type, content: data.slice(data.indexOf(',') + 1) });
      return answer.why ? `fail ${answer.why}` : { serverId: answer.serverId, mediaUrl: '' };
    },
    downloadImage: async ({ serverId }) => {
      const answer = await native('downloadImage', { serverId });
      if (answer.why) return `fail ${answer.why}`;
      const bytes = Uint8Array.from(atob(answer.content), (letter) => letter.charCodeAt(0));
      const id = `wxLocalResource://imageid${Date.now()}${images.size}`;
      images.set(id, new File([bytes], answer.name, { type: answer.type }));
      return { localId: id };
    },
    previewFile,
    imagePreview,
    selectEnterpriseContact,
    selectExternalContact: () => 'permission denied', // the corp has no customers' contacts
    getContext: () => ({ entry: 'normal' }),
    getNetworkType: () => ({ err_msg: 'network_type:wifi' }),
    setClipboardData: ({ data }) => { webview.clipboard = String(data); return {}; },
    getClipboardData: () => ({ data: webview.clipboard }),
    hideOptionMenu: () => { webview.menu = false; return {}; },
    showOptionMenu: () => { webview.menu = true; return {}; },
    hideMenuItems: () => ({}),
    showMenuItems: () => ({}),
    hideAllNonBaseMenuItem: () => ({}),
    showAllNonBaseMenuItem: () => ({}),
    openDefaultBrowser: ({ url }) => { window.open(url, '_blank', 'noopener'); return {}; },
    onHistoryBack: () => ({}),
    closeWindow: async () => { await native('closeWindow'); window.close(); return {}; },
  };

  async function invoke(name, params, callback) {
    const answer = (result) => {
      const told = typeof result === 'string' ? { err_msg: `${name}:${result}` } : { err_msg: `${name}:ok`, ...result };
      if (typeof callback === 'function') callback(told);
    };
    if (!knows(name)) return answer('function not exist');
    if (!ALWAYS.includes(name) && !granted.has(name)) return answer('permission denied');
    try {
      return answer(await API[name](params || {}));
    } catch (error) {
      return answer(`fail ${error.message}`);
    }
  }

  // The back arrow of the webview: a page that listens may keep it by returning false.
  function back() {
    const stay = (listeners.get('historyBack') || []).some((listener) => listener() === false);
    if (stay) return;
    if (history.length > 1) history.back(); else API.closeWindow();
  }

  window.WeixinJSBridge = {
    invoke: (name, params, callback) => { invoke(name, params, callback); },
    on: (name, callback) => { listeners.set(name, [...(listeners.get(name) || []), callback]); },
    sandbox: { webview, back, fire: (name) => (listeners.get(name) || []).forEach((listener) => listener({})) },
  };
  document.addEventListener('DOMContentLoaded', () => document.dispatchEvent(new Event('WeixinJSBridgeReady')));
})();
