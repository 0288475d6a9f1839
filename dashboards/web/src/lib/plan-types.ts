// The shapes of the API of planned work: job plans, the date as a cost decision, delivery.

import type { Iso, Label } from './types';

export interface PlanPart {
  part: string;
  name: Label;
  quantity: number;
  unit_cost: number;
}

export interface PlanStep {
  text: Label;
  minutes: number;
}

/** What a repair takes; the copy an order carries does not change with the plan. */
export interface JobPlan {
  id: string;
  version: number;
  name: Label;
  /** How many people it takes. */
  crew: number;
  duration_s: number;
  skills: string[];
  safety: Label[];
  steps: PlanStep[];
  parts: PlanPart[];
}

export interface Costs {
  planned: number;
  failure: number;
  inspection: number;
  expected_avoided: number | null;
  currency: string;
}

/** What each date costs: having run on until then, the planned work then, and both. */
export interface CostPoint {
  at: Iso;
  run_on: number;
  planned: number;
  total: number;
}

export interface DateDecision {
  chosen: Iso;
  basis: 'calibrated' | 'severity';
  curve: CostPoint[];
  /** What a week later costs; below zero where waiting saves. */
  delay_week_cost: number | null;
  words: Label;
  currency: string;
}

export type DeliveryState = 'waiting' | 'delivered' | 'stuck' | 'withdrawn';

/** Something told to the service system that carries an order out. */
export interface Delivery {
  id: number;
  connector: string;
  work_order: string;
  case: string | null;
  kind: 'create' | 'amend' | 'withdraw';
  state: DeliveryState;
  /** What the order is called there, and how it stands there. */
  reference: string | null;
  remote_status: string | null;
  attempts: number;
  last_error: string | null;
  created_at: Iso;
  settled_at: Iso | null;
}

/** A service system orders go to. */
export interface Connector {
  name: string;
  kind: string;
  state: 'ok' | 'waiting' | 'stuck';
  mapping: string | null;
  base_url: string | null;
  waiting: number;
  delivered: number;
  stuck: number;
  withdrawn: number;
  last_error: string | null;
}

/** What an order carries beyond its asset and its dates. */
export interface Planning {
  priority: number | null;
  plan: JobPlan | null;
  due_from: Iso | null;
  costs: Costs | null;
  date: DateDecision | null;
}
