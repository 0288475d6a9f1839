// What a spectrum shows beside its lines: the places where a damaged bearing would repeat. Pure.

import type { BearingSpectrum, SpectrumPoints } from './types';

/** A place on the axis of a spectrum, drawn as a line with its name. */
export interface Cursor {
  at: number;
  label: string;
  /** 1 for the line itself, 2 and more for its multiples. */
  harmonic: number;
}

/** How many multiples of a defect frequency are marked. */
export const HARMONICS = 5;

/** The names of the parts, as engineers write them. */
export const DEFECT_LABEL: Record<string, string> = { bpfo: 'BPFO', bpfi: 'BPFI', bsf2: '2×BSF', ftf: 'FTF' };

/** The cursors of one part of one bearing up to `most`; where a line was found, it is marked there. */
export function cursorsOf(bearings: BearingSpectrum[], bearing: string, defect: string, most: number): Cursor[] {
  const part = bearings.find((one) => one.name === bearing)?.defects.find((one) => one.defect === defect);
  if (part === undefined || !(part.at > 0)) return [];
  const label = DEFECT_LABEL[defect] ?? defect;
  const cursors: Cursor[] = [];
  for (let harmonic = 1; harmonic <= HARMONICS; harmonic++) {
    const at = part.harmonics[harmonic - 1]?.at ?? part.at * harmonic;
    if (at > most) break;
    cursors.push({ at, harmonic, label: harmonic === 1 ? label : `${harmonic}×` });
  }
  return cursors;
}

/** The shaft's speed and its multiples up to `most`. */
export function shaftCursors(turn: number | null, most: number): Cursor[] {
  if (turn === null || !(turn > 0)) return [];
  const cursors: Cursor[] = [];
  for (let harmonic = 1; harmonic <= HARMONICS && harmonic * turn <= most; harmonic++) {
    cursors.push({ at: harmonic * turn, harmonic, label: `${harmonic}×` });
  }
  return cursors;
}

/** The part of the axis worth seeing first: up to twice where nearly all of the power is. */
export function firstView(points: SpectrumPoints, marked: number): number {
  const highest = points.at[points.at.length - 1] ?? 1;
  const power = points.amplitude.map((value) => value * value);
  const total = power.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  for (let at = 0; at < power.length; at++) {
    sum += power[at] as number;
    if (sum >= 0.98 * total) return Math.min(highest, Math.max(2 * (points.at[at] as number), marked));
  }
  return highest;
}
