// The samples of a vibration snapshot, made drawable. Pure.

/** 32-bit floats in little-endian order, whatever order this machine has. */
export function littleEndian(buffer: ArrayBuffer): Float32Array {
  const view = new DataView(buffer);
  const samples = new Float32Array(Math.floor(buffer.byteLength / 4));
  for (let at = 0; at < samples.length; at++) samples[at] = view.getFloat32(4 * at, true);
  return samples;
}

export interface Course {
  /** Seconds after the first sample. */
  at: number[];
  low: number[];
  high: number[];
}

/**
 * Samples as at most so many columns, each with its smallest and largest value: an impact of one
 * sample stays visible however wide the snapshot is.
 */
export function columns(samples: Float32Array, rateHz: number, from: number, to: number, most: number): Course {
  const first = Math.max(0, Math.floor(from * rateHz));
  const last = Math.min(samples.length, Math.ceil(to * rateHz) + 1);
  const size = Math.max(1, Math.ceil((last - first) / Math.max(1, most)));
  const course: Course = { at: [], low: [], high: [] };
  for (let start = first; start < last; start += size) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let at = start; at < Math.min(last, start + size); at++) {
      const value = samples[at] as number;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    course.at.push(start / rateHz);
    course.low.push(low);
    course.high.push(high);
  }
  return course;
}

/** A duration in seconds as people say it: "320 ms", "1.28 s". */
export function durationText(seconds: number, locale: string): string {
  const [value, unit] = seconds < 1 ? [seconds * 1_000, 'ms'] : [seconds, 's'];
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(value)}\u202f${unit}`;
}

/** A rate with the prefix that keeps it short: "25.6 kHz". */
export function rateText(hz: number, locale: string): string {
  const [value, unit] = hz >= 1_000 ? [hz / 1_000, 'kHz'] : [hz, 'Hz'];
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 4 }).format(value)}\u202f${unit}`;
}
