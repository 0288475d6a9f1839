// A planner and a reliability engineer who have to trust their alarms: a rule is written, raises a
// case, people take it, shelve it, hand it on; its order is planned and closed with what was found;
// savings and scoreboard follow. The stories build on each other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { holds, LOOKS, screenshot, settled, stage, visit } from './browser.mjs';
import { freePort, Program, until } from './program.mjs';
import { pump } from './pump.mjs';

const LEARNING_ROWS = 400;
const START = Date.parse('2026-03-02T06:00:00Z');
const HOT_FROM = 700;
const PLANNER = 'Anna de Vries';

/** People, who is on call, and a webhook to a port on which nobody listens yet. */
const people = (webhook) => `
[[notify.channel]]
id = "hook"
kind = "webhook"
url = "http://127.0.0.1:${webhook}/bellwether"
secret = "a secret of these tests, long enough"
allow_private = true

[[notify.person]]
id = "wang-li"
name = "王丽"
roles = ["planner"]
channel = "hook"

[[notify.person]]
id = "mia-chen"
name = "Mia Chen"
roles = ["regional_manager"]
channel = "hook"

[[notify.rota]]
id = "plant"
time_zone = "Europe/Amsterdam"
first_turn = "2026-01-05T08:00"
members = ["wang-li", "mia-chen"]
`;

/** A rule that a hot bearing crosses; `at` is the level. */
const rules = (at) => `# Written by people who know these pumps.
[[rule]]
id = "bearing-too-hot"
name_en = "Bearing too hot"
name_zh = "轴承过热"
asset_models = ["centrifugal-pump"]
failure_mode = "lubrication"
severity = "critical"
kind = "threshold"
signal = "bearing_temperature_c"
above = ${at}
off = 68
on_delay_s = 60
off_delay_s = 600
`;

let program;
let webhook;
const { story, connect } = stage(async () => {
  webhook = await freePort();
  return (program = await Program.start({ learningRows: LEARNING_ROWS, config: people(webhook) }));
});

/** Cases of pumps 1 to 3, by asset. */
const ruleCases = async () => {
  const { items } = await program.get('/cases?status=all');
  return new Map(items.filter((item) => item.source.kind === 'rule').map((item) => [item.asset, item]));
};

/** A pump that learns what is normal, then runs hot. */
async function hot(id, seed) {
  await program.post('/devices', { device: id, asset: id, model: 'centrifugal-pump' });
  await program.replay(id, pump({ from: 0, to: 1_100, start: START, seed, wear: (row) => (row < HOT_FROM ? 0 : Math.min(40, (row - HOT_FROM) / 5)) }));
  await connect(id);
}

story('a rule is written, told by line what is wrong with it, and kept as a version with a reason', { by: PLANNER, refusals: [422] }, async (page) => {
  await visit(page, `${program.url}/rules`);
  await page.locator('main').getByRole('link', { name: 'Edit rules' }).first().click();
  await page.waitForURL(/rules-text/);
  await settled(page);
  const editor = page.getByRole('textbox', { name: 'Edit rules' });
  const before = await editor.inputValue();
  await editor.fill(`${before}\n${rules(72).replace('kind = "threshold"', 'kind = "treshold"')}`);
  await page.locator('[data-action="validate"]').click();
  const fault = page.locator('[data-fault-line]').first();
  await fault.waitFor();
  const wrong = (await editor.inputValue()).split('\n').findIndex((line) => line.includes('treshold')) + 1;
  assert.equal(await fault.getAttribute('data-fault-line'), String(wrong));
  await screenshot(page, 'rules-fault');
  // Picking the fault goes to its line.
  await fault.click();
  assert.equal(await editor.evaluate((field) => field.value.slice(0, field.selectionStart).split('\n').length), wrong);

  await editor.fill(`${before}\n${rules(72)}`);
  await page.locator('[data-action="validate"]').click();
  await page.locator('[data-checked]').waitFor();
  await page.getByLabel('Why (kept with the version)').fill('Grease ages above 72 °C.');
  await page.locator('[data-submit="rules"]').click();
  await page.getByRole('status').getByText(/Version \d+ is in force/).waitFor();
  await page.locator('[data-versions]').getByText('Grease ages above 72 °C.').waitFor();
  await visit(page, `${program.url}/rules`);
  await page.locator('[data-rule="bearing-too-hot"]').getByText(/bearing temperature/i).waitFor();
});

