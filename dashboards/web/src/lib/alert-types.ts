// The shapes of the API of cases and the people who work on them: verdicts, suppression,
// silences, alarm rates, rotas, escalations and notifications.

import type { Iso, Label, Severity } from './types';

/** What a case is about: a sensor that cannot be believed, a change of duty, or the machine. */
export type Verdict = 'sensor' | 'operating' | 'machine';

/** What raised a case. */
export type CaseSource = { kind: 'model'; name: string | null } | { kind: 'rule'; id: string; version: number };

export type SuppressionReason = 'shelved' | 'silenced' | 'maintenance' | 'parent' | 'flood' | 'common_cause' | 'flapping' | 'stale';

/** Why a case makes neither an order nor a notification for now. */
export interface Suppression {
  reason: SuppressionReason;
  until: Iso | null;
  by: string | null;
  parent: string | null;
}

/** What cases carry beyond their evidence. */
export interface CaseHandling {
  verdict: Verdict;
  why: Label | null;
  source: CaseSource;
  assignee: string | null;
  parent: string | null;
  children: number;
  suppressed: Suppression | null;
  /** Why no order was made of it: others need the crew more. */
  watch_list: { reason: Label } | null;
  expected_avoided_cost: number | null;
  currency: string | null;
  stale: boolean;
}

/** Cases that match everything said here are suppressed until it ends. */
export interface Silence {
  id: number;
  asset: string | null;
  site: string | null;
  model: string | null;
  failure_mode: string | null;
  from: Iso;
  until: Iso;
  by: string;
  note: string;
  matched: number;
}

export type NewSilence = Partial<Record<'asset' | 'site' | 'model' | 'failure_mode' | 'note', string>> & { until: Iso; by: string };

/** How many alarms reach people, after ISA-18.2 and EEMUA 191. */
export interface AlarmRate {
  /** Null for a person. */
  site: string | null;
  /** Whose messages are counted, such as `person:wang-li`; null for a site. */
  operator: string | null;
  average_per_10_min: number;
  peak_per_10_min: number;
  flood_share: number;
  chattering: number;
  standing: number;
}

/** Somebody who is told. */
export interface Person {
  id: string;
  name: string;
  roles: string[];
  language: string;
  sites: string[];
  email: string | null;
  channel: string;
  /** How they are told of what is critical, when that is another way. */
  urgent_channel: string | null;
  /** The rotas by which they are on call now. */
  on_call: string[];
}

export interface Duty {
  person: string;
  name: string;
  from: Iso;
  until: Iso;
  stands_in: boolean;
}

/** Somebody who stands in; those without a number stand in the configuration and are changed there. */
export interface Override {
  id: number | null;
  person: string;
  from: Iso;
  until: Iso;
  by: string | null;
}

export interface Rota {
  id: string;
  time_zone: string;
  members: string[];
  sites: string[];
  now: Duty | null;
  ahead: Duty[];
  overrides: Override[];
}

/** How far the chain of a case has come. */
export interface Escalation {
  case: string;
  asset: string | null;
  severity: Severity | null;
  chain: string;
  since: Iso;
  acknowledged_at: Iso | null;
  resolved_at: Iso | null;
  next_at: Iso | null;
  /** `to` is `on_call`, `assignee`, or `rota:`, `role:`, `person:` or `channel:` with a name. */
  next: { step: number; after_s: number; unless: string; to: string } | null;
  told: { step: number; at: Iso }[];
}

export const NOTIFICATION_STATES = ['stuck', 'waiting', 'sent', 'digested', 'withdrawn'] as const;
export type NotificationState = (typeof NOTIFICATION_STATES)[number];

export interface Notification {
  id: string;
  kind: string;
  case: string | null;
  work_order: string | null;
  severity: Severity | null;
  person: string | null;
  /** `person:`, `group:` or `customer:` with an id. */
  recipient: string;
  channel: string;
  channel_kind: string | null;
  subject: string;
  state: NotificationState;
  attempts: number;
  created_at: Iso;
  next_at: Iso | null;
  sent_at: Iso | null;
  last_error: string | null;
}

export type NotificationSummary = Record<NotificationState, number>;

export interface CalendarFeed {
  id: number;
  engineer: string | null;
  by: string;
  entered_at: Iso;
  /** Where calendars read it; told once. */
  path: string | null;
}

/** What came of computing a case's evidence anew. */
export interface EvidenceReplay {
  same: boolean;
  recorded: number;
  recomputed: number | null;
  /** Rows that were frozen and computed again. */
  rows: number;
  program: string;
  why: string | null;
}
