// Keeps the phones up to date: asks for what changed and waits, then replaces only what differs, so that a choice somebody
// is about to make in a card stays.
const phones = new Map([...document.querySelectorAll('[data-phone]')].map((phone) => [phone.dataset.phone, phone]));
const drawn = new WeakMap(); // element -> the HTML it was drawn from
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const parse = (html) => Object.assign(document.createElement('template'), { innerHTML: html }).content;

function toast(text) {
  const place = document.querySelector('.toast');
  place.textContent = text;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { place.hidden = true; }, 4000);
}

async function post(address, body) {
  const answer = await fetch(address, { method: 'POST', body: body && JSON.stringify(body), headers: body ? { 'Content-Type': 'application/json' } : {} });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

// Chats keep their messages' elements; any other pane is drawn anew where it differs.
function redraw(pane, html) {
  if (drawn.get(pane) === html) return false;
  drawn.set(pane, html);
  const fresh = parse(html);
  const chat = pane.dataset.pane === 'chat' && pane.querySelector('.messages');
  if (!chat) { pane.replaceChildren(fresh); pane.querySelectorAll('[data-message]').forEach((row, at, rows) => drawn.set(row, rows[at].outerHTML)); return true; }
  const nothing = pane.querySelector('.nothing');
  if (nothing && !fresh.querySelector('.nothing')) nothing.remove();
  const old = new Map([...chat.children].map((row) => [row.dataset.message, row]));
  const rows = [...fresh.querySelectorAll('[data-message]')].map((row) => {
    const kept = old.get(row.dataset.message);
    if (kept && drawn.get(kept) === row.outerHTML) return kept;
    drawn.set(row, row.outerHTML);
    return row;
  });
  const place = document.activeElement?.closest?.('[data-message]')?.dataset.message;
  rows.forEach((row, at) => { if (chat.children[at] !== row) chat.insertBefore(row, chat.children[at] || null); });
  while (chat.children.length > rows.length) chat.lastElementChild.remove();
  if (place && document.activeElement === document.body) chat.querySelector(`[data-message="${CSS.escape(place)}"] button:not(:disabled)`)?.focus({ preventScroll: true });
  return true;
}

function atEnd(pane) { return pane.scrollHeight - pane.scrollTop - pane.clientHeight < 80; }

function show(phone, tab, room = '') {
  phone.dataset.tab = tab;
  phone.dataset.room = room;
  let title = '';
  phone.querySelectorAll('[data-go]').forEach((button) => {
    if (button.dataset.go === tab) { button.setAttribute('aria-current', 'page'); title = button.dataset.name; } else button.removeAttribute('aria-current');
  });
  phone.querySelectorAll('[data-pane]').forEach((pane) => { pane.hidden = pane.dataset.pane !== tab; });
  const groups = phone.querySelector('[data-pane="groups"]');
  groups.querySelectorAll('[data-room]').forEach((section) => { section.hidden = section.dataset.room !== room; });
  groups.querySelectorAll('.list').forEach((list) => { list.hidden = Boolean(room); });
  if (room) title = groups.querySelector(`[data-chat="${CSS.escape(room)}"]`)?.dataset.name ?? title;
  phone.querySelector('[data-title]').textContent = title;
  phone.querySelector('[data-back]').hidden = !room;
}

function badge(place, count) {
  let dot = place.querySelector('.dot');
  if (count && !dot) { dot = Object.assign(document.createElement('b'), { className: 'dot' }); place.append(dot); }
  if (dot) { dot.hidden = !count; dot.textContent = count > 99 ? '99+' : count; dot.setAttribute('aria-label', `${count} 条新消息`); }
}

async function seen(phone, unread) {
  if (document.hidden) return;
  const { tab, room } = phone.dataset;
  const who = `as=${encodeURIComponent(phone.dataset.phone)}`;
  if (tab === 'chat' && unread.chat) await post(`/phone/read?${who}`);
  if (tab === 'groups' && room && phone.querySelector(`[data-chat="${CSS.escape(room)}"] .count`)) await post(`/phone/read?${who}&talk=${encodeURIComponent(room)}`);
}

function draw(news) {
  for (const [userid, panes] of Object.entries(news.phones)) {
    const phone = phones.get(userid);
    if (!phone) continue;
    phone.querySelectorAll('[data-pane]').forEach((pane) => {
      const first = !drawn.has(pane);
      const end = first || atEnd(pane);
      const changed = redraw(pane, panes[pane.dataset.pane]);
      const long = pane.dataset.pane === 'chat' || phone.dataset.room;
      if (changed && end && long && !pane.hidden) pane.scrollTop = pane.scrollHeight;
    });
    show(phone, phone.dataset.tab, phone.dataset.room);
    badge(phone.querySelector('[data-go="chat"]'), phone.dataset.tab === 'chat' && !document.hidden ? 0 : panes.unread.chat);
    badge(phone.querySelector('[data-go="groups"]'), panes.unread.groups);
    phone.unread = panes.unread;
    seen(phone, panes.unread).catch(() => {});
  }
  document.querySelectorAll('[data-unread]').forEach((place) => {
    const count = news.unread[place.dataset.unread] || 0;
    place.hidden = !count;
    place.textContent = count > 99 ? '99+' : count;
  });
  dispatchEvent(new Event('phone:news'));
}

async function follow() {
  const shown = [...phones.keys()].map((userid, at) => `${at ? 'and' : 'as'}=${encodeURIComponent(userid)}`).join('&');
  let version = -1;
  for (;;) {
    try {
      const answer = await fetch(`/phone/feed?${shown}&version=${version}`);
      if (answer.status === 200) { const news = await answer.json(); version = news.version; draw(news); await sleep(150); }
      else if (answer.status !== 204) throw new Error(String(answer.status));
      document.body.dataset.version = version;
    } catch {
      await sleep(1000); // the stand-in was restarted: what it has now is all there is
      version = -1;
    }
  }
}

function answers(row) {
  const found = {};
  row.querySelectorAll('select[data-question]').forEach((select) => { found[select.name] = [select.value]; });
  row.querySelectorAll('fieldset[data-question]').forEach((group) => { found[group.dataset.question] = [...group.querySelectorAll(':checked')].map((box) => box.value); });
  return found;
}

async function press(button) {
  const row = button.closest('[data-message]');
  const phone = button.closest('[data-phone]');
  const menu = button.dataset.menu;
  row.querySelectorAll('details[open]').forEach((open) => { open.open = false; });
  try {
    await post('/phone/click', { as: phone.dataset.phone, message: row.dataset.message, key: menu ?? button.dataset.click, menu: menu !== undefined, selected: menu === undefined ? answers(row) : {} });
  } catch (error) {
    toast(error.message);
  }
}

async function profile(userid) {
  const dialog = document.getElementById('profile');
  const answer = await fetch(`/phone/person?userid=${encodeURIComponent(userid)}`);
  if (!answer.ok) { toast(await answer.text()); return; }
  dialog.replaceChildren(parse(await answer.text()));
  dialog.showModal();
}

// A window the size of a phone beside the page; on a telephone, or where windows are blocked, the link opens by itself.
function webview(event, link) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || innerWidth < 700) return;
  const { right } = link.closest('.device')?.getBoundingClientRect() ?? { right: 0 };
  const left = Math.max(0, Math.min(screenX + right + 12, screen.availWidth - 400));
  const opened = window.open(link.href, link.target, `popup,width=390,height=844,left=${Math.round(left)},top=${screenY + 60}`);
  if (opened) { event.preventDefault(); opened.focus(); }
}

