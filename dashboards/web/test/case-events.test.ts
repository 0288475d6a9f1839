import { describe, expect, it } from 'vitest';
import { timelineOf } from '../src/lib/case-events';

const NAMES = new Map([['wang-li', '王丽']]);
const told = (kind: string, detail: Record<string, unknown> | null, by: string | null = null) =>
  timelineOf([{ at: '2026-03-02T06:00:00Z', kind, by, detail }], NAMES, (mode) => `mode ${mode}`)[0];

describe('the timeline of a case', () => {
  it.each([
    ['assigned', { to: 'wang-li' }, 'Assigned', 'to 王丽'],
    ['handed_over', { to: 'wang-li', from: 'mia', note: 'drive end first' }, 'Handed over', 'to 王丽 · drive end first'],
    ['escalated', { chain: 'urgent', step: 2, to: { role: 'regional_manager' } }, 'Escalated', 'to Regional manager'],
    ['escalated', { to: { rota: null } }, 'Escalated', 'to whoever is on call'],
    ['escalated', { to: 'assignee' }, 'Escalated', 'to whoever has the case'],
    ['severity_raised', { from: 'watch', to: 'critical' }, 'Severity raised', 'Critical'],
    ['commented', { text: '<b>burnt</b>' }, 'Comment', '<b>burnt</b>'],
    ['order_completed', { work_order: 'WO-7', outcome: 'other_fault_found', failure_mode: 'cavitation', part: 'impeller' }, 'Work order completed', 'WO-7 · Other fault found · mode cavitation · impeller'],
    ['watch_listed', { reason: { en: 'the crew is full', zh: '人手已满' } }, 'Put on the watch list', 'the crew is full'],
    ['suppressed', { reason: 'common_cause', until: null, by: null, parent: 'C-1' }, 'Suppressed', 'one cause with others of this site'],
    ['withdrawn', { reason: 'cleared', words: { en: 'The alarm has been over for a day.', zh: '报警已结束一天。' }, work_order: 'WO-7' }, 'Proposal withdrawn', 'WO-7 · The alarm has been over for a day.'],
    ['acknowledged', null, 'Acknowledged', null],
  ])('tells %s %j', (kind, detail, title, note) => expect(told(kind, detail)).toMatchObject({ title, note }));
  it('names who did it', () => expect(told('acknowledged', null, 'wang-li')?.by).toBe('王丽'));
});
