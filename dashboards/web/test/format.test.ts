import { describe, expect, it } from 'vitest';
import { formatBytes, formatHealth, formatNumber, formatSigned, signalWords, withUnit } from '../src/lib/format';

describe('numbers', () => {
  it.each([
    [61.52, '61.5'],
    [2.1, '2.10'],
    [0.0456, '0.046'],
    [1482.4, '1,482'],
    [-3.25, '−3.25'],
    [Number.NaN, '–'],
  ])('%d is "%s"', (value, text) => expect(formatNumber(value, 'en')).toBe(text));
  it('carry their unit after a narrow space, or none', () => {
    expect(withUnit('61.5', '°C')).toBe('61.5\u202f°C');
    expect(withUnit('61.5', null)).toBe('61.5');
  });
  it('carry their sign', () => {
    expect(formatSigned(6.24, 'en')).toBe('+6.2');
    expect(formatSigned(-6.24, 'en')).toBe('−6.2');
    expect(formatSigned(0, 'en')).toBe('0.0');
  });
  it('of bytes take the fitting unit', () => expect(formatBytes(48_213_377, 'en')).toBe('46\u202fMiB'));
});

describe('health', () => {
  it('never rounds up into the next zone', () => {
    expect(formatHealth(79.9, 'en')).toBe('79');
    expect(formatHealth(59.99, 'en')).toBe('59');
    expect(formatHealth(100, 'en')).toBe('100');
  });
});

describe('a signal without a label', () => {
  it.each([
    ['bearing_temperature_c', '°C', 'bearing temperature'],
    ['vibration_mm_s', 'mm/s', 'vibration'],
    ['flow_l_min', 'l/min', 'flow'],
    ['accelerometer1rms', null, 'accelerometer1rms'],
    ['thermocouple', '°C', 'thermocouple'],
    ['volume_flow_raterms', null, 'volume flow raterms'],
  ])('%s in %s reads "%s"', (signal, unit, words) => expect(signalWords(signal, unit)).toBe(words));
});
