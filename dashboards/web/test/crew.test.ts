import { describe, expect, it } from 'vitest';
import { crewWeek, dateOf, firstWeek, NOBODY, weekOf, weeksLater } from '../src/lib/crew';
import { anOrder } from './samples';

// 2 March 2026 is a Monday.
const WEEK = ['2026-03-02', '2026-03-03', '2026-03-04', '2026-03-05', '2026-03-06', '2026-03-07', '2026-03-08'];

describe('the calendar of the crew', () => {
  it.each(['2026-03-02', '2026-03-05', '2026-03-08'])('has %s in the week of Monday 2 March', (day) => expect(weekOf(day)).toEqual(WEEK));
  it('goes over the end of a month and a year', () => {
    expect(weeksLater('2026-03-30', 1)).toBe('2026-04-06');
    expect(weekOf('2026-01-01')[0]).toBe('2025-12-29');
  });
  it('shows an order on the day of its appointment in the given zone, by who does it', () => {
    const orders = [
      anOrder({ id: 'late', status: 'scheduled', engineer: 'e2', engineer_name: 'Mia', scheduled_for: '2026-03-03T23:30:00Z' }),
      anOrder({ id: 'early', status: 'scheduled', engineer: 'e2', engineer_name: 'Mia', scheduled_for: '2026-03-04T06:00:00Z' }),
      anOrder({ id: 'free', status: 'approved', engineer: null, engineer_name: null, scheduled_for: null, due_by: '2026-03-06T12:00:00Z' }),
      anOrder({ id: 'done', status: 'completed', scheduled_for: '2026-03-04T06:00:00Z' }),
      anOrder({ id: 'next', status: 'scheduled', engineer: 'e1', scheduled_for: '2026-03-09T06:00:00Z' }),
    ];
    const rows = crewWeek(orders, WEEK, 'Europe/Amsterdam');
    expect(rows.map((row) => row.engineer)).toEqual(['e2', NOBODY]);
    // 23:30 UTC is 0:30 of the next day in Amsterdam.
    expect(rows[0]?.days.map((day) => day.map((order) => order.id))).toEqual([[], [], ['late', 'early'], [], [], [], []]);
    expect(rows[1]?.days[4]?.map((order) => order.id)).toEqual(['free']);
  });
  it('stands on the chosen date until there is an appointment', () => {
    const date = { chosen: '2026-03-04T00:00:00Z', basis: 'calibrated' as const, curve: [], delay_week_cost: null, words: { en: '', zh: '' }, currency: 'EUR' };
    expect(dateOf(anOrder({ status: 'proposed', scheduled_for: null, due_by: '2026-03-20T00:00:00Z', date }))).toBe(Date.parse(date.chosen));
    expect(dateOf(anOrder({ status: 'scheduled', scheduled_for: '2026-03-05T00:00:00Z', date }))).toBe(Date.parse('2026-03-05T00:00:00Z'));
  });
  it('begins with this week, or with that of the first order to come', () => {
    const now = Date.parse('2026-03-04T12:00:00Z');
    const order = (at: string) => anOrder({ status: 'scheduled', scheduled_for: at });
    expect(firstWeek([], now, 'UTC')).toBe('2026-03-04');
    expect(firstWeek([order('2026-03-02T06:00:00Z')], now, 'UTC')).toBe('2026-03-04');
    expect(firstWeek([order('2026-02-02T06:00:00Z'), order('2026-03-20T06:00:00Z')], now, 'UTC')).toBe('2026-03-20');
    expect(firstWeek([order('2026-02-02T06:00:00Z')], now, 'UTC')).toBe('2026-02-02');
  });
});
