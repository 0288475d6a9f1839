// Words of cases and of people in the reader's language, and the sentences about what keeps a
// case from becoming an order.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';
import type { CaseSource, NotificationState, Suppression, SuppressionReason, Verdict } from './alert-types';
import { formatTime } from './time';

const VERDICT: Record<Verdict, [() => string, () => string]> = {
  sensor: [m.verdict_sensor, m.verdict_sensor_told],
  operating: [m.verdict_operating, m.verdict_operating_told],
  machine: [m.verdict_machine, m.verdict_machine_told],
};

/** The verdict in a word, and what follows from it in a sentence. */
export function verdictWords(verdict: Verdict): { name: string; what: string } {
  const words = VERDICT[verdict];
  return words === undefined ? { name: verdict, what: '' } : { name: words[0](), what: words[1]() };
}

const SUPPRESSED: Record<SuppressionReason, () => string> = {
  shelved: m.suppressed_shelved,
  silenced: m.suppressed_silenced,
  maintenance: m.suppressed_maintenance,
  parent: m.suppressed_parent,
  flood: m.suppressed_flood,
  common_cause: m.suppressed_common_cause,
  flapping: m.suppressed_flapping,
  stale: m.suppressed_stale,
};

/** Why something is suppressed, in a word; null when it is none of the known reasons. */
export const suppressionWord = (reason: string): string | null => (Object.hasOwn(SUPPRESSED, reason) ? SUPPRESSED[reason as SuppressionReason]() : null);

/** Why a case is suppressed, and until when. */
export function suppressionSentence(suppressed: Suppression, zone: string): string {
  const why = SUPPRESSED[suppressed.reason]?.() ?? suppressed.reason;
  if (suppressed.until === null) return why;
  return m.suppressed_until({ why, until: formatTime(Date.parse(suppressed.until), 'datetime', zone, getLocale()) });
}

export function sourceWords(source: CaseSource, ruleName: (rule: string) => string): string {
  return source.kind === 'rule' ? m.source_rule({ rule: ruleName(source.id), version: source.version }) : source.name === null ? m.source_models() : m.source_model({ model: source.name });
}

const NOTIFICATION: Record<NotificationState, () => string> = {
  waiting: m.notification_waiting,
  sent: m.notification_sent,
  digested: m.notification_digested,
  withdrawn: m.notification_withdrawn,
  stuck: m.notification_stuck,
};

export const notificationWord = (state: NotificationState): string => NOTIFICATION[state]?.() ?? state;

const NOTICE: Record<string, () => string> = {
  opened: m.event_opened,
  risen: m.event_severity_raised,
  assigned: m.event_assigned,
  commented: m.event_commented,
  escalated: m.event_escalated,
  digest: m.notice_digest,
  visit: m.notice_visit,
  test: m.notice_test,
};

/** What a message tells. */
export const noticeWord = (kind: string): string => NOTICE[kind]?.() ?? kind.replaceAll('_', ' ');

const ROLE: Record<string, () => string> = {
  planner: m.role_planner,
  engineer: m.role_engineer,
  regional_manager: m.role_regional_manager,
  'regional-manager': m.role_regional_manager,
  headquarters: m.role_headquarters,
};

/** Who is told: a role by its word, a person by name. */
export function recipientWords(to: string, names: ReadonlyMap<string, string>): string {
  if (to === 'on_call') return m.whoever_on_call();
  if (to === 'assignee') return m.whoever_has_it();
  const [, kind, name = ''] = /^(role|rota|person|channel|group|customer):(.+)$/.exec(to) ?? [];
  if (kind === 'role') return ROLE[name]?.() ?? name.replaceAll(/[_-]/g, ' ');
  if (kind === 'rota') return m.on_call_of({ rota: name });
  if (kind === 'customer') return m.customer_of({ customer: name });
  return kind === undefined ? (names.get(to) ?? to) : (names.get(name) ?? name);
}
