// The test bench: opens it, sends what a tester asks for, and keeps its lists up to date while it is open.
const bench = document.getElementById('tools');
const parse = (html) => Object.assign(document.createElement('template'), { innerHTML: html }).content;
const fresh = async () => parse(await (await fetch('/phone/tools')).text());

const told = new Map(); // what each list was drawn from
const plain = (page, place) => page.querySelector(`[data-live="${place.dataset.live}"]`).innerHTML;

async function refresh() {
  if (!bench.open) return;
  const now = await fresh();
  const opened = [...bench.querySelectorAll('[data-event][open]')].map((event) => event.dataset.event);
  const html = now.cloneNode(true);
  now.querySelectorAll('[data-event]').forEach((event) => { event.open = opened.includes(event.dataset.event); });
  bench.querySelectorAll('[data-live]').forEach((place) => {
    const next = now.querySelector(`[data-live="${place.dataset.live}"]`);
    if (next && told.get(place.dataset.live) !== plain(html, place)) { told.set(place.dataset.live, plain(html, place)); place.replaceWith(next); }
  });
  bench.querySelector('[data-clock]')?.replaceWith(now.querySelector('[data-clock]'));
}

async function send(what) {
  const answer = await fetch(`/phone/tools/${what}`, { method: 'POST' });
  bench.querySelector('[role=status]').textContent = await answer.text();
  await refresh();
}

document.querySelector('[data-open-tools]').addEventListener('click', async () => {
  bench.replaceChildren(await fresh());
  told.clear();
  bench.showModal();
});
bench.addEventListener('click', (event) => {
  const tool = event.target.closest('[data-tool]');
  if (tool) send(tool.dataset.tool);
  if (event.target === bench) bench.close();
});
bench.addEventListener('submit', (event) => {
  if (!event.target.matches('[data-tool-form]')) return;
  event.preventDefault();
  send(`${event.target.dataset.toolForm}?${new URLSearchParams(new FormData(event.target))}`);
});
bench.addEventListener('change', (event) => {
  if (event.target.name === 'kind') bench.querySelector('[data-for="slow"]').hidden = event.target.value !== 'slow';
});
setInterval(() => { refresh().catch(() => {}); }, 1000);
