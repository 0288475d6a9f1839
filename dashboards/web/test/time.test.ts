import { describe, expect, it } from 'vitest';
import { axisLabels, DAY, formatAge, formatDuration, formatTime, HOUR, ms, SECOND, utcToZoned, zonedToUtc } from '../src/lib/time';

const at = Date.parse('2026-12-03T23:30:05Z');

describe('times', () => {
  it('are told in the zone of the site, with the zone', () => {
    expect(formatTime(at, 'datetime', 'Europe/Amsterdam', 'en')).toBe('4 Dec 2026, 00:30 CET');
    expect(formatTime(at, 'datetime', 'Asia/Shanghai', 'zh-CN')).toBe('2026年12月4日 07:30 GMT+8');
    expect(formatTime(at, 'day', 'America/Chicago', 'en')).toBe('Thu, 3 Dec 2026');
  });
  it('fall back to UTC where the zone is unknown', () => {
    expect(formatTime(at, 'time', 'Mars/Olympus', 'en')).toBe('23:30:05 UTC');
  });
  it('label an axis with the date only where it changes', () => {
    expect(axisLabels([at, at + HOUR, at + 2 * HOUR], HOUR, 'UTC', 'en')).toEqual(['23:30\n3 Dec', '00:30\n4 Dec', '01:30']);
    expect(axisLabels([at, at + DAY], DAY, 'UTC', 'en')).toEqual(['3 Dec', '4 Dec']);
  });
  it('are null where there are none', () => {
    expect(ms(null)).toBeNull();
    expect(ms('never')).toBeNull();
    expect(ms('2026-12-03T23:30:05Z')).toBe(at);
  });
});

describe('ages', () => {
  it.each([
    [-5 * SECOND, /^now$/],
    [0, /^now$/],
    [2 * SECOND, /^2 ?s.* ago$/],
    [90 * SECOND, /^1 ?m.* ago$/],
    [3 * DAY, /^3 ?d.* ago$/],
  ])('%d ms reads like %s', (age, text) => expect(formatAge(age, 'en')).toMatch(text));
  it('speak Chinese', () => expect(formatAge(2 * SECOND, 'zh-CN')).toBe('2秒前'));
});

describe('durations', () => {
  it.each([
    [3.5 * DAY, /^3\.5 days$/],
    [40 * 60 * SECOND, /^40 mins?$/],
    [12.4 * DAY, /^12 days$/],
    [0, /^0 secs?$/],
  ])('%d ms reads like %s', (length, text) => expect(formatDuration(length, 'en')).toMatch(text));
});

describe('a local time in the plant', () => {
  it.each([
    ['2026-07-01T08:00', 'Europe/Amsterdam', '2026-07-01T06:00:00.000Z'],
    ['2026-12-01T08:00', 'Europe/Amsterdam', '2026-12-01T07:00:00.000Z'],
    // An hour after summer time began: the offset of that moment, not of the day before.
    ['2026-03-29T03:30', 'Europe/Amsterdam', '2026-03-29T01:30:00.000Z'],
    ['2026-12-01T08:00', 'Asia/Shanghai', '2026-12-01T00:00:00.000Z'],
    ['2026-12-01T08:00', 'Asia/Kolkata', '2026-12-01T02:30:00.000Z'],
  ])('%s in %s is %s and back', (local, zone, utc) => {
    expect(new Date(zonedToUtc(local, zone)).toISOString()).toBe(utc);
    expect(utcToZoned(Date.parse(utc), zone)).toBe(local);
  });
});
