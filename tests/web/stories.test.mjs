// One plant, seen by planner, reliability engineer and service engineer. The stories build on
// each other: the case of one is the order of the next.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { holds, LOOKS, screenshot, settled, stage, visit } from './browser.mjs';
import { Program, until } from './program.mjs';
import { pump } from './pump.mjs';

const LEARNING_ROWS = 400;
const START = Date.parse('2026-03-02T06:00:00Z');
const WEAR_FROM = 700;

let program;
const { story, connect } = stage(async () => (program = await Program.start({ learningRows: LEARNING_ROWS })));

const asset = () => program.get('/assets/pump-1');

story('an empty plant says what to do first', {}, async (page) => {
  await visit(page, `${program.url}/`);
  await page.locator('main .notice', { hasText: 'No assets yet' }).waitFor();
  await page.locator('main code', { hasText: 'mosquitto_pub' }).first().waitFor();
  await screenshot(page, 'empty-fleet');
});

story('a pump appears by itself, learns, and is described by a person', {}, async (page) => {
  await visit(page, `${program.url}/`);
  const fan = await connect('fan-2');
  for (const { time, ...values } of pump({ from: 0, to: 60, start: START, seed: 2 })) {
    const numbers = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]));
    await fan.publish('telemetry/fan-2', JSON.stringify({ ts: time, ...numbers }));
  }
  // Nothing is reloaded: the stream brings it.
  await page.locator('[data-asset="fan-2"]').waitFor();
  await page.locator('[data-asset="fan-2"]').getByText('Learning').waitFor();
  await program.replay('pump-1', pump({ from: 0, to: WEAR_FROM, start: START }));
  await page.locator('[data-asset="pump-1"]').getByText('Offline').waitFor();
  await connect('pump-1');
  await until('pump-1 is healthy', async () => (await asset()).state === 'healthy');

  await page.locator('[data-asset="pump-1"]').click();
  await settled(page);
  await page.locator('[data-sentence]', { hasText: 'Behaves as learned.' }).waitFor();
  await page.getByRole('button', { name: 'Edit asset' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Pump 1');
  await page.getByLabel('Model').selectOption('centrifugal-pump');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { level: 1, name: 'Pump 1', exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Bearing temperature' }).first().waitFor();
  assert.equal((await asset()).model, 'centrifugal-pump');
});

story('a wearing bearing becomes a case on the first page', {}, async (page) => {
  await visit(page, `${program.url}/`);
  await program.replay('pump-1', pump({ from: WEAR_FROM, to: 1500, start: START, wear: (row) => (row - WEAR_FROM) / 100 }));
  await connect('pump-1');
  // Its cell in the map names the mode too; the link to the case is the one meant.
  await page.locator('main a[href*="/cases/"]', { hasText: /Pump 1.*Bearing wear/ }).waitFor();
  await until('an order is proposed', async () => (await program.get('/work-orders')).items[0]);
  await page.locator('[data-asset="pump-1"]').getByText(/(Critical|Warning): Bearing wear/).waitFor();
  await screenshot(page, 'fleet-with-case');
});

story('the asset page answers, then shows its evidence', {}, async (page) => {
  await visit(page, `${program.url}/assets/pump-1`);
  await page.locator('[data-sentence]', { hasText: 'Bearing wear likely' }).waitFor();
  // Score, lanes, and the first signals: the others are drawn when they come into sight.
  await page.waitForFunction(() => document.querySelectorAll('main .uplot canvas').length >= 3);
  await page.getByRole('heading', { name: 'What tells' }).waitFor();
  assert.match(await page.locator('[data-signal="bearing_temperature_c"]').innerText(), /°C/);
  // Zooming is in the address, and Back leads out again.
  await page.locator('[data-signal="bearing_temperature_c"]').scrollIntoViewIfNeeded();
  const chart = page.locator('[data-signal="bearing_temperature_c"] .u-over');
  await chart.waitFor();
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

story('the asset page shows over time what carried the deviation, as charts and as a table', { height: 1_600 }, async (page) => {
  await visit(page, `${program.url}/assets/pump-1`);
  const reasons = page.locator('[data-reasons]');
  // The signals that went furthest stand first, with their distance in healthy spreads.
  await reasons.locator('[data-lane="acceleration_g"]', { hasText: /\+\d/ }).waitFor();
  const lanes = await reasons.locator('[data-lane]').evaluateAll((found) => found.map((lane) => lane.dataset.lane));
  assert.ok(lanes.indexOf('acceleration_g') < lanes.indexOf('flow_l_min'), lanes.join(' '));
  await reasons.getByText(/of limit 1\.00/).waitFor();
  // Pointing at one chart tells the moment on all of them.
  const box = await reasons.locator('.u-over').first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.8, box.y + 40);
  await page.locator('[data-signal="acceleration_g"] .told', { hasText: /spreads · 2 Mar 2026/ }).waitFor();
  await reasons.locator('[data-as-table]').click();
  const table = reasons.getByRole('region', { name: 'Score and deviations over time' });
  await table.getByRole('columnheader', { name: 'Vibration acceleration' }).waitFor();
  const rows = await table.getByRole('row').count();
  assert.ok(rows > 5 && rows <= 26, `${rows} rows`);
  assert.match(await table.getByRole('row').last().innerText(), /2 Mar 2026.*\+\d/s);
  await screenshot(page, 'reasons-table');
  await reasons.locator('[data-as-table]').click();
  await reasons.locator('canvas').first().waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export Bearing temperature as CSV' }).click();
  const lines = (await readFile(await (await download).path(), 'utf8')).trim().split('\r\n');
  assert.match(lines[0], /normal_low \(°C\),normal_high \(°C\)$/);
  // The band holds from when it was learned to the end.
  const [low, high] = lines.at(-1).split(',').slice(-2).map(Number);
  assert.ok(low < 58 && 58 < high, lines.at(-1));
});

story('a sensor that sticks is told as a sensor, not as a machine, on the page of its asset', {}, async (page) => {
  const STUCK_FROM = 700;
  const stuck = (row) => row >= STUCK_FROM;
  await program.replay('pump-9', pump({ from: 0, to: 1_000, start: START, seed: 9, stuck }));
  await connect('pump-9');
  await until('the sensor is in doubt', async () => (await program.get('/assets/pump-9')).sensors.some((sensor) => sensor.signal === 'discharge_pressure_bar'));
  await visit(page, `${program.url}/assets/pump-9`);
  await page.getByRole('link', { name: '1 sensor in doubt' }).waitFor();
  const entry = page.locator('[data-sensor="discharge_pressure_bar"]');
  await entry.getByText('Stuck').waitFor();
  await entry.getByText(/\d+% sure/).waitFor();
  await page.getByText('These signals take no part in the verdict').waitFor();
  await page.locator('[data-signal="discharge_pressure_bar"]').getByText('Sensor: Stuck').waitFor();
  // The machine is judged by the others, and is well.
  await page.locator('[data-sentence]', { hasText: 'Behaves as learned.' }).waitFor();
  assert.deepEqual((await program.get('/cases?asset=pump-9')).items.filter((one) => one.failure_mode !== 'sensor-fault'), []);
  await page.goto(`${program.url}/assets/pump-9?lang=zh-CN`);
  await page.locator('[data-sensor="discharge_pressure_bar"]').getByText('卡滞').waitFor();
  await screenshot(page, 'sensor-stuck-zh-CN');
});

story('what an asset does is accepted as its new normal, after being told what that means', { by: 'Anna de Vries' }, async (page) => {
  const worn = (row) => (row < WEAR_FROM ? 0 : 6);
  await program.replay('pump-7', pump({ from: 0, to: 1_100, start: START, seed: 7, wear: worn }));
  await connect('pump-7');
  await until('pump-7 is judged', async () => (await program.get('/assets/pump-7')).condition.state === 'alarm');
  await visit(page, `${program.url}/assets/pump-7`);
  await page.locator('[data-explanation]', { hasText: /healthy spreads above its normal/ }).waitFor();
  await page.locator('[data-accept-normal]').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('there is no verdict, no health and no alarm').waitFor();
  await screenshot(page, 'accept-normal');
  await dialog.locator('[data-accept-confirm]').click();
  await page.getByText('pump-7 learns anew what is normal.').waitFor();
  await until('pump-7 learns', async () => (await program.get('/assets/pump-7')).learning !== null);
  await page.locator('[data-sentence]', { hasText: 'Learning what normal is' }).waitFor();
});

story('readings that come in move the numbers, not the page', {}, async (page) => {
  const mover = await connect('mover-3');
  const rows = pump({ from: 0, to: 40, start: START, seed: 3 }).map(({ time, ...values }) => JSON.stringify({ ts: time, ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])) }));
  for (const row of rows.slice(0, 20)) await mover.publish('telemetry/mover-3', row);
  await until('mover-3 is there', async () => (await program.get('/assets/mover-3')).signals.length === 6);
  await visit(page, `${program.url}/assets/mover-3`);
  await page.waitForFunction(() => document.querySelectorAll('main .uplot canvas').length >= 3);
  const first = await page.locator('[data-signal="flow_l_min"] .value').innerText();
  await page.evaluate(() => {
    window.shifts = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifts += entry.value))).observe({ type: 'layout-shift' });
  });
  for (const row of rows.slice(20)) await mover.publish('telemetry/mover-3', row);
  await page.waitForFunction((before) => document.querySelector('[data-signal="flow_l_min"] .value').innerText !== before, first);
  const shifts = await page.evaluate(() => window.shifts);
  // Below a hundredth of the screen nobody sees a page move.
  assert.ok(shifts < 0.01, `the page moved by ${shifts}`);
});

