// What a rule says, as a sentence made of what must hold: one message for each kind of
// condition, because word order differs.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';
import { formatPercent, withUnit } from './format';
import type { Condition, Level, RuleWhole } from './rule-types';
import { inside } from './sentences';
import { formatDuration } from './time';
import { doingWord, faultWords, sensorWord, stateWord } from './words';

/** What a signal is called and measured in, where the page knows. */
export interface SignalWords {
  name: (signal: string) => string;
  unit: (signal: string) => string | null;
}

/** A level as it was written: nobody rounds a limit. */
const plain = (value: number): string => new Intl.NumberFormat(getLocale(), { maximumFractionDigits: 6 }).format(value).replace('-', '−');
const length = (seconds: number): string => formatDuration(seconds * 1_000, getLocale());
const any = (words: string[]): string => new Intl.ListFormat(getLocale(), { type: 'disjunction' }).format(words);
const small = (word: string): string => (getLocale() === 'en' ? word.toLowerCase() : word);
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const HEALTH: Record<string, () => string> = { learning: m.state_learning, normal: m.state_healthy, watch: m.state_watch, alarm: m.legend_alarm };

/** States of a machine: what it does, or what state detection says of it. */
function stateWords(states: Extract<Condition, { kind: 'state' }>['states']): string {
  return any(
    states.map((state) => small('operating' in state ? doingWord({ name: state.operating, regime: 0 }, false) : (HEALTH[state.condition]?.() ?? stateWord('watch')))),
  );
}

/** What must hold for a rule to alarm. */
export function conditionSentence(condition: Condition, words: SignalWords): string {
  const signal = 'signal' in condition && condition.signal !== null ? capital(words.name(condition.signal)) : '';
  const level = (of: string, one: Level): string => withUnit(plain(one.on), words.unit(of));
  switch (condition.kind) {
    case 'threshold': {
      const told = { signal, level: level(condition.signal, condition.level) };
      return condition.level.above ? m.rule_says_above(told) : m.rule_says_below(told);
    }
    case 'rate': {
      const told = { signal, level: level(condition.signal, condition.level), per: length(condition.per_s), over: length(condition.over_s) };
      return condition.level.above ? m.rule_says_rate_above(told) : m.rule_says_rate_below(told);
    }
    case 'no_data':
      return condition.signal === null ? m.rule_says_no_data({ length: length(condition.for_s) }) : m.rule_says_no_data_of({ signal: inside(words.name(condition.signal)), length: length(condition.for_s) });
    case 'state':
      return m.rule_says_state({ states: stateWords(condition.states), length: length(condition.for_s) });
    case 'count': {
      const { of } = condition;
      const told = { times: condition.at_least, length: length(condition.within_s) };
      if (of.count_of === 'states') return m.rule_says_count_state({ ...told, states: stateWords(of.states) });
      const crossed = { ...told, signal: capital(words.name(of.signal)), level: level(of.signal, of.level) };
      return of.level.above ? m.rule_says_count_above(crossed) : m.rule_says_count_below(crossed);
    }
    case 'zone':
      return m.rule_says_zone({ signal, zone: condition.zone });
    case 'score':
      return condition.level.above ? m.rule_says_score({ level: plain(condition.level.on) }) : m.rule_says_below({ signal: m.score_title(), level: plain(condition.level.on) });
    case 'health':
      return condition.level.above ? m.rule_says_above({ signal: m.health(), level: plain(condition.level.on) }) : m.rule_says_health({ level: plain(condition.level.on) });
    case 'sensor': {
      const what = any(condition.faults.length > 0 ? condition.faults.map((fault) => small(faultWords(fault).name)) : condition.states.map((state) => small(sensorWord(state))));
      return condition.signal === null ? m.rule_says_sensor({ what }) : m.rule_says_sensor_of({ signal: inside(words.name(condition.signal)), what });
    }
    case 'failure_within':
      return m.rule_says_failure({ length: length(condition.horizon_s), level: formatPercent(condition.level.on, getLocale()) });
  }
}

/** How long it must hold. */
export const lastsText = (rule: RuleWhole): string => (rule.on_delay_s > 0 ? length(rule.on_delay_s) : m.rule_at_once());

/** When it is over; null for what has no level to come back to. */
export function overText(rule: RuleWhole, words: SignalWords): string | null {
  const { condition } = rule;
  if (!('level' in condition)) return null;
  const off = plain(condition.level.off);
  const told = { level: 'signal' in condition ? withUnit(off, words.unit(condition.signal)) : off, length: length(rule.off_delay_s) };
  return condition.level.above ? m.rule_over_under(told) : m.rule_over_upper(told);
}

/** The operating states it judges in; null for all of them. */
export const whileText = (rule: RuleWhole): string | null => (rule.while.length === 0 ? null : any(rule.while.map((name) => small(doingWord({ name, regime: 0 }, false)))));
