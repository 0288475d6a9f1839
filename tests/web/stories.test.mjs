// One plant, seen by planner, reliability engineer and service engineer. The stories build on
// each other: the case of one is the order of the next.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { axe, launch, openPage, screenshot, settled, visit } from './browser.mjs';
import { Device } from './mqtt.mjs';
import { Program, until } from './program.mjs';
import { pump } from './pump.mjs';

const LEARNING_ROWS = 400;
const START = Date.parse('2026-03-02T06:00:00Z');
const WEAR_FROM = 700;

let program;
let browser;
/** Connections that stay open, so that their assets are not shown as offline. */
const online = [];

before(async () => {
  program = await Program.start({ learningRows: LEARNING_ROWS });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await Promise.all(online.map((device) => device.close()));
  if (program) assert.equal(await program.stop(), 0, program.output);
});

/** Runs a story on a fresh page; whatever the console says against it fails it. */
function story(name, options, tell) {
  test(name, async () => {
    const opened = await openPage(browser, program.url, options);
    try {
      await tell(opened.page);
      assert.deepEqual(opened.complaints, []);
    } catch (error) {
      await screenshot(opened.page, `failed-${name.replaceAll(' ', '-')}`);
      throw error;
    } finally {
      await opened.close();
    }
  });
}

const asset = () => program.get('/assets/pump-1');

story('an empty plant says what to do first', {}, async (page) => {
  await visit(page, `${program.url}/`);
  await page.getByText('No assets yet').waitFor();
  await page.getByText('mosquitto_pub').waitFor();
  await screenshot(page, 'empty-fleet');
});

story('a pump appears by itself, learns, and is described by a person', {}, async (page) => {
  await visit(page, `${program.url}/`);
  const fan = await Device.connect(program.mqtt, 'fan-2');
  online.push(fan);
  for (const { time, ...values } of pump({ from: 0, to: 60, start: START, seed: 2 })) {
    const numbers = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
    await fan.publish('telemetry/fan-2', JSON.stringify({ ts: time, ...numbers }));
  }
  // Nothing is reloaded: the stream brings it.
  await page.locator('[data-asset="fan-2"]').waitFor();
  await page.locator('[data-asset="fan-2"]').getByText('Learning').waitFor();
  await program.replay('pump-1', pump({ from: 0, to: WEAR_FROM, start: START }));
  await page.locator('[data-asset="pump-1"]').getByText('Offline').waitFor();
  online.push(await Device.connect(program.mqtt, 'pump-1'));
  await until('pump-1 is healthy', async () => (await asset()).state === 'healthy');

  await page.locator('[data-asset="pump-1"]').click();
  await settled(page);
  await page.getByText('Behaves as learned.').waitFor();
  await page.getByRole('button', { name: 'Edit asset' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Pump 1');
  await page.getByLabel('Model').selectOption('centrifugal-pump');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'Pump 1' }).waitFor();
  await page.getByRole('heading', { name: 'Bearing temperature' }).first().waitFor();
  assert.equal((await asset()).model, 'centrifugal-pump');
});

story('a wearing bearing becomes a case on the first page', {}, async (page) => {
  await visit(page, `${program.url}/`);
  await program.replay('pump-1', pump({ from: WEAR_FROM, to: 1500, start: START, wear: (row) => (row - WEAR_FROM) / 100 }));
  online.push(await Device.connect(program.mqtt, 'pump-1'));
  await page.locator('main').getByRole('link', { name: /Pump 1.*Bearing wear/ }).waitFor();
  await until('an order is proposed', async () => (await program.get('/work-orders')).items[0]);
  await page.locator('[data-asset="pump-1"]').getByText(/(Critical|Warning): Bearing wear/).waitFor();
  await screenshot(page, 'fleet-with-case');
});

story('the asset page answers, then shows its evidence', {}, async (page) => {
  await visit(page, `${program.url}/assets/pump-1`);
  await page.locator('[data-sentence]', { hasText: 'Bearing wear likely' }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('main .uplot canvas').length >= 6);
  await page.getByRole('heading', { name: 'What tells' }).waitFor();
  assert.match(await page.locator('[data-signal="bearing_temperature_c"]').innerText(), /°C/);
  // Zooming is in the address, and Back leads out again.
  const chart = page.locator('[data-signal="bearing_temperature_c"] .u-over');
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=2026-03-02/);
  await page.getByRole('button', { name: 'Back to following' }).waitFor();
  await page.goBack();
  await page.waitForURL((url) => !url.search.includes('from='));
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export Bearing temperature as CSV' }).click();
  assert.match((await download).suggestedFilename(), /pump-1-bearing_temperature_c\.csv/);
});