story('a machine with sixty-four signals opens with the charts in sight, and finds the others', {}, async (page) => {
  const many = await connect('press-64');
  for (let row = 0; row < 30; row++) {
    const values = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`zone_${n}_c`, 50 + n + Math.sin(row / 3 + n)]));
    await many.publish('telemetry/press-64', JSON.stringify({ ts: new Date(START + row * 10_000).toISOString(), ...values }));
  }
  await until('all signals are stored', async () => (await program.get('/assets/press-64')).signals.length === 64);
  const asked = new Set();
  page.on('request', (request) => request.url().includes('/readings?') && asked.add(new URL(request.url()).searchParams.get('signal')));
  await visit(page, `${program.url}/assets/press-64`);
  await page.waitForFunction(() => document.querySelectorAll('main .uplot canvas').length >= 3);
  assert.equal(await page.locator('[data-signal]').count(), 64);
  assert.ok(asked.size < 20, `${asked.size} signals were read at once`);
  await page.getByLabel('Find a signal').fill('zone 63');
  await page.locator('[data-signal="zone_63_c"] canvas').waitFor();
  assert.equal(await page.locator('[data-signal]').count(), 1);
});

/** One message in quarantine, by what it is listed for. */
const letter = (page, reason) => page.locator('main [data-letter]', { hasText: reason });