story('what the rule finds is a case that says why, with its verdict, beside the others', { by: PLANNER }, async (page) => {
  for (const [index, id] of ['pump-1', 'pump-2', 'pump-3'].entries()) await hot(id, index + 1);
  await until('the rule has raised three cases', async () => (await ruleCases()).size === 3);
  await visit(page, `${program.url}/cases`);
  const row = page.locator('[data-row]', { hasText: /pump-1.*[Ll]ubrication/s });
  await row.locator('[data-verdict="machine"]').waitFor();
  await row.getByRole('link').first().click();
  await page.locator('[data-source="rule"]').getByText(/Bearing too hot, version 1/).waitFor();
  await page.locator('[data-verdict="machine"]').first().waitFor();
  // What the rule looked at is shown over time.
  await page.locator('[data-signal="bearing_temperature_c"] canvas').waitFor();
  await screenshot(page, 'case-of-rule');
});

story('a case is shelved by keyboard, stays in sight with its reason, and comes off the shelf', { by: PLANNER }, async (page) => {
  const { id } = (await ruleCases()).get('pump-3');
  await visit(page, `${program.url}/cases`);
  const row = page.locator(`[data-case="${id}"]`);
  await row.getByRole('link').first().focus();
  await page.keyboard.press('x');
  await page.locator('[data-action="shelve-all"]').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('comes back by itself').waitFor();
  await dialog.getByLabel('Why').fill('Bearing is on order');
  await dialog.locator('[data-submit="shelve"]').click();
  await row.waitFor({ state: 'detached' });
  await page.locator('[data-view="suppressed"]').click();
  await row.locator('[data-suppressed="shelved"]').waitFor();
  await row.getByRole('link').first().click();
  await page.locator('[data-held]').getByText(/shelved, until/).waitFor();
  assert.equal((await program.get(`/cases/${id}`)).suppressed.by, PLANNER);
  await page.locator('[data-action="unshelve"]').click();
  await page.locator('[data-held]').waitFor({ state: 'detached' });
});

story('a case is assigned, discussed and handed over, and its timeline tells who and why', { by: PLANNER }, async (page) => {
  const { id } = (await ruleCases()).get('pump-2');
  await visit(page, `${program.url}/cases/${id}`);
  await page.locator('[data-action="assign"]').click();
  await page.getByRole('dialog').getByLabel('Person').selectOption('wang-li');
  await page.locator('[data-submit="person"]').click();
  await page.locator('[data-assignee]', { hasText: '王丽' }).waitFor();
  // Nobody can write behind a dialog.
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.locator('[data-comment] textarea').fill('Grease <b>smells</b> burnt.');
  await page.locator('[data-comment] button').click();
  const timeline = page.getByRole('region', { name: 'Timeline' });
  // What people write is text, never markup.
  await timeline.getByText('Grease <b>smells</b> burnt.').waitFor();
  await page.locator('[data-action="hand-over"]').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Person').selectOption('mia-chen');
  await dialog.getByLabel('Note (optional)').fill('Look at the drive end first.');
  await page.locator('[data-submit="person"]').click();
  await page.locator('[data-assignee]', { hasText: 'Mia Chen' }).waitFor();
  await timeline.getByText(/Look at the drive end first\./).waitFor();
  await screenshot(page, 'case-people');
});

