import { beforeEach, describe, expect, it } from 'vitest';
import { overwriteGetLocale } from '../src/paraglide/runtime.js';
import { conditionSentence, lastsText, overText, whileText } from '../src/lib/rule-sentence';
import type { Condition, RuleWhole } from '../src/lib/rule-types';

let locale: 'en' | 'zh-CN' = 'en';
overwriteGetLocale(() => locale);
beforeEach(() => (locale = 'en'));

const words = { name: () => (locale === 'en' ? 'bearing temperature' : '轴承温度'), unit: () => '°C' };
const SIGNAL = 'bearing_temperature_c';
const above = (on: number, off = on) => ({ above: true, on, off });
const below = (on: number, off = on) => ({ above: false, on, off });

describe('what a rule says in one sentence', () => {
  it.each<[Condition, string]>([
    [{ kind: 'threshold', signal: SIGNAL, level: above(72.55) }, 'Bearing temperature is above 72.55\u202f°C.'],
    [{ kind: 'threshold', signal: SIGNAL, level: below(-4) }, 'Bearing temperature is below −4\u202f°C.'],
    [{ kind: 'rate', signal: SIGNAL, level: above(60), over_s: 600, per_s: 3600 }, 'Bearing temperature changes by more than 60\u202f°C in 1 hr, taken over 10 mins.'],
    [{ kind: 'no_data', signal: null, for_s: 600 }, 'The device sends nothing for 10 mins.'],
    [{ kind: 'no_data', signal: SIGNAL, for_s: 600 }, 'No value of bearing temperature comes for 10 mins.'],
    [{ kind: 'state', states: [{ operating: 'start_up' }, { condition: 'watch' }], for_s: 90 }, 'The machine is starting up or watch for 1.5 mins.'],
    [{ kind: 'count', of: { count_of: 'crossings', signal: SIGNAL, level: below(0.2) }, within_s: 86_400, at_least: 5 }, 'Bearing temperature goes below 0.2\u202f°C at least 5 times within 1 day.'],
    [{ kind: 'zone', signal: SIGNAL, zone: 'D' }, 'Bearing temperature reaches vibration zone D (ISO 10816).'],
    [{ kind: 'health', level: below(30) }, 'The health index is below 30 of 100.'],
    [{ kind: 'sensor', signal: null, states: ['suspect', 'faulty'], faults: ['stuck'] }, 'A sensor is in doubt: stuck.'],
    [{ kind: 'failure_within', horizon_s: 7 * 86_400, level: above(0.3) }, 'The probability of a failure within 7 days is above 30%.'],
  ])('%j', (condition, sentence) => expect(conditionSentence(condition, words)).toBe(sentence));
  it('speaks Chinese', () => {
    locale = 'zh-CN';
    expect(conditionSentence({ kind: 'threshold', signal: SIGNAL, level: above(72) }, words)).toBe('轴承温度高于 72\u202f°C。');
  });
});

describe('when a rule judges', () => {
  const rule: RuleWhole = { condition: { kind: 'threshold', signal: SIGNAL, level: above(72, 68) }, on_delay_s: 60, off_delay_s: 600, while: ['running', 'start_up'] };
  it('says how long it must last, when it is over and in which states', () => {
    expect([lastsText(rule), overText(rule, words), whileText(rule)]).toEqual(['1 min', 'At 68\u202f°C or less, for 10 mins', 'running or starting up']);
    expect([lastsText({ ...rule, on_delay_s: 0 }), whileText({ ...rule, while: [] })]).toEqual(['Counts at once', null]);
    expect(overText({ ...rule, condition: { kind: 'no_data', signal: null, for_s: 600 } }, words)).toBeNull();
  });
});