story('messages that cannot be read are held, and shown to the last byte', {}, async (page) => {
  await visit(page, `${program.url}/quarantine`);
  await page.locator('main').getByText('Every message so far could be read.').waitFor();
  const gateway = await connect('gateway-9');
  await gateway.publish('telemetry/gateway-9', '{"bearing_temperature_c": 61,,}');
  await gateway.publish('telemetry/gateway-9', '{"bearing_temperature_c": "hot"}');
  // Nothing is reloaded: the count in the status brings them.
  await letter(page, 'Malformed payload').waitFor();
  await letter(page, 'Invalid value').waitFor();
  await letter(page, 'Malformed payload').getByRole('link').click();
  await page.waitForURL(/letter=\d+/);
  const shown = page.getByRole('region', { name: /^Message \d+$/ });
  await shown.locator('pre', { hasText: '{"bearing_temperature_c": 61,,}' }).waitFor();
  await shown.getByRole('button', { name: 'Bytes', exact: true }).click();
  await shown.locator('pre', { hasText: '00000000  7b 22 62 65' }).waitFor();
  assert.match(await shown.locator('[data-detail]').innerText(), /\S/);
  await page.getByRole('group', { name: 'Filter by reason' }).getByRole('button', { name: /Malformed payload/ }).click();
  await page.waitForURL(/reason=malformed_payload/);
  await letter(page, 'Invalid value').waitFor({ state: 'detached' });
});

