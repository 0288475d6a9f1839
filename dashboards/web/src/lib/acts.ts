// Actions of a person on cases and orders: signed with a name, told when they fail.

import { m } from '../paraglide/messages.js';
import { actor } from './actor.svelte';
import { api, whatWentWrong, type OrderStep } from './api';
import { live } from './live.svelte';
import type { OrderAction } from './rank';
import { tell } from './tell.svelte';
import type { TrainingJob } from './prognosis-types';
import type { AssetSummary, Case, WorkOrder } from './types';
import { orderWord } from './words';

/** Runs an action and tells what became of it; null when nothing did. */
async function act<T>(run: (by: string) => Promise<T>, done: (result: T) => string): Promise<T | null> {
  const by = await actor.name();
  if (by === null) return null;
  try {
    const result = await run(by);
    tell.say(done(result));
    return result;
  } catch (error) {
    tell.say(m.action_failed({ why: whatWentWrong(error, m.error_unreachable()) }), true);
    return null;
  }
}

export async function acknowledge(item: Case): Promise<void> {
  const changed = await act(
    (by) => api.acknowledge(item.id, by),
    () => m.acknowledged_told({ asset: item.asset_name }),
  );
  if (changed !== null) live.cases.set(item.id, { ...item, ...changed });
}

export async function stepOrder(order: WorkOrder, action: OrderAction, step: Omit<OrderStep, 'by'>): Promise<boolean> {
  const changed = await act(
    (by) => api.step(order.id, action, { by, ...step }),
    (result) => m.order_told({ id: result.id, status: orderWord(result.status) }),
  );
  if (changed !== null) live.orders.set(changed.id, { ...order, ...changed });
  return changed !== null;
}

export async function createOrder(asset: string, kind: WorkOrder['kind'], note: string): Promise<WorkOrder | null> {
  const order = await act(
    (by) => api.createOrder({ asset, kind, note, by }),
    (result) => m.order_told({ id: result.id, status: orderWord(result.status) }),
  );
  if (order !== null) live.orders.set(order.id, order);
  return order;
}

/** Has an asset learn anew what is normal; whether it will. */
export async function acceptNormal(asset: AssetSummary): Promise<boolean> {
  const accepted = await act(
    (by) => api.acceptNormal(asset.id, by).then(() => true),
    () => m.accepted_told({ asset: asset.name }),
  );
  return accepted === true;
}

const noted = (note: string): { note?: string } => (note.trim() === '' ? {} : { note: note.trim() });

/** Lets a version of a model serve; whether it does. */
export async function promoteModel(model: string, version: number, note: string): Promise<boolean> {
  const done = await act(
    (by) => api.promote(model, version, { by, ...noted(note) }),
    (result) => m.promoted_told({ model, version: result.version }),
  );
  return done !== null;
}

/** Lets the version serve that did before; whether it does. */
export async function rollBackModel(model: string, note: string): Promise<boolean> {
  const done = await act(
    (by) => api.rollBack(model, { by, ...noted(note) }),
    (result) => m.promoted_told({ model, version: result.version }),
  );
  return done !== null;
}

export async function startTraining(asset_model: string): Promise<TrainingJob | null> {
  return act(
    (by) => api.train({ asset_model, by }),
    (job) => m.training_told_begun({ model: job.asset_model }),
  );
}
