// A fleet of grinders as numbers: twelve that have failed, and one that is on its way. The same
// numbers on every machine.

import { readFileSync } from 'node:fs';

const START = Date.parse('2024-03-04T00:00:00Z');
const HOUR_MS = 3_600_000;
const ROWS_PER_HOUR = 6;
/** Machines that have failed; a model is calibrated on ten and more. */
const FLEET = 12;
export const RUNNING = 'grinder-13';
/** How long the running machine would last, in hours. */
const ITS_LIFE = 130;

export const MODEL = readFileSync(new URL('../models/grinder.toml', import.meta.url), 'utf8');

/** A number in -1..1 that depends on its place alone. */
function noise(machine, row, signal) {
  let mixed = (machine * 1_000_003 + row * 31 + signal * 7_919) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b) >>> 0;
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 31 - 1;
}

/** What a machine measures that lasts `life` hours, from one age to another, in hours. */
function rows(machine, life, from, to) {
  return Array.from({ length: (to - from) * ROWS_PER_HOUR }, (_, index) => {
    const row = from * ROWS_PER_HOUR + index;
    const wear = (row / (life * ROWS_PER_HOUR)) ** 4;
    const load = Math.sin(row / 9);
    return {
      time: new Date(START + (row * HOUR_MS) / ROWS_PER_HOUR).toISOString(),
      vibration_mm_s: (2 + 6 * wear + 0.1 * load + 0.15 * noise(machine, row, 0)).toFixed(3),
      temperature_c: (55 + 12 * wear + 0.5 * load + 0.5 * noise(machine, row, 1)).toFixed(3),
      current_a: (20 + 2 * wear + 0.5 * load + 0.3 * noise(machine, row, 2)).toFixed(3),
    };
  });
}

export const running = (from, to) => rows(13, ITS_LIFE, from, to);

/** The past: what the machines measured, which there were, and what failed when. */
export function past() {
  const readings = ['device,time,vibration_mm_s,temperature_c,current_a'];
  const assets = ['Machine,Kind,Built'];
  const failures = ['Machine,Date,Cause,Downtime'];
  for (let machine = 1; machine <= FLEET; machine++) {
    const life = 90 + ((machine * 37) % 80);
    for (const row of rows(machine, life, 0, life)) readings.push([`grinder-${machine}`, ...Object.values(row)].join(','));
    assets.push(`grinder-${machine},grinder,${new Date(START).toISOString()}`);
    failures.push(`grinder-${machine},${new Date(START + life * HOUR_MS).toISOString()},spindle,${machine}`);
  }
  assets.push(`${RUNNING},grinder,${new Date(START).toISOString()}`);
  return { readings: `${readings.join('\n')}\n`, assets: `${assets.join('\n')}\n`, failures: `${failures.join('\n')}\n` };
}
