// Words of planned work in the reader's language.

import { m } from '../paraglide/messages.js';
import type { Connector, Delivery, DeliveryState } from './plan-types';

const STATE: Record<DeliveryState, () => string> = { waiting: m.delivery_waiting, delivered: m.delivery_delivered, stuck: m.delivery_stuck, withdrawn: m.delivery_withdrawn };
const KIND: Record<Delivery['kind'], () => string> = { create: m.delivery_create, amend: m.delivery_amend, withdraw: m.delivery_withdraw };
const CONNECTOR: Record<Connector['state'], () => string> = { ok: m.connector_ok, waiting: m.delivery_waiting, stuck: m.delivery_stuck };

export const deliveryWord = (state: DeliveryState): string => STATE[state]?.() ?? state;
export const deliveryKind = (kind: Delivery['kind']): string => KIND[kind]?.() ?? kind;
export const connectorWord = (state: Connector['state']): string => CONNECTOR[state]?.() ?? state;
