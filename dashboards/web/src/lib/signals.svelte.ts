// What the charts of a page show: one window over all signals, with what analytics said in it,
// kept up while the window follows the last measured time. "Now" plays no part: recordings are
// old and the demo's time runs fast. Readings are read as envelopes and only of the signals in
// sight, so that a page of sixty signals opens as fast as one of three.

import { api, type ApiError } from './api';
import { caseSpans, envelope, firstWindow, mergeSpans, type Envelope, type Span } from './chart-data';
import { alarmsOf, relearnedAt } from './course';
import { Resource } from './resource.svelte';
import { DAY } from './time';
import type { Bucket, Case, Course as Said, SignalView } from './types';

/** Points across a chart: about one for two pixels on a wide screen. */
const BUCKETS = 400;
/** A following chart is read again at most this often. */
const FOLLOW_MS = 1_000;

export interface Course {
  buckets: Bucket[];
  data: Envelope;
}

export const key = (signal: { device: string; signal: string }): string => `${signal.device}/${signal.signal}`;

/** One consistent answer: what the charts show, and over which window. */
export interface Picture {
  window: Span;
  said: Said;
  alarms: Span[];
  /** When a new normal was learned. */
  relearned: number[];
  courses: Map<string, Course>;
}

export class SignalCharts {
  picture = new Resource<Picture>();
  /** First measured time of any signal; null while unknown. */
  first = $state.raw<number | null>(null);
  private lastRead = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly asset: string) {}

  get error(): ApiError | null {
    return this.picture.error;
  }

  /** Reads the extent of the signals, so that a short recording fills its chart. */
  async extent(): Promise<void> {
    try {
      const signals = await api.signals(this.asset);
      const firsts = signals.map((signal) => Date.parse(signal.first_at ?? '')).filter((at) => !Number.isNaN(at));
      this.first = firsts.length > 0 ? Math.min(...firsts) : null;
    } catch {
      this.first = null; // The window then starts as long as it was asked for.
    }
  }

  /** The window that follows the last measured time. */
  following(last: number, spanMs: number | null): Span {
    if (spanMs === null) return { from: this.first ?? last - DAY, to: last };
    return firstWindow(this.first, last, spanMs);
  }

  /** Shows a window; waits a little when the last reading is fresh. */
  show(window: Span, signals: SignalView[], cases: Case[], last: number, now: boolean): void {
    clearTimeout(this.timer);
    const go = (): void => {
      // A picture that only moves on waits for the one before it; a new question does not.
      if (!now && this.picture.loading) this.timer = setTimeout(go, FOLLOW_MS / 4);
      else void this.read(window, signals, cases, last);
    };
    this.timer = setTimeout(go, now ? 0 : Math.max(0, this.lastRead + FOLLOW_MS - Date.now()));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private async read(window: Span, signals: SignalView[], cases: Case[], last: number): Promise<void> {
    this.lastRead = Date.now();
    await this.picture.read(async () => {
      // The end is exclusive in the API; the last reading belongs to the picture.
      const to = window.to + 1;
      const [said, ...answers] = await Promise.all([
        api.course(this.asset, window.from, to, BUCKETS),
        ...signals.map((signal) => api.buckets(signal.device, signal.signal, window.from, to, BUCKETS)),
      ]);
      const before = this.picture.data;
      // What was read of the same window stays, so that a chart that comes into sight again is there at once.
      const kept = before !== null && before.window.from === window.from && before.window.to === window.to ? before.courses : [];
      const courses = new Map<string, Course>(kept);
      signals.forEach((signal, at) => {
        const buckets = answers[at]?.items ?? [];
        courses.set(key(signal), { buckets, data: envelope(buckets) });
      });
      const alarms = mergeSpans([...alarmsOf(said, window), ...caseSpans(cases, last)]);
      return { window, said, alarms, relearned: relearnedAt(said, window), courses };
    });
  }
}