story('many cases are acknowledged at once, under one name', { by: PLANNER }, async (page) => {
  await visit(page, `${program.url}/cases`);
  await page.locator('[data-choose-all]').check();
  const chosen = await page.locator('[data-case]:has([data-choose]:checked)').evaluateAll((rows) => rows.map((row) => row.dataset.case));
  assert.ok(chosen.length >= 3, chosen.join(' '));
  await page.locator('[data-action="acknowledge-all"]').click();
  await page.getByRole('status').getByText(/cases? acknowledged/).waitFor();
  // What was chosen, and under her name; a case that opens meanwhile stays open.
  await until('each is acknowledged by her', async () => {
    const cases = await Promise.all(chosen.map((id) => program.get(`/cases/${id}`)));
    return cases.every((item) => item.status !== 'open' && item.events.some((event) => event.kind === 'acknowledged' && event.by === PLANNER));
  });
});

story('a silence holds back what is planned for, until it is ended', { by: PLANNER }, async (page) => {
  await visit(page, `${program.url}/silences`);
  await page.locator('main .notice', { hasText: 'Nothing is silent' }).waitFor();
  const form = page.locator('[data-silence-form]');
  await form.locator('[name="asset"]').selectOption('pump-2');
  await form.locator('[name="note"]').fill('Bearing change on Thursday');
  await form.locator('[data-submit="silence"]').click();
  await page.locator('[data-silence]').getByText('Bearing change on Thursday').waitFor();
  await screenshot(page, 'silences');
  const { id } = (await ruleCases()).get('pump-2');
  await until('the case is silenced', async () => (await program.get(`/cases/${id}`)).suppressed?.reason === 'silenced');
  await page.locator('[data-action="end-silence"]').click();
  await page.locator('main .notice', { hasText: 'Nothing is silent' }).waitFor();
});

story('an order has its plan and its date in words, and is closed with what it really was', { by: PLANNER }, async (page) => {
  const order = await until('pump-1 has an order', async () => (await program.get('/work-orders?asset=pump-1')).items.find((item) => item.status === 'proposed'));
  await visit(page, `${program.url}/work-orders/${order.id}`);
  await page.locator('[data-plan]').getByText(/Takes/).waitFor();
  assert.ok((await page.locator('[data-cost-curve] [data-words]').innerText()).length > 20);
  await screenshot(page, 'order-planned');
  await page.locator('[data-action="approve"]').click();
  await page.locator('[data-action="schedule"]').click();
  await page.getByLabel('Name of the engineer').fill('Li Wei');
  await page.locator('[data-submit="schedule"]').click();
  await page.locator('[data-action="start"]').waitFor();
  await visit(page, `${program.url}/work-orders?view=calendar`);
  await page.locator(`[data-calendar] [data-order="${order.id}"]`).waitFor();
  await page.locator('[data-calendar]').getByText('Li Wei').first().waitFor();
  await page.locator(`[data-order="${order.id}"]`).click();
  await page.locator('[data-action="start"]').click();
  await page.locator('[data-action="complete"]').click();
  await page.getByLabel('Other fault found').check();
  await page.getByLabel('What it really was').selectOption('cavitation');
  await page.getByLabel('Part (optional)').fill('Impeller 4711');
  await page.locator('[data-submit="complete"]').click();
  await page.locator('[data-part]', { hasText: 'Impeller 4711' }).waitFor();
  const closed = await program.get(`/work-orders/${order.id}`);
  assert.deepEqual([closed.outcome, closed.found_mode, closed.part], ['other_fault_found', 'cavitation', 'Impeller 4711']);
});

story('savings open to the cases they are made of, and the scoreboard counts the outcome', {}, async (page) => {
  await visit(page, `${program.url}/savings`);
  const figure = page.locator('[data-savings] [data-kind]').first();
  await figure.click();
  await page.locator('[data-entries]').getByRole('link', { name: /^WO-/ }).first().waitFor();
  await page.waitForURL(/kind=/);
  await screenshot(page, 'savings-entries');
  await visit(page, `${program.url}/scoreboard`);
  await page.locator('[data-score]').first().waitFor();
  await page.locator('[data-alarm-rates]').waitFor();
  // Nothing has run for long enough to have drifted, and it says so.
  await page.locator('[data-drifts]').getByText(/takes some days of readings/).waitFor();
  await screenshot(page, 'scoreboard');
});

