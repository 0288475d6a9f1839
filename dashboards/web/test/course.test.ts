import { describe, expect, it } from 'vitest';
import { alarmsOf, bandsOf, deviationAt, doingAt, doingOf, doubtsOf, heldAt, lanesOf, reasonRows, relearnedAt, scoreLimit, scoreSteps } from '../src/lib/course';
import type { Course, DeviceCourse, OperatingState, SensorVerdict } from '../src/lib/types';

const MINUTE = 60_000;
const iso = (minute: number): string => new Date(minute * MINUTE).toISOString();
const span = (from: number, to: number): { from: number; to: number } => ({ from: from * MINUTE, to: to * MINUTE });
const running: OperatingState = { name: 'running', regime: 0 };

function aDevice(change: Partial<DeviceCourse> = {}): DeviceCourse {
  return {
    device: 'd',
    at: [iso(0), iso(10), iso(20)],
    score: [null, 0.5, 2],
    limit: 1,
    alarms: [],
    operating: [{ from: iso(0), state: running }],
    baselines: [],
    signals: [
      { signal: 'flow', deviation: [null, 0.5, -4], normal: [{ from: iso(10), low: 28, high: 32 }, { from: iso(20), low: 29, high: 33 }] },
      { signal: 'heat', deviation: [null, 1, 7], normal: [] },
    ],
    ...change,
  };
}
const aCourse = (change: Partial<Course> = {}): Course => ({ from: iso(0), to: iso(60), complete: true, devices: [aDevice()], sensors: [], ...change });

describe('a normal band', () => {
  it('holds until it is said anew, and reaches to the edge', () =>
    expect(bandsOf(aCourse(), 'd', 'flow', span(5, 60))).toEqual([{ ...span(10, 20), low: 28, high: 32 }, { ...span(20, 60), low: 29, high: 33 }]));
  it('said before the window is cut to it', () =>
    expect(bandsOf(aCourse(), 'd', 'flow', span(30, 60))).toEqual([{ ...span(30, 60), low: 29, high: 33 }]));
  it('is absent where none was said', () => expect(bandsOf(aCourse(), 'd', 'heat', span(0, 60))).toEqual([]));
});

describe('what the machine was doing', () => {
  it('is one stretch while it stays the same, regimes told apart', () => {
    const operating = [
      { from: iso(0), state: { name: 'off' } as const },
      { from: iso(10), state: running },
      { from: iso(20), state: { name: 'running', regime: 0 } as const },
      { from: iso(30), state: { name: 'running', regime: 1 } as const },
    ];
    const doing = doingOf(aCourse({ devices: [aDevice({ operating })] }), span(5, 60));
    expect(doing.map((one) => [one.from / MINUTE, one.to / MINUTE])).toEqual([[5, 10], [10, 30], [30, 60]]);
    expect(doingAt(doing, 12 * MINUTE)).toEqual(running);
    expect(doingAt(doing, 1 * MINUTE)).toBeNull();
  });
  it('is told by the device that can tell', () => {
    const silent = aDevice({ operating: [{ from: iso(0), state: { name: 'unknown' } }] });
    expect(doingOf(aCourse({ devices: [silent] }), span(0, 60))).toEqual([]);
    expect(doingOf(aCourse({ devices: [silent, aDevice()] }), span(0, 60))).toHaveLength(1);
  });
});

describe('doubt about a sensor', () => {
  const verdict: SensorVerdict = { signal: 'flow', state: 'faulty', since: iso(15), fault: 'stuck', confidence: 0.9, value: 1, expected: null, detail: {} };
  const course = aCourse({ sensors: [{ ...verdict, device: 'd', to: null }, { ...verdict, device: 'd', to: iso(5), since: iso(2) }] });
  it('that lasts reaches to the edge', () =>
    expect(doubtsOf(course, 'd', 'flow', span(10, 60))).toMatchObject([{ ...span(15, 60), verdict, lasts: true }]));
  it('is of one signal of one device', () => {
    expect(doubtsOf(course, 'd', 'heat', span(0, 60))).toEqual([]);
    expect(doubtsOf(course, 'e', 'flow', span(0, 60))).toEqual([]);
    expect(doubtsOf(course, 'd', 'flow', span(0, 60))).toHaveLength(2);
  });
});

