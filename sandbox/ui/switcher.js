// The way to another person's page: the cast first, then whoever is looked for.
const parse = (html) => Object.assign(document.createElement('template'), { innerHTML: html }).content;

document.querySelectorAll('.switcher').forEach((switcher) => {
  const input = switcher.querySelector('input');
  let turn = 0;
  switcher.addEventListener('toggle', () => { if (switcher.open) input.focus(); });
  input.addEventListener('input', async () => {
    const mine = ++turn;
    const answer = await fetch(`${switcher.dataset.people}?q=${encodeURIComponent(input.value)}&base=${encodeURIComponent(switcher.dataset.base)}`);
    if (mine === turn && answer.ok) switcher.querySelector('[data-found]').replaceChildren(parse(await answer.text()));
  });
  input.addEventListener('keydown', (event) => { if (event.key === 'Enter') switcher.querySelector('[data-found] a')?.click(); });
});

document.addEventListener('click', (event) => {
  document.querySelectorAll('.switcher[open]').forEach((open) => { if (!open.contains(event.target)) open.open = false; });
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelectorAll('.switcher[open]').forEach((open) => { open.open = false; });
});
