// Words of planned work in the reader's language.

import { m } from '../paraglide/messages.js';
import type { Connector, Delivery, DeliveryState } from './plan-types';

const STATE: Record<DeliveryState, () => string> = { waiting: m.delivery_waiting, delivered: m.delivery_delivered, stuck: m.delivery_stuck, withdrawn: m.delivery_withdrawn };
const KIND: Record<Delivery['kind'], () => string> = { create: m.delivery_create, amend: m.delivery_amend, withdraw: m.delivery_withdraw };
const CONNECTOR: Record<Connector['state'], () => string> = { ok: m.connector_ok, waiting: m.delivery_waiting, stuck: m.delivery_stuck };

export const deliveryWord = (state: DeliveryState): string => STATE[state]?.() ?? state;
export const deliveryKind = (kind: Delivery['kind']): string => KIND[kind]?.() ?? kind;
/** The one inside the program has no name of its own. */
export const connectorName = (name: string): string => (name === 'builtin' ? m.connector_builtin() : name);

export const connectorWord = (state: Connector['state']): string => CONNECTOR[state]?.() ?? state;

const SKILL: Record<string, () => string> = {
  mechanical: m.skill_mechanical,
  electrical: m.skill_electrical,
  vibration: m.skill_vibration,
  hydraulics: m.skill_hydraulics,
  general: m.skill_general,
  lubrication: m.skill_lubrication,
  alignment: m.skill_alignment,
  refrigeration: m.skill_refrigeration,
  'working at height': m.skill_height,
  'power electronics': m.skill_power,
  compressor: m.skill_compressor,
  lifting: m.skill_lifting,
  batteries: m.skill_batteries,
  'fire safety': m.skill_fire,
};

/** A skill of the job plans that come with the program; a plant's own goes by its name. */
export const skillWord = (skill: string): string => SKILL[skill]?.() ?? skill;
