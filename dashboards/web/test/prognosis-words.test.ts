import { beforeEach, describe, expect, it } from 'vitest';
import { overwriteGetLocale } from '../src/paraglide/runtime.js';
import { chanceWord, contributionWord, noteWords, signedDuration, withinWords } from '../src/lib/prognosis-words';

let locale: 'en' | 'zh-CN' = 'en';
overwriteGetLocale(() => locale);
beforeEach(() => (locale = 'en'));
const within = { horizon_s: 86_400, probability: 0.37, rank: 0.92 };

describe('failure within a horizon', () => {
  it('is a probability only where that was calibrated', () => {
    expect(withinWords({ ...within, shown: 'calibrated' }).value).toBe('37%');
    expect(withinWords({ ...within, shown: 'nominal' }).value).toBe('worse than 92% of past forecasts');
    const ranked = withinWords({ ...within, probability: null, shown: 'rank', reason: { en: '7 lives were checked, at least 10 are needed', zh: '只核对了 7 段寿命，至少需要 10 段' } });
    expect(ranked).toEqual({ value: 'worse than 92% of past forecasts', how: 'No probability is shown: 7 lives were checked, at least 10 are needed' });
  });
  it('is not told where nothing is known', () => expect(withinWords({ ...within, rank: null, shown: 'nominal' }).value).toBe('not known'));
  it.each([
    [0.001, 'below 1%'],
    [0.37, '37%'],
    [0.999, 'above 99%'],
  ])('of %d is told as %s: nothing is certain', (probability, words) => expect(chanceWord(probability)).toBe(words));
});

describe('what moves a forecast', () => {
  const name = (signal: string): string => (signal === 'bearing_temperature_c' ? 'Bearing temperature' : signal);
  it.each([
    ['age', 'Age of the machine'],
    ['bearing_temperature_c:trend', 'Bearing temperature: where it is heading'],
    ['level', 'Wear over all signals: where it stands now'],
    ['bearing_temperature_c:novel_thing', 'Bearing temperature: novel thing'],
  ])('%s is "%s"', (feature, words) => expect(contributionWord(feature, name)).toBe(words));
  it('takes life with a true minus', () => expect([signedDuration(-3 * 86_400, 'en'), signedDuration(7_200, 'en')]).toEqual(['−3 days', '+2 hrs']));
});

it('a note has words, and one the page does not know is shown as it came', () => expect([noteWords('window_only').length > 20, noteWords('half_moon')]).toEqual([true, 'half moon']));
