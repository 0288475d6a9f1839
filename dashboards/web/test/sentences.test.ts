import { beforeEach, describe, expect, it } from 'vitest';
import { overwriteGetLocale } from '../src/paraglide/runtime.js';
import { caseReason, caseSentence, forecastSentence, forecastShort, orderSentence, outlookSentence, stateSentence } from '../src/lib/sentences';
import { failureMode, reasonWord, stateWord } from '../src/lib/words';
import type { Forecast } from '../src/lib/types';
import { aCase, anAsset, anOrder, EVIDENCE, NO_DETAIL } from './samples';

let locale: 'en' | 'zh-CN' = 'en';
overwriteGetLocale(() => locale);
beforeEach(() => (locale = 'en'));

const open = { id: 'c', failure_mode: 'bearing-wear', failure_mode_name: { en: 'Bearing wear', zh: '轴承磨损' }, severity: 'warning', opened_at: '2026-12-01T08:00:00Z' } as const;
const namer = (): string => (locale === 'en' ? 'Bearing temperature' : '轴承温度');
const forecast: Forecast = {
  at: '2026-12-01T08:00:00Z', model: 'theil-sen/1', family: 'trend' as const, limit: 30, p10: '2026-12-05T08:00:00Z', p50: '2026-12-07T08:00:00Z', p90: '2026-12-12T08:00:00Z',
  rul_p10_s: 4 * 86_400, rul_p50_s: 6 * 86_400, rul_p90_s: 11 * 86_400, loss_per_day: 5, p_value: 1e-6, detail: NO_DETAIL,
};

describe('the state of an asset in one sentence', () => {
  it('names failure mode, signal, distance and time', () => {
    const asset = anAsset({ state: 'warning', open_cases: [open] });
    expect(stateSentence(asset, EVIDENCE, namer)).toBe('Bearing wear likely: bearing temperature is 6.2 healthy spreads above normal, since 1 Dec 2026, 09:00 CET.');
    expect(stateSentence(asset, null)).toBe('Bearing wear likely since 1 Dec 2026, 09:00 CET.');
  });
  it('speaks Chinese', () => {
    locale = 'zh-CN';
    const asset = anAsset({ state: 'warning', open_cases: [open] });
    expect(stateSentence(asset, EVIDENCE, namer)).toBe('疑似轴承磨损：自 2026年12月1日 09:00 GMT+1 起，轴承温度高于正常值 6.2 倍健康散布。');
    expect(stateWord('critical')).toBe('严重');
  });
  it('says so when no failure mode fits', () => {
    const asset = anAsset({ state: 'watch', open_cases: [{ ...open, failure_mode: 'unclassified', failure_mode_name: null }] });
    expect(stateSentence(asset, EVIDENCE, namer)).toContain('No known failure mode fits.');
    expect(failureMode(null, 'unclassified')).toBe('Unusual behaviour');
  });
  it.each([
    [{ state: 'healthy' }, 'Behaves as learned.'],
    [{ state: 'learning', learning: { rows: 120, needed: 400 } }, 'Learning what normal is: 120 of 400 rows.'],
    [{ state: 'no_data' }, 'Nothing received since it was registered on 20 Nov 2026, 01:00 CET.'],
    [{ state: 'offline', last_received_at: '2026-12-01T08:00:00Z' }, 'Every device is offline. Last heard from on 1 Dec 2026, 09:00 CET.'],
    [{ state: 'warning' }, 'Health is below normal, but no case is open.'],
  ] as const)('%o is "%s"', (change, sentence) => expect(stateSentence(anAsset(change), null)).toBe(sentence));
  it('does not blame the machine for its sensor', () => {
    const asset = anAsset({ state: 'healthy', open_cases: [{ ...open, failure_mode: 'sensor-fault', severity: 'watch' }] });
    expect(stateSentence(asset, EVIDENCE)).toBe('Behaves as learned.');
  });
});

describe('a case', () => {
  it('below normal says below', () => {
    const evidence = { ...EVIDENCE, contributions: [{ ...EVIDENCE.contributions[0]!, deviation: -3 }] };
    expect(caseSentence(aCase({ evidence }), 'UTC', namer)).toContain('3.0 healthy spreads below normal');
    expect(caseReason(aCase({ evidence }), 'UTC', namer)).toBe('Bearing temperature 3.0 healthy spreads below normal since 1 Dec 2026, 08:00 UTC');
  });
});

describe('a forecast', () => {
  it('is a span, never one date', () => {
    expect(forecastSentence(forecast, 'UTC')).toBe('Health reaches 30 between Sat, 5 Dec 2026 and Sat, 12 Dec 2026, most likely around Mon, 7 Dec 2026.');
    expect(forecastShort(forecast)).toBe('4 days – 11 days to the limit');
  });
  it.each([
    [null, 'No forecast yet.'],
    [{ reason: 'no_significant_trend' }, 'No significant trend towards the limit.'],
    [{ reason: 'too_little_history' }, 'Too little history for a forecast.'],
    [{ ...forecast, rul_p10_s: 0, rul_p50_s: 0 }, 'Health is at its limit of 30.'],
    [{ ...forecast, family: 'fleet' as const, limit: null, rul_p10_s: 1e9 }, 'By what became of its like, it lasts for more than two years.'],
    [{ ...forecast, rul_p10_s: 1e9 }, 'At the present rate, health stays above 30 for more than two years.'],
  ])('without a trend says why (%#)', (prognosis, sentence) => expect(forecastSentence(prognosis, 'UTC')).toBe(sentence));
});

describe('the outlook', () => {
  it('does not comfort with "no trend" when health lies at the bottom', () => {
    const asset = anAsset({ state: 'critical', health: { index: 2, zone: 'critical', at: '2026-12-01T08:00:00Z' }, prognosis: { reason: 'no_significant_trend' } });
    expect(outlookSentence(asset)).toContain('critical zone already');
    expect(outlookSentence({ ...asset, health: { index: 90, zone: 'healthy', at: '' } })).toBe('No significant trend towards the limit.');
  });
});

describe('an order', () => {
  it('says what happens next', () => {
    expect(orderSentence(null, 'UTC')).toBe('No work order');
    expect(orderSentence(anOrder({ due_by: '2026-12-04T08:00:00Z' }), 'UTC')).toBe('Order proposed, due Fri, 4 Dec 2026');
    expect(orderSentence(anOrder({ status: 'scheduled', scheduled_for: '2026-12-03T07:00:00Z' }), 'Europe/Amsterdam')).toBe('Scheduled for 3 Dec 2026, 08:00 CET');
  });
});

it('a word the page does not know is shown as it came', () => expect(reasonWord('too_loud')).toBe('too loud'));
