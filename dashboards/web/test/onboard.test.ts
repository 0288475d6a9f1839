import { expect, test } from 'vitest';
import { changesAnything, tokensCsv } from '../src/lib/onboard';
import type { OnboardReport } from '../src/lib/types';

const nothing: OnboardReport = {
  dry_run: true,
  applied: false,
  rows: 1,
  unchanged: 1,
  created: { customers: [], sites: [], assets: [], devices: [] },
  changed: { assets: [], devices: [] },
  without_credential: 0,
  tokens: [],
  errors: [],
  more_errors: 0,
};

test('tokens are handed out as a table that a spreadsheet reads', () => {
  const report = { ...nothing, tokens: [{ device: 'p1', credential: 3, token: 'bw_abc' }] };
  expect(tokensCsv(report)).toBe('\uFEFFdevice,token,credential\r\np1,bw_abc,3\r\n');
});

test('a file that says what is so already changes nothing', () => {
  expect(changesAnything(nothing)).toBe(false);
  expect(changesAnything({ ...nothing, changed: { assets: [], devices: ['p1'] } })).toBe(true);
});
