// Chromium with its complaints collected, and what every page has to pass.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { Device } from './mqtt.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const RESULTS = fileURLToPath(new URL('test-results', import.meta.url));
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

async function launch() {
  mkdirSync(RESULTS, { recursive: true });
  // --no-sandbox because tests also run as root, in containers.
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

/** A page in a context of its own; `complaints` are console errors, page errors and foreign requests. */
async function openPage(browser, base, { width = 1440, height = 900, theme = 'light', by = null } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale: 'en-GB', timezoneId: 'Europe/Amsterdam', hasTouch: width < 700 });
  if (by !== null) await context.addInitScript((name) => localStorage.setItem('bellwether.by', name), by);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`page error: ${error.message}`));
  page.on('request', (request) => !request.url().startsWith(base) && !/^(data|blob):/.test(request.url()) && complaints.push(`foreign request: ${request.url()}`));
  return { page, complaints, close: () => context.close() };
}

/** Goes to an address and waits until the page has nothing left to read. */
export async function visit(page, url) {
  await page.goto(url);
  await settled(page);
}

export async function settled(page) {
  await page.locator('main h1, main .notice').first().waitFor();
  await page.waitForFunction(() => document.querySelector('main [aria-busy="true"]') === null);
  await page.waitForFunction(() => document.fonts.status === 'loaded');
}

/** Serious and critical findings of axe. */
export async function axe(page) {
  // Evaluated by the debugger, not by the page: its content security policy forbids eval.
  await page.evaluate(AXE);
  return page.evaluate(async (tags) => {
    const result = await window.axe.run(document, { runOnly: tags });
    return result.violations
      .filter((found) => ['serious', 'critical'].includes(found.impact))
      .map((found) => `${found.id}: ${found.nodes.map((node) => node.target.join(' ')).join(', ')}`);
  }, TAGS);
}

export async function screenshot(page, name) {
  await page.screenshot({ path: join(RESULTS, `${name}.png`), fullPage: true });
}

/**
 * A stage for the stories of a file: the program that `start` gives and a browser, begun before the first
 * and ended after the last. A story runs on a fresh page; whatever the console says against it fails it,
 * but for the refusals it is about (`refusals`, HTTP statuses).
 */
export function stage(start) {
  let program;
  let browser;
  const online = [];
  before(async () => {
    program = await start();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await Promise.all(online.map((device) => device.close()));
    if (program) assert.equal(await program.stop(), 0, program.output);
  });
  const story = (name, { refusals = [], ...options }, tell) =>
    test(name, async () => {
      const opened = await openPage(browser, program.url, options);
      try {
        await tell(opened.page);
        const refused = (complaint) => refusals.some((status) => complaint.includes(`responded with a status of ${status}`));
        assert.deepEqual(opened.complaints.filter((complaint) => !refused(complaint)), []);
      } catch (error) {
        await screenshot(opened.page, `failed-${name.replaceAll(' ', '-')}`);
        throw error;
      } finally {
        await opened.close();
      }
    });
  /** Connects a device that stays, so that its asset is not shown as offline. */
  const connect = async (id) => {
    const device = await Device.connect(program.mqtt, id);
    online.push(device);
    return device;
  };
  return { story, connect };
}

/** What every page passes in every language, theme and width: accessible, no sideways scrolling. */
export async function holds(page, name) {
  assert.deepEqual(await axe(page), [], `axe on ${name}`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `${name} scrolls sideways by ${overflow} px`);
}

export const LOOKS = [
  ['light', 1440, 'en'],
  ['dark', 1440, 'zh-CN'],
  ['dark', 390, 'en'],
  ['light', 390, 'zh-CN'],
];
