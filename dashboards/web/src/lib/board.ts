// The order of orders: on the board by urgency, among the closed ones by time.

import { BOARD } from './rank';
import type { Severity, WorkOrder } from './types';

export { BOARD };

const SEVERITY: Record<Severity, number> = { critical: 0, warning: 1, watch: 2 };

/** Scheduled ones by their date; open ones by severity, then due date; closed ones newest first. */
export function sortOrders(orders: WorkOrder[]): WorkOrder[] {
  return [...orders].sort((a, b) => {
    if (a.status === 'completed' || a.status === 'cancelled') return Date.parse(b.updated_at) - Date.parse(a.updated_at);
    const date = (order: WorkOrder): number => Date.parse(order.scheduled_for ?? order.due_by ?? '') || Number.POSITIVE_INFINITY;
    const rank = (order: WorkOrder): number => (order.severity === null ? 3 : SEVERITY[order.severity]);
    const first = a.status === 'scheduled' ? date(a) - date(b) : rank(a) - rank(b);
    return first || (date(a) === date(b) ? 0 : date(a) - date(b)) || a.id.localeCompare(b.id);
  });
}
