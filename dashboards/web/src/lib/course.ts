// What analytics said over a span, shaped into what the charts draw. A finding holds until the
// next one of its device, so every value here holds until the next. Pure.

import { clip, mergeSpans, type Span } from './chart-data';
import type { Course, DeviceCourse, OperatingState, SensorSpan } from './types';

/** A normal range over a stretch of time. */
export interface Band extends Span {
  low: number;
  high: number;
}

/** What the machine was doing over a stretch of time. */
export interface Doing extends Span {
  state: OperatingState;
}

/** A stretch in which a sensor was not believed. */
export interface Doubt extends Span {
  verdict: SensorSpan;
  /** Whether it still lasts. */
  lasts: boolean;
}

/** How far a signal was from its normal, in columns of equal width. */
export interface Lane {
  device: string;
  signal: string;
  /** The deviation furthest from normal in each column, in healthy spreads; null where it took no part. */
  columns: (number | null)[];
  /** The furthest of all. */
  peak: number;
}

/** Entries that hold until the next, as stretches inside a window. */
function stretches<T extends { from: string }>(entries: T[], window: Span): (Span & { entry: T })[] {
  return entries
    .map((entry, at) => {
      const next = entries[at + 1];
      return { from: Date.parse(entry.from), to: next === undefined ? window.to : Date.parse(next.from), entry };
    })
    .filter((stretch) => stretch.to >= window.from && stretch.from <= window.to)
    .map((stretch) => ({ ...stretch, from: Math.max(stretch.from, window.from), to: Math.min(stretch.to, window.to) }));
}

/** Where the normal range of a signal lay, as it was said at the time. */
export function bandsOf(course: Course, device: string, signal: string, window: Span): Band[] {
  const found = course.devices.find((one) => one.device === device)?.signals.find((one) => one.signal === signal);
  return stretches(found?.normal ?? [], window).map(({ from, to, entry }) => ({ from, to, low: entry.low, high: entry.high }));
}

const same = (a: OperatingState, b: OperatingState): boolean =>
  a.name === b.name && (a.name !== 'running' || b.name !== 'running' || a.regime === b.regime);

/** What the machine was doing; a device that cannot tell says nothing beside one that can. */
export function doingOf(course: Course, window: Span): Doing[] {
  const telling = course.devices.find((device) => device.operating.some((entry) => entry.state.name !== 'unknown'));
  const out: Doing[] = [];
  for (const { from, to, entry } of stretches(telling?.operating ?? [], window)) {
    const last = out.at(-1);
    if (last !== undefined && same(last.state, entry.state)) last.to = to;
    else out.push({ from, to, state: entry.state });
  }
  return out;
}

/** What the machine was doing at a moment. */
export function doingAt(doing: Doing[], at: number): OperatingState | null {
  return doing.findLast((one) => one.from <= at)?.state ?? null;
}

/** When the sensor of a signal was not believed. */
export function doubtsOf(course: Course, device: string, signal: string, window: Span): Doubt[] {
  const spans = course.sensors.filter((span: SensorSpan) => span.device === device && span.signal === signal);
  const doubts = spans.map((span) => ({
    from: Date.parse(span.since),
    to: span.to === null ? window.to : Date.parse(span.to),
    verdict: span,
    lasts: span.to === null,
  }));
  return doubts
    .filter((doubt) => doubt.to >= window.from && doubt.from <= window.to)
    .map((doubt) => ({ ...doubt, from: Math.max(doubt.from, window.from), to: Math.min(doubt.to, window.to) }));
}

/** When any device was in alarm. */
export function alarmsOf(course: Course, window: Span): Span[] {
  const spans = course.devices.flatMap((device) => device.alarms);
  return clip(mergeSpans(spans.map((span) => ({ from: Date.parse(span.from), to: span.to === null ? window.to : Date.parse(span.to) }))), window.from, window.to);
}

