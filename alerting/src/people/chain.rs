//! Who is told next, for as long as nobody takes a case in hand.
//!
//! A chain is a list of steps, each after a time and with the condition that ends it: a step that
//! waits for somebody to take the case is passed over once somebody has, one that waits for the
//! problem to be solved only when the alarm has ended or the case is closed. The state of a case
//! in its chain is an [`Escalation`], and everything that happens goes through [`Escalation::next`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetry::{ChainId, ChannelId, PersonId, RotaId, Severity, SiteId, Timestamp};

use super::{HEADQUARTERS, PLANNER, REGIONAL_MANAGER};

/// Steps of a chain; one that nobody answers after ten has another problem.
pub const MAX_STEPS: usize = 20;

/// Whom a step tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Who is on call, by this rota or by each one that covers the site.
    Rota(Option<RotaId>),
    /// This person.
    Person(PersonId),
    /// Everybody of this role who covers the site.
    Role(String),
    /// A group that reads a channel.
    Channel(ChannelId),
    /// Who has the case.
    Assignee,
}

/// What ends a step before its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unless {
    /// Somebody has acknowledged the case or has it.
    Acknowledged,
    /// The alarm has ended or the case is closed.
    Resolved,
}

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// How long after the case was taken in.
    #[serde(serialize_with = "whole_seconds")]
    pub after: Duration,
    /// What ends it before.
    pub unless: Unless,
    /// Who is told.
    pub to: Target,
}

fn whole_seconds<S: serde::Serializer>(of: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(of.as_secs())
}

/// Who is told when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// Its id.
    pub id: ChainId,
    /// For cases at least this urgent.
    pub severity: Severity,
    /// For these sites; for all when empty.
    pub sites: Vec<SiteId>,
    /// Its steps, in the order of their times; at most [`MAX_STEPS`].
    pub steps: Vec<Step>,
}

impl Chain {
    /// Whether it is for such a case.
    pub fn fits(&self, severity: Severity, site: Option<&SiteId>) -> bool {
        severity >= self.severity
            && (self.sites.is_empty() || site.is_some_and(|site| self.sites.contains(site)))
    }

    /// The chains that hold where none are written. What is urgent is answered within two hours;
    /// what is not solved after a day goes to the regional manager and then to headquarters.
    ///
    /// # Panics
    /// Never: the ids written here keep the rule for ids.
    pub fn defaults() -> Vec<Self> {
        let hours = |hours: u64| Duration::from_hours(hours);
        let role = |role: &str| Target::Role(role.to_owned());
        let step = |after, unless, to| Step { after, unless, to };
        let chain = |id, severity, steps| Self {
            id: ChainId::new(id).expect("a plain word is an id"),
            severity,
            sites: Vec::new(),
            steps,
        };
        let unsolved = || {
            vec![
                step(hours(24), Unless::Resolved, role(REGIONAL_MANAGER)),
                step(hours(48), Unless::Resolved, role(HEADQUARTERS)),
            ]
        };
        let mut urgent = vec![
            step(hours(0), Unless::Acknowledged, Target::Rota(None)),
            step(hours(1), Unless::Acknowledged, role(PLANNER)),
            step(hours(2), Unless::Acknowledged, role(REGIONAL_MANAGER)),
        ];
        urgent.extend(unsolved());
        let planned = vec![
            step(hours(0), Unless::Acknowledged, role(PLANNER)),
            step(hours(24), Unless::Acknowledged, Target::Rota(None)),
        ];
        vec![
            chain("urgent", Severity::Critical, urgent),
            chain("planned", Severity::Warning, planned),
        ]
    }
}

/// What happens to a case, as its chain sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Another chain holds, because the case has become more urgent.
    Rose,
    /// Somebody has taken it in hand.
    Taken,
    /// The alarm ended.
    Cleared,
    /// The alarm came back, or the case was opened again.
    Returned,
    /// The case was closed.
    Closed,
    /// Step `n` was told.
    Told(u16),
}

/// Where a case stands in its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Its chain.
    pub chain: ChainId,
    /// From when steps are counted: when the case was taken in or became urgent.
    pub since: Timestamp,
    /// When somebody took the case in hand.
    pub acknowledged_at: Option<Timestamp>,
    /// When the alarm ended or the case was closed.
    pub resolved_at: Option<Timestamp>,
    /// Whether the case is closed: nothing follows.
    pub closed: bool,
    /// Steps that were told, and when.
    pub told: Vec<(u16, Timestamp)>,
}

impl Escalation {
    /// A case that was just taken in.
    pub fn begun(chain: ChainId, since: Timestamp) -> Self {
        Self {
            chain,
            since,
            acknowledged_at: None,
            resolved_at: None,
            closed: false,
            told: Vec::new(),
        }
    }

    /// The state after something happened. What makes no difference leaves it as it is, so that
    /// events that are handed in again after a crash change nothing.
    #[must_use]
    pub fn next(mut self, what: Happening, at: Timestamp, chain: &ChainId) -> Self {
        if self.closed && what != Happening::Returned {
            return self;
        }
        match what {
            // A case that somebody has in hand stays theirs; the chain of its new severity goes on
            // from when it was taken in.
            Happening::Rose if self.chain != *chain => {
                self.chain = chain.clone();
                self.told.clear();
                if self.acknowledged_at.is_none() {
                    self.since = at;
                }
            }
            Happening::Rose => {}
            Happening::Taken => self.acknowledged_at = self.acknowledged_at.or(Some(at)),
            Happening::Cleared => self.resolved_at = self.resolved_at.or(Some(at)),
            Happening::Returned => {
                self.resolved_at = None;
                if self.closed {
                    self = Self::begun(chain.clone(), at);
                }
            }
            Happening::Closed => {
                self.resolved_at = self.resolved_at.or(Some(at));
                self.closed = true;
            }
            Happening::Told(step) => {
                if !self.told.iter().any(|(told, _)| *told == step) {
                    self.told.push((step, at));
                }
            }
        }
        self
    }

