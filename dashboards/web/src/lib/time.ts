// Times for people: always in a named zone (the site's), always by Intl.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export type TimeStyle = 'datetime' | 'day' | 'time' | 'clock';

const STYLES: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  datetime: { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  day: { weekday: 'short', year: 'numeric', month: 'short', day: 'numeric' },
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  clock: { hour: '2-digit', minute: '2-digit' },
};

const formats = new Map<string, Intl.DateTimeFormat>();

/** Building a format costs more than using one a thousand times. */
function format(locale: string, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale}|${zone}|${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(regional(locale), { ...options, timeZone: zone, hourCycle: 'h23' });
    formats.set(key, found);
  }
  return found;
}

/** English dates are written day first, as on the plants' own papers. */
function regional(locale: string): string {
  return locale === 'en' ? 'en-GB' : locale;
}

/** The zone itself, or UTC where the browser does not know it. */
export function knownZone(zone: string | null | undefined): string {
  if (!zone) return 'UTC';
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    return 'UTC';
  }
}

export function formatTime(at: number, style: TimeStyle, zone: string, locale: string): string {
  const text = format(locale, knownZone(zone), STYLES[style]).format(at);
  // Intl puts the zone between date and time in Chinese, where nobody reads it.
  return style === 'day' ? text : `${text} ${zoneName(at, zone, locale)}`;
}

/** The short name of a zone at a moment, such as `CET` or `GMT+8`. */
export function zoneName(at: number, zone: string, locale: string): string {
  const parts = format(locale, knownZone(zone), { timeZoneName: 'short' }).formatToParts(at);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? zone;
}

/** Labels of a time axis: as much date as the step needs. */
export function axisLabels(ticks: number[], stepMs: number, zone: string, locale: string): string[] {
  const day = format(locale, knownZone(zone), { month: 'short', day: 'numeric' });
  const minute = format(locale, knownZone(zone), { hour: '2-digit', minute: '2-digit' });
  const second = format(locale, knownZone(zone), { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  if (stepMs >= DAY) return ticks.map((at) => day.format(at));
  const clock = stepMs < MINUTE ? second : minute;
  let last = '';
  return ticks.map((at) => {
    const date = day.format(at);
    const text = date === last ? clock.format(at) : `${clock.format(at)}\n${date}`;
    last = date;
    return text;
  });
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', DAY],
  ['hour', HOUR],
  ['minute', MINUTE],
  ['second', SECOND],
];

/** "2 s ago", in the reader's language. Slightly negative ages (clock skew) count as now. */
export function formatAge(ageMs: number, locale: string): string {
  const age = Math.max(0, ageMs);
  const [unit, size] = UNITS.find(([, size]) => age >= size) ?? ['second', SECOND];
  const style = new Intl.RelativeTimeFormat(locale, { numeric: age < SECOND ? 'auto' : 'always', style: 'narrow' });
  return style.format(-Math.floor(age / size), unit as Intl.RelativeTimeFormatUnit);
}

/** A length of time in its largest sensible unit: "3.5 days", "40 min". */
export function formatDuration(ms: number, locale: string): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= size) ?? ['second', SECOND];
  const value = ms / (size as number);
  return new Intl.NumberFormat(regional(locale), {
    style: 'unit',
    unit: unit as string,
    unitDisplay: 'short',
    maximumFractionDigits: value < 10 && unit !== 'second' ? 1 : 0,
  }).format(value);
}

/** Milliseconds of an ISO time; null stays null. */
export function ms(iso: string): number;
export function ms(iso: string | null | undefined): number | null;
export function ms(iso: string | null | undefined): number | null {
  if (iso === null || iso === undefined) return null;
  const at = Date.parse(iso);
  return Number.isNaN(at) ? null : at;
}

/** The value of a datetime-local field, read as wall time in a zone. */
export function zonedToUtc(local: string, zone: string): number {
  const guess = Date.parse(`${local}:00Z`);
  // Two rounds settle the offset, also close to a change to or from summer time.
  let at = guess;
  for (let round = 0; round < 2; round++) at = guess - offset(at, zone);
  return at;
}

/** The text of a datetime-local field for a moment, as wall time in a zone. */
export function utcToZoned(at: number, zone: string): string {
  return new Date(at + offset(at, zone)).toISOString().slice(0, 16);
}

function offset(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: knownZone(zone),
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(at);
  const part = (type: string): number => Number(parts.find((found) => found.type === type)?.value);
  const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return wall - Math.floor(at / SECOND) * SECOND;
}
