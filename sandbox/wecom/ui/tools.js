// The test bench: opens it, sends what a tester asks for, and keeps its lists up to date while it is open.
const bench = document.getElementById('tools');
const parse = (html) => Object.assign(document.createElement('template'), { innerHTML: html }).content;
const fresh = async () => parse(await (await fetch('/phone/tools')).text());

async function refresh() {
  if (!bench.open) return;
  const now = await fresh();
  const opened = [...bench.querySelectorAll('[data-event][open]')].map((event) => event.dataset.event);
  now.querySelectorAll('[data-event]').forEach((event) => { event.open = opened.includes(event.dataset.event); });
  bench.querySelectorAll('[data-live]').forEach((place) => {
    const next = now.querySelector(`[data-live="${place.dataset.live}"]`);
    if (next && next.innerHTML !== place.innerHTML) place.replaceWith(next);
  });
  bench.querySelector('[data-clock]')?.replaceWith(now.querySelector('[data-clock]'));
}

async function send(what) {
  const answer = await fetch(`/phone/tools/${what}`, { method: 'POST' });
  if (!answer.ok) alert(await answer.text());
  await refresh();
}

document.querySelector('[data-open-tools]').addEventListener('click', async () => {
  bench.replaceChildren(await fresh());
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