story('messages that cannot be read are listed with reason and first bytes', {}, async (page) => {
  await visit(page, `${program.url}/devices`);
  await page.getByText('Every message so far could be read.').waitFor();
  const gateway = await Device.connect(program.mqtt, 'gateway-9');
  online.push(gateway);
  await gateway.publish('telemetry/gateway-9', '{"bearing_temperature_c": 61,,}');
  await gateway.publish('telemetry/gateway-9', '{"bearing_temperature_c": "hot"}');
  await page.getByText('{"bearing_temperature_c": 61,,}').waitFor();
  await page.getByText('{"bearing_temperature_c": "hot"}').waitFor();
  await page.getByRole('button', { name: /Malformed payload/ }).click();
  await page.waitForURL(/reason=malformed_payload/);
  await page.getByText('{"bearing_temperature_c": "hot"}').waitFor({ state: 'detached' });
});

/** Every page, in every language, theme and width: accessible, no sideways scrolling, no complaint. */
for (const [theme, width, lang] of [
  ['light', 1440, 'en'],
  ['dark', 1440, 'zh-CN'],
  ['dark', 390, 'en'],
  ['light', 390, 'zh-CN'],
]) {
  story(`every page holds in ${theme}, ${width} px, ${lang}`, { theme, width, height: width < 700 ? 844 : 900 }, async (page) => {
    const { items: cases } = await program.get('/cases');
    const { items: orders } = await program.get('/work-orders');
    const pages = {
      fleet: '/',
      asset: '/assets/pump-1',
      learning: '/assets/fan-2',
      cases: '/cases?status=all',
      case: `/cases/${cases[0].id}`,
      orders: '/work-orders',
      order: `/work-orders/${orders[0].id}`,
      devices: '/devices',
      status: '/status',
    };
    for (const [name, path] of Object.entries(pages)) {
      const url = new URL(path, program.url);
      url.searchParams.set('lang', lang);
      await visit(page, url.href);
      assert.deepEqual(await axe(page), [], `axe on ${name}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `${name} scrolls sideways by ${overflow} px`);
      await screenshot(page, `${name}-${width}-${lang}-${theme}`);
    }
  });
}

story('a case is found and acknowledged by keyboard, signed with a name', {}, async (page) => {
  await visit(page, `${program.url}/cases`);
  await page.locator('main [data-row]').first().waitFor();
  await page.keyboard.press('j');
  await page.waitForFunction(() => document.activeElement?.closest('[data-row]') !== null);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/cases\/.+/);
  await settled(page);
  await page.locator('[data-sentence]', { hasText: /healthy spreads above normal/ }).waitFor();
  await page.getByText('Frozen when the case opened').waitFor();
  await page.getByText('learned from 400 rows').waitFor();
  await page.keyboard.press('a');
  await page.getByLabel('Your name').fill('Anna de Vries');
  await page.keyboard.press('Enter');
  await page.getByText('by Anna de Vries').waitFor();
  const { items } = await program.get('/cases');
  assert.equal(items.filter((item) => item.asset === 'pump-1')[0].status, 'acknowledged');
  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement?.matches('[data-search]'));
});

story('an order is approved, scheduled, started and completed with one thumb', { width: 390, height: 844, by: 'Li Wei' }, async (page) => {
  await visit(page, `${program.url}/work-orders`);
  await page.locator('[data-order]', { hasText: 'Pump 1' }).tap();
  await settled(page);
  await page.locator('[data-action="approve"]').tap();
  await page.locator('[data-action="schedule"]').tap();
  await page.getByLabel('Name of the engineer').fill('Li Wei');
  await page.locator('[data-submit="schedule"]').tap();
  await page.locator('[data-action="start"]').tap();
  await page.locator('[data-action="complete"]').tap();
  await page.getByLabel('Fault confirmed').check();
  await page.getByLabel('Note (optional)').fill('Drive-end bearing replaced.');
  await screenshot(page, 'order-complete-form-390');
  await page.locator('[data-submit="complete"]').tap();
  // The note stands twice, with the outcome and in the log; the outcome's is the one a planner reads.
  await page.getByRole('definition').filter({ hasText: 'Drive-end bearing replaced.' }).waitFor();
  const order = (await program.get('/work-orders')).items.find((found) => found.asset === 'pump-1');
  assert.equal(order.status, 'completed');
  assert.equal(order.outcome, 'confirmed');
  const { log } = await program.get(`/work-orders/${order.id}`);
  assert.deepEqual(log.map((entry) => entry.to), ['proposed', 'approved', 'scheduled', 'in_progress', 'completed']);
  assert.ok(log.slice(1).every((entry) => entry.by === 'Li Wei'));
});

story('an address that leads nowhere says so', {}, async (page) => {
  await visit(page, `${program.url}/nowhere/at/all`);
  await page.getByText('There is no such page').waitFor();
});

story('the language is in the address and is remembered', {}, async (page) => {
  await visit(page, `${program.url}/?lang=zh-CN`);
  await page.getByRole('heading', { name: '设备总览' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('heading', { name: 'Fleet' }).waitFor();
  await page.getByRole('button', { name: '中文' }).click();
  await visit(page, `${program.url}/cases`);
  await page.getByRole('heading', { name: '案例' }).waitFor();
});