story('who is on call is seen, somebody steps in, and a stuck message is sent again', { by: PLANNER }, async (page) => {
  await visit(page, `${program.url}/on-call`);
  const rota = page.locator('[data-rota="plant"]');
  await rota.locator('[data-on-call]').waitFor();
  const on = await rota.locator('[data-on-call]').innerText();
  await rota.locator('[data-action="override"]').click();
  const dialog = page.getByRole('dialog');
  const other = on === '王丽' ? 'Mia Chen' : '王丽';
  await dialog.getByLabel('Person').selectOption({ label: other });
  await dialog.getByRole('button', { name: 'Save' }).click();
  await rota.locator('[data-on-call]', { hasText: other }).waitFor();
  await rota.locator('[data-override]').getByRole('button', { name: /^End that/ }).click();
  await rota.locator('[data-on-call]', { hasText: on }).waitFor();

  await until('a message is stuck', async () => (await program.get('/notifications?state=stuck')).items[0]);
  await page.locator('[data-outbox] [data-state="stuck"]').click();
  await page.locator('[data-message="stuck"] [data-error]').first().waitFor();
  await screenshot(page, 'outbox-stuck');
  const received = [];
  const server = createServer((request, response) => {
    received.push(request.headers);
    response.end();
  }).listen(webhook, '127.0.0.1');
  await once(server, 'listening');
  try {
    await page.locator('[data-message="stuck"] [data-action="retry"]').first().click();
    await until('it has arrived', () => received.length > 0);
    await until('it is sent', async () => (await program.get('/notifications?state=sent')).items.length > 0);
  } finally {
    server.close();
  }
});

story('rules are tried on the past and stand beside those in force', { by: PLANNER }, async (page) => {
  await visit(page, `${program.url}/rules-text`);
  const editor = page.getByRole('textbox', { name: 'Edit rules' });
  await editor.fill((await editor.inputValue()).replace('above = 72', 'above = 95'));
  await page.locator('[data-action="to-backtest"]').click();
  const form = page.locator('[data-backtest-form]');
  await form.getByLabel('From (UTC)').fill('2026-03-02');
  await form.getByLabel('To (UTC)').fill('2026-03-04');
  assert.ok(await form.getByLabel('The rules as changed in the editor').isChecked());
  await form.locator('[data-submit="backtest"]').click();
  await page.locator('main [data-state="done"]').waitFor({ timeout: 90_000 });
  await page.locator('[data-sides]').getByRole('row', { name: /^Cases/ }).waitFor();
  await screenshot(page, 'backtest');
});

for (const [theme, width, lang] of LOOKS) {
  story(`the pages of alarms hold in ${theme}, ${width} px, ${lang}`, { theme, width, height: width < 700 ? 844 : 900 }, async (page) => {
    const { id } = (await ruleCases()).get('pump-2');
    const { items: orders } = await program.get('/work-orders');
    const { items: runs } = await program.get('/backtests');
    const pages = {
      inbox: '/cases', 'case-rule': `/cases/${id}`, silences: '/silences', 'order-plan': `/work-orders/${orders[0].id}`, calendar: '/work-orders?view=calendar', rules: '/rules',
      rule: '/rules/bearing-too-hot', 'rules-text': '/rules-text', backtests: '/backtests', backtest: `/backtests/${runs[0].id}`, scoreboard: '/scoreboard', savings: '/savings',
      'on-call': '/on-call', more: '/more',
    };
    for (const [name, path] of Object.entries(pages)) {
      const url = new URL(path, program.url);
      url.searchParams.set('lang', lang);
      await visit(page, url.href);
      await holds(page, name);
      await screenshot(page, `${name}-${width}-${lang}-${theme}`);
    }
  });
}
