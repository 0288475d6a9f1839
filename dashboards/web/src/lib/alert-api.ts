// The HTTP API of cases and the people who work on them.

import type {
  AlarmRate, CalendarFeed, Escalation, EvidenceReplay, NewSilence, Notification, NotificationSummary, Override, Person, Rota, Silence,
} from './alert-types';
import { address, all, get, id, post, send } from './http';
import type { Case, CaseDetail, Page } from './types';

/** Notifications read at once. */
const NOTIFICATIONS = 200;

export const alerts = {
  cases: (query: { status?: string; asset?: string } = {}) => all<Case>('/cases', query),
  case: (item: string) => get<CaseDetail>(`/cases/${id(item)}`),
  acknowledge: (item: string, by: string) => post<Case>(`/cases/${id(item)}/acknowledge`, { by }),
  shelve: (item: string, act: { by: string; until: string; note?: string }) => post<Case>(`/cases/${id(item)}/shelve`, act),
  unshelve: (item: string, by: string) => post<Case>(`/cases/${id(item)}/unshelve`, { by }),
  assign: (item: string, act: { by: string; to: string }) => post<Case>(`/cases/${id(item)}/assign`, act),
  comment: (item: string, act: { by: string; text: string }) => post<Case>(`/cases/${id(item)}/comment`, act),
  handOver: (item: string, act: { by: string; to: string; note?: string }) => post<Case>(`/cases/${id(item)}/hand-over`, act),
  replay: (item: string) => post<EvidenceReplay>(`/cases/${id(item)}/replay`, {}),
  /** Takes a case out of the group it belongs to. */
  separate: (item: string, by: string) => post<Case>(`/cases/${id(item)}/separate`, { by }),
  silences: async () => (await get<Page<Silence>>('/silences')).items,
  silence: (silence: NewSilence) => post<Silence>('/silences', silence),
  endSilence: (silence: number, by: string) => send<Silence>('DELETE', address(`/silences/${silence}`), { by }),
  alarmRates: () => get<Page<AlarmRate>>('/alarm-rates'),
  people: async () => (await get<Page<Person>>('/people')).items,
  rotas: async () => (await get<Page<Rota>>('/rota')).items,
  override: (rota: string, override: { person: string; from: string; until: string; by: string }) => post<Override>(`/rota/${id(rota)}/overrides`, override),
  endOverride: (rota: string, override: number) => send<null>('DELETE', address(`/rota/${id(rota)}/overrides/${override}`)),
  escalations: async (item?: string) => (await get<Page<Escalation>>('/escalations', { case: item })).items,
  notifications: (query: { state?: string; case?: string }) => get<Page<Notification>>('/notifications', { ...query, limit: NOTIFICATIONS }),
  notificationSummary: () => get<NotificationSummary>('/notifications/summary'),
  retry: (notification: string) => post<Notification>(`/notifications/${id(notification)}/retry`, {}),
  test: (message: { channel: string; person: string; by: string }) => post<Notification>('/notifications/test', message),
  calendarFeed: (feed: { engineer?: string; by: string }) => post<CalendarFeed>('/calendar-feeds', feed),
};