/** Moments from which the machine was compared with a newly learned normal; not the first one. */
export function relearnedAt(course: Course, window: Span): number[] {
  const starts = course.devices.flatMap((device) => device.baselines.slice(1).map((entry) => Date.parse(entry.from)));
  return starts.filter((at) => at >= window.from && at <= window.to);
}

/** Place of the last of rising times that is not after a moment; -1 before the first. */
export function heldAt(times: number[], at: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const times = (device: DeviceCourse): number[] => device.at.map((at) => Date.parse(at));

export interface Steps {
  at: number[];
  value: (number | null)[];
}

/** The score of the worst device as steps over a window; null while learning. */
export function scoreSteps(course: Course, window: Span): Steps {
  const devices = course.devices.map((device) => ({ at: times(device), score: device.score }));
  const inside = devices.flatMap((device) => device.at).filter((at) => at > window.from && at < window.to);
  const at = [...new Set([window.from, ...inside, window.to])].sort((a, b) => a - b);
  const value = at.map((time) => {
    const held = devices.map((device) => device.score[heldAt(device.at, time)] ?? null).filter((score) => score !== null);
    return held.length === 0 ? null : Math.max(...held);
  });
  return { at, value };
}

/** The score at which an alarm begins; 1 by definition where no device says another. */
export function scoreLimit(course: Course): number {
  return course.devices.find((device) => device.limit !== null)?.limit ?? 1;
}

/** The deviation of each signal in columns over a window, the signal that went furthest first. */
export function lanesOf(course: Course, window: Span, columns: number): Lane[] {
  const lanes = course.devices.flatMap((device) => {
    const at = times(device);
    return device.signals.map((one) => lane(device.device, one.signal, at, one.deviation, window, columns));
  });
  return lanes.sort((a, b) => Math.abs(b.peak) - Math.abs(a.peak) || a.signal.localeCompare(b.signal));
}

function lane(device: string, signal: string, at: number[], deviation: (number | null)[], window: Span, columns: number): Lane {
  const out: (number | null)[] = [];
  const width = (window.to - window.from) / columns;
  let peak = 0;
  let next = heldAt(at, window.from) + 1;
  let held = deviation[next - 1] ?? null;
  for (let column = 0; column < columns; column++) {
    const end = window.from + width * (column + 1);
    let furthest = held;
    while (next < at.length && (at[next] as number) <= end) {
      held = deviation[next] ?? null;
      if (held !== null && (furthest === null || Math.abs(held) > Math.abs(furthest))) furthest = held;
      next += 1;
    }
    out.push(furthest);
    if (furthest !== null && Math.abs(furthest) > Math.abs(peak)) peak = furthest;
  }
  return { device, signal, columns: out, peak };
}

/** What held at a moment: the score, and the deviation of a signal. */
export function deviationAt(course: Course, device: string, signal: string, at: number): number | null {
  const found = course.devices.find((one) => one.device === device);
  const place = found === undefined ? -1 : heldAt(times(found), at);
  return found?.signals.find((one) => one.signal === signal)?.deviation[place] ?? null;
}

export interface ReasonRow {
  at: number;
  score: number | null;
  doing: OperatingState | null;
  deviations: (number | null)[];
}

/** The course as a table: at most `most` rows, of neighbours the one with the highest score. */
export function reasonRows(course: Course, lanes: { device: string; signal: string }[], window: Span, most: number): ReasonRow[] {
  const { at, value } = scoreSteps(course, window);
  const doing = doingOf(course, window);
  const size = Math.max(1, Math.ceil(at.length / Math.max(1, most)));
  const rows: ReasonRow[] = [];
  for (let start = 0; start < at.length; start += size) {
    let best = start;
    for (let place = start; place < Math.min(at.length, start + size); place++) {
      if ((value[place] ?? -1) > (value[best] ?? -1)) best = place;
    }
    const time = at[best] as number;
    rows.push({
      at: time,
      score: value[best] ?? null,
      doing: doingAt(doing, time),
      deviations: lanes.map((one) => deviationAt(course, one.device, one.signal, time)),
    });
  }
  return rows;
}
