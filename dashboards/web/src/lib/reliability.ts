// The reliability of probabilities as a picture, and models as a person compares them. Pure.

import type { Calibration, PrognosisModel, Reliability } from './prognosis-types';
import type { Label } from './types';

export interface ReliabilityPoint {
  x: number;
  y: number;
  /** Radius: the area grows with the forecasts behind the point. */
  r: number;
  said: number;
  happened: number;
  rows: number;
}

const MIN_RADIUS = 2.5;
const MAX_RADIUS = 11;

/** Points of a calibration plot in a square of `size`; empty bins say nothing. */
export function reliabilityPoints(table: Reliability, size: number): ReliabilityPoint[] {
  const most = Math.max(1, ...table.bins.map((bin) => bin.rows));
  return table.bins
    .filter((bin) => bin.rows > 0)
    .map((bin) => ({
      x: bin.said * size,
      y: size - bin.happened * size,
      r: Math.max(MIN_RADIUS, MAX_RADIUS * Math.sqrt(bin.rows / most)),
      said: bin.said,
      happened: bin.happened,
      rows: bin.rows,
    }));
}

/** Calendar seconds of a cycle of a model; null when it is not known. */
export function cycleSeconds(model: PrognosisModel): number | null {
  return model.metrics.calendar_cycle_s ?? model.metrics.cycle_s ?? null;
}

/** The part of the error of a forecast without a look that the model takes away. */
export function gain(model: PrognosisModel): number | null {
  const { rmse_cycles: error, baseline_rmse_cycles: baseline } = model.metrics;
  return error === undefined || baseline === undefined || !(baseline > 0) ? null : 1 - error / baseline;
}

/** The span in which the 80 % interval should hold the truth: two standard errors around what was measured. */
export function coverageSpan(calibration: Calibration): [number, number] {
  const reach = 2 * calibration.coverage_error;
  return [Math.max(0, calibration.coverage - reach), Math.min(1, calibration.coverage + reach)];
}

/** Whether a model's numbers may be read as probabilities. */
export const isCalibrated = (model: PrognosisModel): boolean => model.metrics.served?.served === 'probability';

/** Why they may not; null when they may, or when nobody said. */
export function doubtOf(model: PrognosisModel): Label | null {
  const served = model.metrics.served;
  return served?.served === 'rank' ? served.reason : null;
}

export interface Kind {
  asset_model: string;
  versions: PrognosisModel[];
  champion: PrognosisModel | null;
  challengers: number;
}

/** Versions by kind of machine, by name; the newest version first. */
export function kindsOf(models: PrognosisModel[]): Kind[] {
  const found = new Map<string, PrognosisModel[]>();
  for (const model of models) found.set(model.asset_model, [...(found.get(model.asset_model) ?? []), model]);
  return [...found.entries()]
    .sort(([a], [b]) => a.localeCompare(b, 'en'))
    .map(([asset_model, all]) => {
      const versions = [...all].sort((a, b) => b.version - a.version);
      return {
        asset_model,
        versions,
        champion: versions.find((one) => one.state === 'champion') ?? null,
        challengers: versions.filter((one) => one.state === 'challenger').length,
      };
    });
}

/** The version a page shows first: the one asked for, else the one that serves, else the newest. */
export function shownVersion(kind: Kind, asked: string | null): PrognosisModel | null {
  return kind.versions.find((one) => String(one.version) === asked) ?? kind.champion ?? kind.versions[0] ?? null;
}
