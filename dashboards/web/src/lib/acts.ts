// Actions of a person on cases and orders: signed with a name, told when they fail.

import { m } from '../paraglide/messages.js';
import { actor } from './actor.svelte';
import { alerts } from './alert-api';
import { api, whatWentWrong, type OrderStep } from './api';
import { live } from './live.svelte';
import type { OrderAction } from './rank';
import { tell } from './tell.svelte';
import type { TrainingJob } from './prognosis-types';
import type { AssetSummary, Case, WorkOrder } from './types';
import { orderWord } from './words';

/** Runs something that changes nothing and needs no name; null, and told why, when it failed. */
export async function attempt<T>(run: () => Promise<T>, done: (result: T) => string): Promise<T | null> {
  try {
    const result = await run();
    tell.say(done(result));
    return result;
  } catch (error) {
    tell.say(m.action_failed({ why: whatWentWrong(error, m.error_unreachable()) }), true);
    return null;
  }
}

/** Runs an action under a name and tells what became of it; null when nothing did. */
export async function act<T>(run: (by: string) => Promise<T>, done: (result: T) => string): Promise<T | null> {
  const by = await actor.name();
  return by === null ? null : attempt(() => run(by), done);
}

/** Changes a case and keeps the list current; whether it was changed. */
async function actOn(item: Case, run: (by: string) => Promise<Case>, done: () => string): Promise<boolean> {
  const changed = await act(run, done);
  if (changed !== null) live.cases.set(item.id, { ...item, ...changed });
  return changed !== null;
}

export const acknowledge = (item: Case): Promise<boolean> =>
  actOn(item, (by) => alerts.acknowledge(item.id, by), () => m.acknowledged_told({ asset: item.asset_name }));

export const shelve = (item: Case, until: string, note: string): Promise<boolean> =>
  actOn(item, (by) => alerts.shelve(item.id, { by, until, ...noted(note) }), () => m.shelved_told({ asset: item.asset_name }));

export const unshelve = (item: Case): Promise<boolean> =>
  actOn(item, (by) => alerts.unshelve(item.id, by), () => m.unshelved_told({ asset: item.asset_name }));

export const separate = (item: Case): Promise<boolean> =>
  actOn(item, (by) => alerts.separate(item.id, by), () => m.separated_told({ asset: item.asset_name }));

export const assign = (item: Case, to: string, name: string): Promise<boolean> =>
  actOn(item, (by) => alerts.assign(item.id, { by, to }), () => m.assigned_told({ name }));

export const handOver = (item: Case, to: string, name: string, note: string): Promise<boolean> =>
  actOn(item, (by) => alerts.handOver(item.id, { by, to, ...noted(note) }), () => m.handed_over_told({ name }));

export const comment = (item: Case, text: string): Promise<boolean> =>
  actOn(item, (by) => alerts.comment(item.id, { by, text }), () => m.commented_told());

/** Acknowledges many cases under one name; those that were refused are told once. */
export async function acknowledgeAll(items: Case[]): Promise<void> {
  await act(
    async (by) => {
      let failure: unknown = null;
      let done = 0;
      for (const item of items) {
        try {
          live.cases.set(item.id, { ...item, ...(await alerts.acknowledge(item.id, by)) });
          done += 1;
        } catch (error) {
          failure = error;
        }
      }
      if (failure !== null) throw failure;
      return done;
    },
    (done) => m.acknowledged_many({ count: done }),
  );
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
