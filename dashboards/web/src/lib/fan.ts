// Geometry of the forecast fan. Pure.

interface Point {
  at: number;
  value: number;
}

export interface FanInput {
  points: Point[];
  now: Point;
  limit: number;
  p10: number;
  p50: number;
  p90: number;
  width: number;
  height: number;
}

export interface Fan {
  history: string[];
  fan: string;
  median: string;
  now: { x: number; y: number };
  /** Where the median meets the limit; null when that lies outside the picture. */
  cross: { x: number; y: number } | null;
  limit: number;
  ticks: { value: number; y: number }[];
  top: number;
  bottom: number;
  right: number;
}

const LEFT = 32;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 24;
/** How far past the median the picture may reach for P90, in medians: a long tail is cut. */
const TAIL = 2.5;
/** Room right of the last reading when nothing lies ahead, of the past shown. */
const REACHED_SHARE = 0.04;
/** Least share of the width that shows the past. */
const PAST_SHARE = 0.3;

export function fanGeometry(input: FanInput): Fan {
  const past = input.points.filter((point) => point.at <= input.now.at).sort((a, b) => a.at - b.at);
  const measured = past[0] === undefined ? 0 : input.now.at - past[0].at;
  // Once the limit is reached there is nothing ahead: the picture is the way to it.
  const reached = input.p50 <= input.now.at;
  const ahead = reached
    ? Math.max(1, measured * REACHED_SHARE)
    : Math.max(1, Math.min(input.p90 - input.now.at, (input.p50 - input.now.at) * TAIL) * 1.06);
  const longest = reached ? measured : ahead * (1 / PAST_SHARE - 1);
  const least = reached ? 0 : (ahead * PAST_SHARE) / (1 - PAST_SHARE);
  const from = input.now.at - Math.min(longest, Math.max(least, measured));
  const to = input.now.at + ahead;
  const right = input.width - RIGHT;
  const bottom = input.height - BOTTOM;
  const x = (at: number): number => LEFT + ((at - from) / (to - from)) * (right - LEFT);
  const y = (value: number): number => bottom - (value / 100) * (bottom - TOP);
  const at = (time: number, value: number): string => `${x(time).toFixed(1)},${y(value).toFixed(1)}`;

  // Each ray runs from now to its crossing, and on below the limit to the edge of the picture.
  const ray = (crossing: number): Point => {
    const slope = (input.limit - input.now.value) / Math.max(1, crossing - input.now.at);
    const end = Math.min(to, slope < 0 ? input.now.at - input.now.value / slope : to);
    return { at: end, value: Math.max(0, input.now.value + slope * (end - input.now.at)) };
  };
  const fast = ray(input.p10);
  const slow = ray(input.p90);
  const middle = ray(input.p50);
  const corner = fast.at < to ? [at(to, 0)] : [];
  const shown = past.filter((point) => point.at >= from);
  return {
    history: linesOf([...shown, input.now], x, y),
    fan: reached ? '' : [at(input.now.at, input.now.value), at(fast.at, fast.value), ...corner, at(slow.at, slow.value)].join(' '),
    median: reached ? '' : `${at(input.now.at, input.now.value)} ${at(middle.at, middle.value)}`,
    now: { x: x(input.now.at), y: y(input.now.value) },
    cross: input.p50 > input.now.at && input.p50 <= to ? { x: x(input.p50), y: y(input.limit) } : null,
    limit: y(input.limit),
    ticks: [0, 50, 100].map((value) => ({ value, y: y(value) })),
    top: TOP,
    bottom,
    right,
  };
}

function linesOf(points: Point[], x: (at: number) => number, y: (value: number) => number): string[] {
  if (points.length < 2) return [];
  return [points.map((point) => `${x(point.at).toFixed(1)},${y(point.value).toFixed(1)}`).join(' ')];
}

/** Health values for a sparkline: oldest first, at most `most`. */
export function sparkValues(points: { at: string; health: number }[], most: number): number[] {
  return [...points].sort((a, b) => Date.parse(a.at) - Date.parse(b.at)).slice(-most).map((point) => point.health);
}

