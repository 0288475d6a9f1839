import { describe, expect, test } from 'vitest';
import { columns, durationText, littleEndian, rateText } from '../src/lib/waveform';

describe('the samples of a waveform', () => {
  test('are read as 32-bit floats in little-endian order', () => {
    // IEEE 754: 1.0 is 0x3f800000, -2.5 is 0xc0200000; a cut-off value at the end is left out.
    const bytes = new Uint8Array([0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x20, 0xc0, 0x01]);
    expect([...littleEndian(bytes.buffer)]).toEqual([1, -2.5]);
  });

  test('keep an impact of one sample however few columns there are', () => {
    const samples = new Float32Array(100_000);
    samples[54_321] = 9;
    samples[54_322] = -7;
    const course = columns(samples, 1_000, 0, 100, 300);
    expect(course.at.length).toBeLessThanOrEqual(300);
    expect(Math.max(...course.high)).toBe(9);
    expect(Math.min(...course.low)).toBe(-7);
  });

  test('come one by one where they fit, and only those of the span', () => {
    const samples = Float32Array.from({ length: 100 }, (_, at) => at);
    const course = columns(samples, 10, 2, 3, 500);
    expect(course.at[0]).toBe(2);
    expect(course.low).toEqual(course.high);
    expect(course.low).toEqual([20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    expect(columns(new Float32Array(), 10, 0, 1, 10).at).toEqual([]);
  });

  test('are told with units that keep the numbers short', () => {
    expect(durationText(0.32, 'en')).toBe('320\u202fms');
    expect(durationText(1.2799, 'en')).toBe('1.28\u202fs');
    expect(rateText(25_600, 'en')).toBe('25.6\u202fkHz');
    expect(rateText(800, 'en')).toBe('800\u202fHz');
  });
});