story('a message is replayed after the limit that held it was mended', {}, async (page) => {
  const declare = (max) => program.post('/devices', { device: 'press-4', signals: [{ name: 'force_a', limits: { max } }] });
  await declare(100);
  const press = await connect('press-4');
  await press.publish('telemetry/press-4', '{"force_a": 400}');
  await visit(page, `${program.url}/quarantine?device=press-4`);
  const held = letter(page, 'Out of range');
  await held.getByRole('link').click();
  const shown = page.getByRole('region', { name: /^Message \d+$/ });
  await shown.locator('[data-action="replay"]').click();
  const outcome = page.locator('[data-outcome]');
  await outcome.locator('li', { hasText: 'Out of range' }).waitFor();
  await screenshot(page, 'quarantine-still-refused');

  await declare(500);
  await held.getByRole('checkbox').check();
  await page.locator('[data-action="replay-chosen"]').click();
  await outcome.getByText('Replayed: 1. Readings stored: 1.').waitFor();
  await held.waitFor({ state: 'detached' });
  await page.getByRole('group', { name: 'Filter by state' }).getByRole('button', { name: 'Replayed', exact: true }).click();
  await page.waitForURL(/state=replayed/);
  await held.waitFor();
  await until('the reading is stored', async () => (await program.get('/readings/last?device=press-4')).items[0]?.value === 400);
});

