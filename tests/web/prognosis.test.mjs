// A reliability engineer gives a plant its past: imports when machines failed, trains a model,
// looks at whether it keeps its word, lets it serve, and sees what it says of a machine that
// wears. The stories build on each other.

import assert from 'node:assert/strict';
import { holds, LOOKS, screenshot, settled, stage, visit } from './browser.mjs';
import { MODEL, past, RUNNING, running } from './grinders.mjs';
import { Program, until } from './program.mjs';

/** Hours of the running machine before and after its model serves. */
const BEFORE = 95;
const AFTER = 112;
/** A training by a debug build on a busy machine. */
const TRAINING_MS = 480_000;
const { readings, assets, failures } = past();

let program;
const { story, connect } = stage(async () => (program = await Program.start({ learningRows: 150, models: { grinder: MODEL }, recording: readings })));

/** Fills in a table, says what its columns are, and tries it. */
async function tryTable(page, table, text, columns) {
  await page.locator(`[data-table="${table}"]`).click();
  await page.getByLabel('Paste a CSV, or pick a file').fill(text);
  for (const [name, use] of Object.entries(columns)) await page.locator(`[data-column="${name}"]`).selectOption(use);
  await page.locator('[data-action="dry-run"]').click();
}

story('a plant without models says how to get one', {}, async (page) => {
  await visit(page, `${program.url}/prognosis-models`);
  await page.locator('main .notice', { hasText: 'No model yet' }).waitFor();
  await page.locator('main code', { hasText: 'bellwether train' }).waitFor();
  await page.getByRole('link', { name: 'Import history' }).click();
  await page.waitForURL(/\/history/);
  await page.locator('main').getByText('Nothing was imported yet').waitFor();
});

story('the past is imported: columns are named, mistakes told by line, then it is taken as a whole', { refusals: [422] }, async (page) => {
  await visit(page, `${program.url}/history`);
  const report = page.locator('[data-report]');
  await tryTable(page, 'assets', assets, { Machine: 'as:asset', Kind: 'as:model', Built: 'as:installed_at' });
  await report.getByRole('heading', { name: 'What would happen' }).waitFor();
  await page.locator('[data-action="apply"]').click();
  await report.getByRole('heading', { name: 'Done' }).waitFor();

  // What nobody has said anything about is not learned from.
  const columns = { Machine: 'as:asset', Date: 'as:at', Cause: 'as:code' };
  await tryTable(page, 'failures', failures.replace('2024-03-', '2024-13-'), columns);
  await report.getByRole('heading', { name: /\d+ errors?/ }).waitFor();
  await report.getByRole('cell', { name: 'downtime' }).first().waitFor();
  assert.ok(await page.locator('[data-action="apply"]').isDisabled());
  await screenshot(page, 'history-errors');
  await tryTable(page, 'failures', failures, { Downtime: 'ignore' });
  await report.getByRole('heading', { name: 'What would happen' }).waitFor();
  await page.locator('[data-action="apply"]').click();
  await report.getByRole('heading', { name: 'Done' }).waitFor();
  await page.locator('[data-history-records]').getByText('spindle').first().waitFor();
  assert.equal((await program.get('/history?limit=100')).items.length, 12);
});

story('a model is trained in sight, and its promises stand beside what happened', { by: 'Anna de Vries' }, async (page) => {
  page.setDefaultTimeout(TRAINING_MS);
  await visit(page, `${program.url}/prognosis-models`);
  await page.locator('select[name="asset_model"]').selectOption('grinder');
  await page.locator('[data-action="train"]').click();
  await page.locator('[data-job]').first().waitFor();
  await page.locator('[data-job][data-state="done"]').waitFor();
  await page.locator('[data-kind="grinder"]').getByRole('link', { name: 'Grinder' }).click();
  await settled(page);
  await page.getByText('No version serves yet.').waitFor();
  await page.locator('[data-errors]').getByText('Error without a look').waitFor();
  await page.locator('[data-calibrations]').getByText(/of the lives ended inside the span/).waitFor();
  await page.getByText('12 of them ended in a failure').waitFor();
  const { items: [model] } = await program.get('/prognosis-models?asset_model=grinder');
  const served = await page.locator('[data-served]').innerText();
  assert.match(served, model.metrics.served.served === 'probability' ? /shown as probabilities/ : /ranks only/);
  await screenshot(page, 'model-challenger');
});

story('a model serves when a person says so, and why is written down', { by: 'Anna de Vries' }, async (page) => {
  await visit(page, `${program.url}/prognosis-models/grinder`);
  await page.locator('[data-version="1"] [data-action="promote"]').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Signed with the name Anna de Vries').waitFor();
  await dialog.getByLabel('Note (optional)').fill('The first that knows the spindle.');
  await screenshot(page, 'model-promote');
  await dialog.locator('[data-action="confirm"]').click();
  await page.locator('[data-version="1"][data-standing="champion"]').waitFor();
  const log = page.getByRole('region', { name: 'What served when' });
  await log.getByText('The first that knows the spindle.').waitFor();
  const { promotions } = await program.get('/prognosis-models/grinder/1');
  assert.deepEqual(promotions.map(({ by, note }) => [by, note]), [['Anna de Vries', 'The first that knows the spindle.']]);
});

story('a machine that wears is forecast by its like, with reasons and past lives', {}, async (page) => {
  await program.post('/devices', { device: RUNNING, asset: RUNNING, model: 'grinder' });
  await program.replay(RUNNING, running(0, BEFORE));
  await program.replay(RUNNING, running(BEFORE, AFTER));
  await connect(RUNNING);
  const forecast = await until('its like forecast it', async () => {
    const { prognosis } = await program.get(`/assets/${RUNNING}`);
    return prognosis?.detail?.similar.length > 0 ? prognosis : null;
  });
  await visit(page, `${program.url}/assets/${RUNNING}`);
  const panel = page.locator('[data-prognosis]');
  await panel.locator('[data-rul-fan] svg').waitFor();
  // A probability stands there only where it was calibrated.
  for (const one of forecast.detail.within) {
    const text = await panel.locator(`[data-horizon="${one.horizon_s}"]`).innerText();
    if (one.shown === 'calibrated') assert.match(text, /%$/);
    else assert.match(text, /past forecasts|not known/);
  }
  assert.equal(await panel.locator('[data-contribution]').count(), forecast.detail.contributions.length);
  await panel.locator('[data-similar]').getByText('then failed').first().waitFor();
  await panel.locator('[data-model-link]').click();
  await page.waitForURL(/\/prognosis-models\/grinder\?.*version=1/);
  await settled(page);
});

for (const [theme, width, lang] of LOOKS) {
  story(`the pages of prognosis hold in ${theme}, ${width} px, ${lang}`, { theme, width, height: width < 700 ? 844 : 900 }, async (page) => {
    const pages = { prognosis: `/assets/${RUNNING}`, models: '/prognosis-models', model: '/prognosis-models/grinder', history: '/history' };
    for (const [name, path] of Object.entries(pages)) {
      const url = new URL(path, program.url);
      url.searchParams.set('lang', lang);
      await visit(page, url.href);
      await holds(page, name);
      await screenshot(page, `${name}-${width}-${lang}-${theme}`);
    }
  });
}
