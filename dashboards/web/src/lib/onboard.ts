// Onboarding files: the example to begin with, and the tokens to hand out. Pure.

import { csv } from './csv';
import type { OnboardReport } from './types';

/** Longer files are refused by the server. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** A file to begin with; only the first column has to be there. */
export const EXAMPLE = [
  'device,asset,asset_name,model,customer,site,signals',
  'pump-1-sensor,pump-1,Feed pump 1,centrifugal-pump,delta-foods,hall-3,bearing_temperature_c = °F [-40..250]',
  'pump-2-sensor,pump-2,Feed pump 2,centrifugal-pump,delta-foods,hall-3,',
].join('\n');

/** The tokens of a report as a file; they cannot be read again. */
export function tokensCsv(report: OnboardReport): string {
  return csv(
    ['device', 'token', 'credential'],
    report.tokens.map((entry) => [entry.device, entry.token, entry.credential]),
  );
}

/** Whether a file would change anything. */
export function changesAnything(report: OnboardReport): boolean {
  const { created, changed } = report;
  return [created.customers, created.sites, created.assets, created.devices, changed.assets, changed.devices].some((list) => list.length > 0);
}
