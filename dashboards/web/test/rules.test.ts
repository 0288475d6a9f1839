import { describe, expect, it } from 'vitest';
import { onlyIn } from '../src/lib/backtest';
import { lineCount, offsetOf } from '../src/lib/text-lines';
import type { BacktestCase } from '../src/lib/rule-types';

describe('a place in a text', () => {
  const text = '[[rule]]\nid = "hot"\n\nlimit = 80';
  it.each([
    [1, 1, 0],
    [2, 1, 9],
    [2, 6, 14],
    [2, 99, 19],
    [3, 1, 20],
    [4, 9, 29],
    [9, 1, text.length],
  ])('line %i, column %i is at %i', (line, column, at) => expect(offsetOf(text, line, column)).toBe(at));
  it('counts lines as an editor does', () => expect([lineCount(''), lineCount('a'), lineCount('a\n')]).toEqual([1, 1, 2]));
});

describe('two sides of a back-test', () => {
  const opened = (asset: string, opened_at: string, failure_mode = 'bearing-wear'): BacktestCase => ({ case: 'C-1', asset, failure_mode, signal: null, rule: null, opened_at, order: true, verdict: 'unknown', lead_time_s: null });
  it('open the same case within a day of each other, on one asset, for one thing', () => {
    const proposed = [opened('pump-1', '2026-03-01T06:00:00Z'), opened('pump-2', '2026-03-01T06:00:00Z')];
    const inForce = [opened('pump-1', '2026-03-01T20:00:00Z'), opened('pump-2', '2026-03-03T06:00:00Z'), opened('pump-1', '2026-03-01T06:00:00Z', 'seal-leak')];
    expect(onlyIn(proposed, inForce).map((item) => item.asset)).toEqual(['pump-2']);
    expect(onlyIn(inForce, proposed).map((item) => [item.asset, item.failure_mode])).toEqual([['pump-2', 'bearing-wear'], ['pump-1', 'seal-leak']]);
  });
});