    /// Whether a step has still to be told, now or later.
    fn waits(&self, index: u16, step: &Step) -> bool {
        let ended = match step.unless {
            Unless::Acknowledged => self.acknowledged_at.or(self.resolved_at),
            Unless::Resolved => self.resolved_at,
        };
        ended.is_none() && !self.closed && !self.told.iter().any(|(told, _)| *told == index)
    }

    /// The step that is told next and when, if nothing happens before; none at the end.
    pub fn upcoming<'a>(&self, chain: &'a Chain) -> Option<(u16, &'a Step, Timestamp)> {
        (0_u16..)
            .zip(&chain.steps)
            .filter(|(index, step)| self.waits(*index, step))
            .map(|(index, step)| (index, step, self.since + step.after))
            .min_by_key(|(index, _, at)| (*at, *index))
    }

    /// The steps whose time has come, earliest first.
    pub fn due(&self, chain: &Chain, now: Timestamp) -> Vec<u16> {
        let mut due: Vec<(Timestamp, u16)> = (0_u16..)
            .zip(&chain.steps)
            .filter(|(index, step)| self.waits(*index, step))
            .map(|(index, step)| (self.since + step.after, index))
            .filter(|(at, _)| *at <= now)
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(_, index)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(hours: i64) -> Timestamp {
        Timestamp::from_secs(hours * 3_600)
    }

    fn urgent() -> Chain {
        Chain::defaults().remove(0)
    }

    fn planned() -> ChainId {
        ChainId::new("planned").unwrap()
    }

    /// What is told in every hour of three days, while this happens.
    fn told(events: &[(i64, Happening)]) -> Vec<(i64, u16)> {
        let chain = urgent();
        let mut state = Escalation::begun(chain.id.clone(), hours(0));
        let mut told = Vec::new();
        for hour in 0..72 {
            for (_, what) in events.iter().filter(|(at, _)| *at == hour) {
                state = state.next(*what, hours(hour), &chain.id);
            }
            for step in state.due(&chain, hours(hour)) {
                told.push((hour, step));
                state = state.next(Happening::Told(step), hours(hour), &chain.id);
            }
        }
        told
    }

    #[test]
    fn the_chain_goes_on_until_somebody_takes_the_case_and_solves_it() {
        use Happening::{Cleared, Closed, Returned, Taken};
        for (events, expected) in [
            (&[][..], &[(0, 0), (1, 1), (2, 2), (24, 3), (48, 4)][..]),
            (&[(1, Taken)], &[(0, 0), (24, 3), (48, 4)]),
            (&[(2, Taken)], &[(0, 0), (1, 1), (24, 3), (48, 4)]),
            (&[(30, Closed)], &[(0, 0), (1, 1), (2, 2), (24, 3)]),
            (&[(1, Taken), (20, Closed)], &[(0, 0)]),
            (&[(1, Cleared)], &[(0, 0)]),
            // The alarm was away over night only: counted from the beginning.
            (
                &[(1, Cleared), (30, Returned)],
                &[(0, 0), (30, 1), (30, 2), (30, 3), (48, 4)],
            ),
            (
                &[(1, Taken), (2, Closed), (40, Returned)],
                &[(0, 0), (40, 0), (41, 1), (42, 2), (64, 3)],
            ),
            (&[(0, Closed)], &[]),
        ] {
            assert_eq!(told(events), expected, "{events:?}");
        }
    }

    #[test]
    fn a_rise_begins_the_chain_of_the_new_severity() {
        let chain = urgent();
        let slow =
            Escalation::begun(planned(), hours(0)).next(Happening::Told(0), hours(0), &planned());
        let risen = slow.clone().next(Happening::Rose, hours(10), &chain.id);
        assert_eq!(risen.due(&chain, hours(10)), [0]);
        assert_eq!(risen.upcoming(&chain).unwrap().2, hours(10));
        // Whoever has it keeps it; what is not solved a day after it began still goes up.
        let taken = slow.next(Happening::Taken, hours(1), &planned());
        let taken = taken.next(Happening::Rose, hours(10), &chain.id);
        assert!(taken.due(&chain, hours(23)).is_empty());
        assert_eq!(taken.due(&chain, hours(24)), [3]);
    }

    proptest! {
        #[test]
        fn no_step_is_told_twice_and_none_before_its_time(
            events in prop::collection::vec((0_i64..72, 0_usize..4), 0..8),
        ) {
            let all = [Happening::Taken, Happening::Cleared, Happening::Rose, Happening::Closed];
            let events: Vec<_> = events.into_iter().map(|(at, what)| (at, all[what])).collect();
            let steps = urgent().steps;
            let mut seen = Vec::new();
            for (hour, step) in told(&events) {
                prop_assert!(!seen.contains(&step));
                prop_assert!(Duration::from_hours(hour as u64) >= steps[step as usize].after);
                seen.push(step);
            }
        }
    }
}