it.each([[0, -1], [10, 0], [19, 0], [20, 1], [99, 1]])('at %i the value at place %i is held', (at, place) => expect(heldAt([10, 20], at)).toBe(place));

describe('the score', () => {
  it('is held until the next word, to the edge', () =>
    expect(scoreSteps(aCourse(), span(5, 60))).toEqual({ at: [5, 10, 20, 60].map((at) => at * MINUTE), value: [null, 0.5, 2, 2] }));
  it('of two devices is the worse one at each moment', () => {
    const other = aDevice({ device: 'e', at: [iso(0), iso(15)], score: [1, 0.1], signals: [] });
    expect(scoreSteps(aCourse({ devices: [aDevice(), other] }), span(5, 60)).value).toEqual([1, 1, 0.5, 2, 2]);
  });
  it('has a limit, 1 where none was said', () => {
    expect(scoreLimit(aCourse({ devices: [aDevice({ limit: null }), aDevice({ limit: 1.2 })] }))).toBe(1.2);
    expect(scoreLimit(aCourse({ devices: [] }))).toBe(1);
  });
});

describe('lanes', () => {
  it('put the signal first that went furthest, whatever its sign, and lose no peak', () => {
    const lanes = lanesOf(aCourse(), span(0, 60), 6);
    expect(lanes.map((lane) => [lane.signal, lane.peak])).toEqual([['heat', 7], ['flow', -4]]);
    expect(lanes[1]?.columns).toEqual([0.5, -4, -4, -4, -4, -4]);
  });
  it('begin with what held before the window', () => expect(lanesOf(aCourse(), span(30, 60), 2)[0]?.columns).toEqual([7, 7]));
  it('have no values while nothing was said', () => expect(lanesOf(aCourse(), span(0, 9), 3)[0]?.columns).toEqual([null, null, null]));
  it('keep a short peak within a wide column', () => {
    const device = aDevice({ at: [iso(0), iso(20), iso(21)], score: [0, 2, 0], signals: [{ signal: 'flow', deviation: [0.1, -9, 0.2], normal: [] }] });
    expect(lanesOf(aCourse({ devices: [device] }), span(0, 60), 2)[0]?.columns).toEqual([-9, 0.2]);
  });
});

it('a deviation holds until the next word', () => {
  expect(deviationAt(aCourse(), 'd', 'flow', 19 * MINUTE)).toBe(0.5);
  expect(deviationAt(aCourse(), 'd', 'flow', 99 * MINUTE)).toBe(-4);
  expect(deviationAt(aCourse(), 'nobody', 'flow', 0)).toBeNull();
});

it('alarms are cut to the window, and one that stands reaches to its edge', () =>
  expect(alarmsOf(aCourse({ devices: [aDevice({ alarms: [{ from: iso(1), to: iso(6) }, { from: iso(50), to: null }] })] }), span(5, 60))).toEqual([span(5, 6), span(50, 60)]));

it('a new normal is told, the one that held already is not', () => {
  const baselines = [iso(0), iso(30)].map((from) => ({ from, learned_from: from, learned_to: from, rows: 1 }));
  expect(relearnedAt(aCourse({ devices: [aDevice({ baselines })] }), span(0, 60))).toEqual([30 * MINUTE]);
});

it('a table is as short as asked, and keeps the row with the highest score', () => {
  const rows = reasonRows(aCourse(), [{ device: 'd', signal: 'flow' }], span(0, 60), 2);
  expect(rows.map((row) => [row.at / MINUTE, row.score, row.deviations[0]])).toEqual([[10, 0.5, 0.5], [20, 2, -4]]);
  expect(reasonRows(aCourse(), [], span(0, 60), 99)).toHaveLength(4);
});
