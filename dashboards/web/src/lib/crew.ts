// Orders on the days of a week, by who does them. Pure.

import type { WorkOrder } from './types';
import { DAY, utcToZoned, zonedToUtc } from './time';

/** An order with no engineer yet stands in this row. */
export const NOBODY = '';

export interface CrewRow {
  engineer: string;
  name: string;
  /** Orders of each of the seven days. */
  days: WorkOrder[][];
}

/** The day of a moment, in a zone, as YYYY-MM-DD. */
export const dayOf = (at: number, zone: string): string => utcToZoned(at, zone).slice(0, 10);

/** The seven days of the week a day is in, Monday first. */
export function weekOf(day: string): string[] {
  const at = Date.parse(`${day}T00:00:00Z`);
  const monday = at - ((new Date(at).getUTCDay() + 6) % 7) * DAY;
  return Array.from({ length: 7 }, (_, index) => new Date(monday + index * DAY).toISOString().slice(0, 10));
}

/** The day so many weeks later. */
export const weeksLater = (day: string, weeks: number): string => new Date(Date.parse(`${day}T00:00:00Z`) + weeks * 7 * DAY).toISOString().slice(0, 10);

/** When an open order stands in the calendar: its appointment, else the date that was chosen for it, else when it is due. */
export function dateOf(order: WorkOrder): number | null {
  if (order.status === 'completed' || order.status === 'cancelled') return null;
  const at = Date.parse(order.scheduled_for ?? order.date?.chosen ?? order.due_by ?? '');
  return Number.isNaN(at) ? null : at;
}

/** Rows of a week: those with orders, by name, what nobody does yet last. */
export function crewWeek(orders: WorkOrder[], days: string[], zone: string): CrewRow[] {
  const rows = new Map<string, CrewRow>();
  for (const order of orders) {
    const at = dateOf(order);
    const place = at === null ? -1 : days.indexOf(dayOf(at, zone));
    if (place === -1) continue;
    const engineer = order.engineer ?? NOBODY;
    let row = rows.get(engineer);
    if (row === undefined) {
      row = { engineer, name: order.engineer_name ?? '', days: days.map(() => []) };
      rows.set(engineer, row);
    }
    row.days[place]?.push(order);
  }
  for (const row of rows.values()) for (const day of row.days) day.sort((a, b) => (dateOf(a) ?? 0) - (dateOf(b) ?? 0));
  return [...rows.values()].sort((a, b) => Number(a.engineer === NOBODY) - Number(b.engineer === NOBODY) || a.name.localeCompare(b.name));
}

/** The week to begin with: this one, or that of the first open order where this one is empty. */
export function firstWeek(orders: WorkOrder[], now: number, zone: string): string {
  const today = dayOf(now, zone);
  const dates = orders.map(dateOf).filter((at): at is number => at !== null).sort((a, b) => a - b);
  const week = weekOf(today);
  const [from, to] = [zonedToUtc(`${week[0]}T00:00`, zone), zonedToUtc(`${weeksLater(week[0] ?? today, 1)}T00:00`, zone)];
  if (dates.length === 0 || dates.some((at) => at >= from && at < to)) return today;
  return dayOf(dates.find((at) => at >= now) ?? (dates[dates.length - 1] as number), zone);
}
