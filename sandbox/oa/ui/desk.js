// Keeps a person's lists up to date: asks for what changed and waits; rows that come are marked, rows that go are struck
// out for a moment, all others stay as they are, so that nothing jumps under the pointer.
const LEAVES = 1200; // milliseconds
const feed = document.body.dataset.feed;
const place = document.getElementById('lists');
const drawn = new WeakMap(); // row -> the HTML it was drawn from
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const parse = (html) => Object.assign(document.createElement('template'), { innerHTML: html }).content;

function toast(text) {
  const shown = document.querySelector('.toast') ?? document.body.appendChild(Object.assign(document.createElement('p'), { className: 'toast' }));
  shown.setAttribute('role', 'status');
  shown.textContent = text;
  shown.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { shown.hidden = true; }, 4000);
}

function choose(name) {
  const known = document.querySelector(`.lists [data-list="${CSS.escape(name)}"]`) ?? document.querySelector('.lists [data-list]');
  document.querySelectorAll('.lists [data-list]').forEach((button) => {
    if (button === known) button.setAttribute('aria-current', 'page'); else button.removeAttribute('aria-current');
  });
  place.querySelectorAll('section').forEach((section) => { section.hidden = section.dataset.list !== known.dataset.list; });
}

function leave(row) {
  if (row.classList.contains('leaving')) return;
  row.classList.add('leaving');
  setTimeout(() => { row.remove(); }, LEAVES);
}

function redraw(section, fresh, first) {
  const body = section.querySelector('tbody');
  const old = new Map([...body.children].filter((row) => !row.classList.contains('leaving')).map((row) => [row.dataset.key, row]));
  const rows = [...fresh.querySelectorAll('tbody tr')].map((row) => {
    const html = row.outerHTML;
    const kept = old.get(row.dataset.key);
    old.delete(row.dataset.key);
    if (kept && (drawn.get(kept) === html || first)) { drawn.set(kept, html); return kept; }
    drawn.set(row, html);
    if (kept) { row.classList.toggle('fresh', kept.classList.contains('fresh')); kept.replaceWith(row); } else row.classList.add('fresh');
    return row;
  });
  old.forEach(leave);
  let before = null; // from the end, so that rows which are leaving keep their place
  rows.reverse().forEach((row) => {
    const next = row.isConnected ? nextStaying(row) : undefined;
    if (next !== before) body.insertBefore(row, before);
    before = row;
  });
  section.querySelector('.nothing').hidden = rows.length > 0;
  section.querySelector('table').hidden = false;
}

function nextStaying(row) {
  let next = row.nextElementSibling;
  while (next?.classList.contains('leaving')) next = next.nextElementSibling;
  return next;
}

function draw(news, first) {
  parse(news.lists).querySelectorAll('section').forEach((fresh) => {
    const name = fresh.dataset.list;
    redraw(place.querySelector(`section[data-list="${name}"]`), fresh, first);
    const count = document.querySelector(`.lists [data-list="${name}"] b`);
    count.textContent = count.dataset.count = fresh.dataset.total;
  });
}

async function follow() {
  let version = '';
  const lost = Object.assign(document.createElement('p'), { className: 'offline', textContent: '连不上这个沙箱，恢复后会自动更新' });
  for (let first = true; ;) {
    try {
      const answer = await fetch(`${feed}&version=${version}`);
      if (answer.status === 200) { const news = await answer.json(); version = news.version; draw(news, first); first = false; await sleep(150); }
      else if (answer.status !== 204) throw new Error(String(answer.status));
      lost.remove();
    } catch {
      if (!lost.isConnected) document.querySelector('.top').after(lost);
      await sleep(1000); // it was restarted: what it has now is all there is
      version = '';
    }
  }
}

// Who doesn't agree says why.
function opinion(outcome, title) {
  if (outcome !== 'reject') return Promise.resolve('');
  const dialog = document.querySelector('.opinion');
  dialog.querySelector('.about').textContent = title;
  dialog.querySelector('textarea').value = '';
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue ? dialog.querySelector('textarea').value : null), { once: true });
  });
}

async function handle(button) {
  const row = button.closest('tr');
  const { outcome } = button.dataset;
  const said = await opinion(outcome, row.querySelector('.title a').textContent);
  if (said === null) return;
  const asked = new URL(feed, location.href).searchParams;
  const buttons = row.querySelectorAll('button');
  buttons.forEach((one) => { one.disabled = true; });
  const body = JSON.stringify({ oa: asked.get('oa'), as: asked.get('as'), id: row.dataset.key, outcome, opinion: said });
  let refused = '连不上这个沙箱；恢复后这条还在待办里，就再点一次';
  try {
    const answer = await fetch('/desk/handle', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
    refused = answer.ok ? '' : await answer.text();
  } catch { /* nothing came back: what is refused says so */ }
  if (refused) { toast(refused); buttons.forEach((one) => { one.disabled = false; }); }
}

document.addEventListener('click', (event) => {
  const brand = document.querySelector('.brand[open]');
  if (brand && !brand.contains(event.target)) brand.open = false;
  const target = event.target.closest?.('.lists [data-list], [data-outcome]');
  if (target?.matches('[data-outcome]')) handle(target);
  else if (target) { history.replaceState(null, '', `#${target.dataset.list}`); choose(target.dataset.list); }
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelectorAll('.brand[open]').forEach((open) => { open.open = false; });
});
addEventListener('hashchange', () => choose(location.hash.slice(1)));

choose(location.hash.slice(1));
follow();