story('a device is added, gets a token that is shown once, and loses it', {}, async (page) => {
  await visit(page, `${program.url}/devices`);
  await page.getByRole('button', { name: 'Add a device' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Device id').fill('kiln-7-sensor');
  await dialog.getByLabel('Model').selectOption('centrifugal-pump');
  await dialog.getByRole('button', { name: 'Add a device' }).click();
  const token = await dialog.locator('[data-token] code').innerText();
  assert.match(token, /^bw_[A-Za-z0-9_-]{43}$/);
  await dialog.getByRole('button', { name: 'I have kept it' }).click();
  await page.locator('[data-device="kiln-7-sensor"]').getByText('1 token', { exact: true }).waitFor();
  await page.locator('[data-device="kiln-7-sensor"]').getByRole('link', { name: 'kiln-7-sensor' }).first().click();
  await page.waitForURL(/\/devices\/kiln-7-sensor/);
  await settled(page);
  await page.locator('[data-credential]').getByText('Never used').waitFor();
  await page.getByRole('cell', { name: 'bearing_temperature_c' }).first().waitFor();

  const submit = () => fetch(`${program.url}/api/v1/readings`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{"bearing_temperature_c": 61.5}' });
  assert.equal((await submit()).status, 200);
  await page.getByRole('button', { name: /^Revoke credential/ }).click();
  await page.getByRole('dialog').locator('[data-action="revoke"]').click();
  await page.locator('[data-credential]').getByText('Revoked').waitFor();
  assert.equal((await submit()).status, 401);
  assert.ok(!(await page.content()).includes(token), 'the token is gone from the page');
});

story('a file of devices is tried, mended, applied, and its tokens are kept', {}, async (page) => {
  await visit(page, `${program.url}/onboarding`);
  const text = page.getByLabel('Paste a CSV, or pick a file');
  await text.fill('device,asset,model\nmill-1-sensor,mill-1,centrifugal-pump\nmill 2 sensor,mill-2,submarine\n');
  await page.locator('[data-action="dry-run"]').click();
  const report = page.locator('[data-report]');
  await report.getByRole('heading', { name: '2 errors' }).waitFor();
  const first = report.getByRole('row').nth(1);
  assert.deepEqual((await first.getByRole('cell').allInnerTexts()).slice(0, 4), ['3', '1', 'device', 'mill 2 sensor']);
  assert.ok(await page.locator('[data-action="apply"]').isDisabled());
  await screenshot(page, 'onboarding-errors');

  await text.fill('device,asset,model\nmill-1-sensor,mill-1,centrifugal-pump\nmill-2-sensor,mill-2,\n');
  await page.locator('[data-action="dry-run"]').click();
  await report.getByRole('heading', { name: 'What would happen' }).waitFor();
  await page.locator('[data-action="apply"]').click();
  await report.getByRole('heading', { name: 'Done' }).waitFor();
  const download = page.waitForEvent('download');
  await page.locator('[data-action="save-tokens"]').click();
  const lines = (await readFile(await (await download).path(), 'utf8')).trim().split('\r\n');
  assert.equal(lines.length, 3);
  assert.match(lines[1], /^mill-1-sensor,bw_[A-Za-z0-9_-]{43},\d+$/);
  assert.equal((await program.get('/devices/mill-2-sensor')).tokens, 1);
});

story('a vibration snapshot is drawn with its figures and can be downloaded', {}, async (page) => {
  const rate = 12_800;
  const wave = (count, peak) => Float32Array.from({ length: count }, (_, n) => peak * Math.sin((2 * Math.PI * 50 * n) / rate));
  for (const [minute, peak] of [[0, 1], [1, 2]]) {
    const words = new URLSearchParams({ device: 'pump-1', signal: 'acceleration_g', axis: 'radial', unit: 'g', sample_rate_hz: rate, ts: new Date(START + minute * 60_000).toISOString() });
    assert.equal((await program.post(`/readings?${words}`, new Uint8Array(wave(rate, peak).buffer))).waveforms, 1);
  }
  await until('both are stored', async () => (await program.get('/waveforms?device=pump-1')).items.length === 2);
  await visit(page, `${program.url}/assets/pump-1`);
  const panel = page.locator('[data-waveforms]');
  await panel.locator('.uplot canvas').first().waitFor();
  // A sine of two g has an effective value of √2 g.
  await panel.locator('dd', { hasText: /^1\.41\sg$/ }).waitFor();
  await panel.locator('dd', { hasText: /^12\.8\skHz$/ }).waitFor();
  await panel.locator('[data-waveform]').nth(1).click();
  await page.waitForURL(/waveform=\d+/);
  await panel.locator('dd', { hasText: /^1\.00\sg$/ }).waitFor();
  const download = page.waitForEvent('download');
  await panel.getByRole('link', { name: '32-bit floats' }).click();
  const file = await download;
  assert.match(file.suggestedFilename(), /^pump-1-acceleration_g-radial-.*\.f32$/);
  assert.equal((await readFile(await file.path())).length, 4 * rate);
  await screenshot(page, 'waveform');
});

story('the spectrum of a snapshot shows its line, its velocity and why there is no zone', {}, async (page) => {
  const rate = 12_800;
  const sine = Float32Array.from({ length: rate }, (_, n) => 2 * Math.sin((2 * Math.PI * 50 * n) / rate));
  const words = new URLSearchParams({ device: 'fan-1', signal: 'acceleration_g', axis: 'radial', unit: 'g', sample_rate_hz: rate, ts: new Date(START).toISOString() });
  assert.equal((await program.post(`/readings?${words}`, new Uint8Array(sine.buffer))).waveforms, 1);
  await until('it is stored', async () => (await program.get('/waveforms?device=fan-1')).items.length === 1);
  await until('the asset is there', () => program.get('/assets/fan-1'));
  await visit(page, `${program.url}/assets/fan-1`);
  const panel = page.locator('[data-spectrum]');
  await panel.locator('[data-spectrum-chart] canvas').waitFor();
  // Two g at 50 Hz: 2 · 9.80665 / (2π · 50) / √2 = 44.145 mm/s, and 0.02 % more as the window spreads it.
  await panel.locator('dd', { hasText: /^44\.[12]\smm\/s$/ }).waitFor();
  await panel.getByText('names no machine group').waitFor();
  await panel.locator('[data-kind="envelope"]').click();
  await page.waitForURL(/spectrum=envelope/);
  await panel.getByText(/^.*Envelope of /).waitFor();
  assert.ok(await panel.locator('[data-kind="order"]').isDisabled(), 'orders need a speed');
  await panel.locator('[data-kind="velocity"]').click();
  await panel.locator('dd', { hasText: /^44\.[12]\smm\/s$/ }).waitFor();
  await screenshot(page, 'spectrum');
});

/** Every page, in every language, theme and width: accessible, no sideways scrolling, no complaint. */
for (const [theme, width, lang] of LOOKS) {

  story(`every page holds in ${theme}, ${width} px, ${lang}`, { theme, width, height: width < 700 ? 844 : 900 }, async (page) => {
    const { items: cases } = await program.get('/cases');
    const { items: orders } = await program.get('/work-orders');
    const { items: letters } = await program.get('/dead-letters');
    const pages = {
      fleet: '/',
      asset: '/assets/pump-1',
      learning: '/assets/fan-2',
      cases: '/cases?status=all',
      case: `/cases/${cases[0].id}`,
      suppressed: '/cases?status=suppressed',
      silences: '/silences',
      orders: '/work-orders',
      calendar: '/work-orders?view=calendar',
      order: `/work-orders/${orders[0].id}`,
      devices: '/devices',
      device: '/devices/kiln-7-sensor',
      onboarding: '/onboarding',
      'models-empty': '/prognosis-models',
      history: '/history?table=maintenance',
      quarantine: '/quarantine?state=all',
      letter: `/quarantine?state=all&letter=${letters[0].id}`,
      status: '/status',
      rules: '/rules',
      'rules-text': '/rules-text',
      scoreboard: '/scoreboard',
      savings: '/savings',
      'on-call': '/on-call',
      more: '/more',
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

story('a case is found and acknowledged by keyboard, signed with a name', {}, async (page) => {
  await visit(page, `${program.url}/cases`);
  await page.locator('main [data-row]').first().waitFor();
  await page.keyboard.press('j');
  await page.waitForFunction(() => document.activeElement?.closest('[data-row]') !== null);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/cases\/.+/);
  await settled(page);
  await page.locator('[data-sentence]', { hasText: /healthy spreads above (its )?normal/ }).waitFor();
  await page.getByText('Frozen when the case opened').waitFor();
  await page.getByText('learned from 400 rows', { exact: true }).waitFor();
  await page.keyboard.press('a');
  await page.getByLabel('Your name').fill('Anna de Vries');
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Timeline' }).getByText('by Anna de Vries').first().waitFor();
  const opened = new URL(page.url()).pathname;
  assert.equal((await program.get(opened)).status, 'acknowledged');
  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement?.matches('[data-search]'));
});

story('an order is approved, scheduled, started and completed with one thumb', { width: 390, height: 844, by: 'Li Wei' }, async (page) => {
  await visit(page, `${program.url}/work-orders`);
  await page.locator('[data-order]', { hasText: 'Pump 1' }).first().tap();
  await page.waitForURL(/\/work-orders\/.+/);
  await settled(page);
  const id = new URL(page.url()).pathname.split('/').at(-1);
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
  const { log, ...order } = await program.get(`/work-orders/${id}`);
  assert.equal(order.status, 'completed');
  assert.equal(order.outcome, 'confirmed');
  // While it was proposed its date may have followed the forecast; steps are what a person did.
  const steps = log.filter((entry, at) => entry.to !== log[at - 1]?.to);
  assert.deepEqual(steps.map((entry) => entry.to), ['proposed', 'approved', 'scheduled', 'in_progress', 'completed']);
  assert.ok(steps.slice(1).every((entry) => entry.by === 'Li Wei'));
});

story('an address that leads nowhere says so', {}, async (page) => {
  await visit(page, `${program.url}/nowhere/at/all`);
  await page.locator('main .notice', { hasText: 'There is no such page' }).waitFor();
});

story('the language is in the address and is remembered', {}, async (page) => {
  await visit(page, `${program.url}/?lang=zh-CN`);
  await page.getByRole('heading', { level: 1, name: '设备总览' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('heading', { level: 1, name: 'Fleet', exact: true }).waitFor();
  await page.getByRole('button', { name: '中文' }).click();
  await visit(page, `${program.url}/cases`);
  await page.getByRole('heading', { level: 1, name: '案例' }).waitFor();
});
