// The ledger of savings by customer, model or month.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';
import type { SavingKind, SavingsRow } from './rule-types';
import { named } from './words';

export const GROUPS = ['month', 'customer', 'model'] as const;
export type Group = (typeof GROUPS)[number];

/** What the rows of a group are told apart by; rows without it stand under a dash. */
export const rowKey = (row: SavingsRow, by: Group): string => row[by] ?? '–';

export function groupName(row: SavingsRow, by: Group): string {
  if (by === 'customer') return row.customer_name ?? row.customer ?? m.not_known();
  if (by === 'model') return row.model === null ? m.not_known() : named(row.model_name, row.model);
  if (row.month === null) return m.not_known();
  return new Intl.DateTimeFormat(getLocale() === 'en' ? 'en-GB' : getLocale(), { year: 'numeric', month: 'long', timeZone: 'UTC' }).format(Date.parse(`${row.month}-01T00:00:00Z`));
}

const WORD: Record<SavingKind, () => string> = {
  avoided: m.saving_avoided,
  false_alarms: m.saving_false_alarms,
  missed: m.saving_missed,
  too_late: m.saving_too_late,
  sensors: m.saving_sensors,
};
export const savingWord = (kind: SavingKind): string => WORD[kind]();

/** Kinds as single entries are named. */
export const ENTRY: Record<SavingKind, string> = { avoided: 'avoided', false_alarms: 'false_alarm', missed: 'missed', too_late: 'too_late', sensors: 'sensor' };