document.addEventListener('click', (event) => {
  const target = event.target.closest?.('[data-click], [data-menu], [data-profile], [data-go], [data-chat], [data-back], [data-webview]');
  document.querySelectorAll('.card-menu[open]').forEach((open) => { if (!open.contains(event.target)) open.open = false; });
  if (!target) return;
  const phone = target.closest('[data-phone]');
  if (target.matches('[data-webview]')) webview(event, target);
  else if (target.matches('[data-click], [data-menu]')) press(target);
  else if (target.matches('[data-profile]')) profile(target.dataset.profile);
  else {
    if (target.matches('[data-go]')) show(phone, target.dataset.go);
    if (target.matches('[data-chat]')) show(phone, 'groups', target.dataset.chat);
    if (target.matches('[data-back]')) show(phone, 'groups');
    const pane = phone.querySelector('[data-pane]:not([hidden])');
    if (phone.dataset.tab === 'chat' || phone.dataset.room) pane.scrollTop = pane.scrollHeight;
    if (phone.unread) { badge(phone.querySelector('[data-go="chat"]'), phone.dataset.tab === 'chat' ? 0 : phone.unread.chat); seen(phone, phone.unread).catch(() => {}); }
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelectorAll('.card-menu[open]').forEach((open) => { open.open = false; });
});
document.addEventListener('visibilitychange', () => phones.forEach((phone) => phone.unread && seen(phone, phone.unread).catch(() => {})));

if (document.querySelector('#tools')) import('/phone/ui/tools.js');
follow();
