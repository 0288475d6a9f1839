//! What of the waiting messages goes now, and what is held back and told together.
//!
//! A person who gets two hundred messages reads none. So nobody gets more than [`LIMIT`] in
//! [`WINDOW`], and what the limit leaves is given out so that a flood at one place cannot drown
//! what happens at another: the first few of a site go at once, then one a site, most urgent
//! first; two places are kept for digests of everything that was held back meanwhile.

use std::{collections::BTreeMap, time::Duration};

use telemetry::{MessageId, Severity, Timestamp};

/// Messages to one recipient within [`WINDOW`]: one a minute is what EEMUA 191 calls very likely
/// acceptable for an operator (at most one alarm in ten minutes acceptable, ten at the most).
pub const LIMIT: usize = 10;
/// The span in which [`LIMIT`] holds, sliding.
pub const WINDOW: Duration = Duration::from_mins(10);
/// Places of the limit that only digests take.
const FOR_DIGESTS: usize = 2;
/// While so many have gone, each site may take [`GROUP_FIRST`]; after it one.
const GENEROUS_UNTIL: usize = 4;
/// Messages of one site in the window while there is room: the first tell what happens, the
/// digest says how much.
const GROUP_FIRST: usize = 3;
/// A flood comes within seconds; a digest waits that long for the rest of it.
pub const GATHER: Duration = Duration::from_secs(10);
/// Between two digests: with [`FOR_DIGESTS`] of them a window is never without one.
const DIGEST_EVERY: Duration = Duration::from_mins(5);

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: MessageId,
    /// What it shares its part of the limit with.
    pub group: String,
    /// How urgent it is.
    pub severity: Option<Severity>,
    /// Whether it may be told together with others: news of cases may, what a person did or a
    /// test may not.
    pub joins: bool,
    /// When it was decided.
    pub at: Timestamp,
}

/// A message that went, or that was claimed and may have gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// When.
    pub at: Timestamp,
    /// As in [`Waiting`].
    pub group: String,
    /// Whether it is a digest.
    pub digest: bool,
}

/// What becomes of the messages that wait for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allotment {
    /// These go now.
    pub send: Vec<MessageId>,
    /// These are told together in one digest that goes now.
    pub digest: Vec<MessageId>,
    /// These wait.
    pub hold: Vec<MessageId>,
}

/// Decides about everything that waits for one recipient. `gone` are messages of the last
/// [`WINDOW`] and those that are claimed; older ones do not count.
pub fn allot(now: Timestamp, mut waiting: Vec<Waiting>, gone: &[Gone]) -> Allotment {
    let from = now - WINDOW;
    let recent: Vec<&Gone> = gone.iter().filter(|one| one.at > from).collect();
    let mut used = recent.len();
    let mut by_group: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &recent {
        *by_group.entry(&one.group).or_default() += 1;
    }
    let urgent = |one: &Waiting| one.severity == Some(Severity::Critical);
    waiting.sort_by(|a, b| {
        let key = |one: &Waiting| (std::cmp::Reverse(urgent(one)), one.at);
        key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
    });
    let mut allotment = Allotment::default();
    let mut held: Vec<&Waiting> = Vec::new();
    // Sites that were silent come first, so that a flood of one cannot take the last places.
    let mut order: Vec<&Waiting> = waiting.iter().collect();
    order.sort_by_key(|one| {
        let told = by_group.get(one.group.as_str()).copied().unwrap_or(0);
        (std::cmp::Reverse(urgent(one)), told > 0)
    });
    for one in order {
        let told = by_group.entry(&one.group).or_default();
        let most = if used < GENEROUS_UNTIL {
            GROUP_FIRST
        } else {
            1
        };
        if used < LIMIT - FOR_DIGESTS && *told < most {
            *told += 1;
            used += 1;
            allotment.send.push(one.id.clone());
        } else {
            held.push(one);
        }
    }
    let digests = recent.iter().filter(|one| one.digest);
    let last_digest = digests.map(|one| one.at).max();
    let (joins, alone): (Vec<&Waiting>, Vec<&Waiting>) =
        held.into_iter().partition(|one| one.joins);
    let gathered = joins.iter().map(|one| one.at).min();
    let is_time = gathered.is_some_and(|first| now >= first + GATHER)
        && last_digest.is_none_or(|last| now >= last + DIGEST_EVERY)
        && used < LIMIT;
    let ids = |of: Vec<&Waiting>| of.into_iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    allotment.hold = ids(alone);
    if is_time {
        allotment.digest = ids(joins);
    } else {
        allotment.hold.extend(ids(joins));
    }
    allotment
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn waiting(number: usize, group: &str, severity: Severity, secs: i64) -> Waiting {
        Waiting {
            id: MessageId::new(&format!("N-{number:05}")).unwrap(),
            group: group.to_owned(),
            severity: Some(severity),
            joins: true,
            at: at(secs),
        }
    }

    /// Runs a plant second by second and gives back when each message was told, by number, with
    /// the number of messages of each second.
    struct Desk {
        queue: Vec<Waiting>,
        gone: Vec<Gone>,
        told_at: BTreeMap<MessageId, i64>,
    }

    impl Desk {
        fn new() -> Self {
            Self {
                queue: Vec::new(),
                gone: Vec::new(),
                told_at: BTreeMap::new(),
            }
        }

        fn tick(&mut self, now: i64) {
            let queue = std::mem::take(&mut self.queue);
            let plan = allot(at(now), queue.clone(), &self.gone);
            for id in &plan.send {
                let one = queue.iter().find(|one| one.id == *id).unwrap();
                let group = one.group.clone();
                self.gone.push(Gone {
                    at: at(now),
                    group,
                    digest: false,
                });
                self.told_at.insert(id.clone(), now);
            }
            if !plan.digest.is_empty() {
                let group = "digest".to_owned();
                self.gone.push(Gone {
                    at: at(now),
                    group,
                    digest: true,
                });
            }
            for id in &plan.digest {
                self.told_at.insert(id.clone(), now);
            }
            self.queue = queue
                .into_iter()
                .filter(|one| plan.hold.contains(&one.id))
                .collect();
        }

        /// The most messages in any ten minutes.
        fn most(&self) -> usize {
            let window = WINDOW.as_secs() as i64;
            let times: Vec<i64> = self
                .gone
                .iter()
                .map(|one| one.at.as_millis() / 1_000)
                .collect();
            let within = |from: i64| {
                times
                    .iter()
                    .filter(|at| (from..from + window).contains(at))
                    .count()
            };
            times.iter().map(|from| within(*from)).max().unwrap_or(0)
        }
    }

    #[test]
    fn a_flood_is_told_in_a_few_messages_and_what_is_unrelated_at_once() {
        let mut desk = Desk::new();
        for second in 0..1_200 {
            if second < 10 {
                let flood = (0..500).map(|n| {
                    waiting(
                        (second * 500 + n) as usize,
                        "site:flood",
                        Severity::Critical,
                        second,
                    )
                });
                desk.queue.extend(flood);
            }
            if second == 30 {
                desk.queue
                    .push(waiting(90_000, "site:other", Severity::Critical, second));
            }
            desk.tick(second);
        }
        assert!(
            desk.queue.is_empty() && desk.told_at.len() == 5_001,
            "everything is told"
        );
        assert!(desk.most() <= LIMIT, "{}", desk.most());
        assert!(desk.gone.len() <= 8, "few messages: {}", desk.gone.len());
        let unrelated = desk.told_at[&MessageId::new("N-90000").unwrap()];
        assert_eq!(unrelated, 30);
    }

    #[test]
    fn floods_at_several_sites_leave_room_for_one_more() {
        let mut desk = Desk::new();
        for second in 0..60 {
            if second < 10 {
                for site in 0..4 {
                    let number = |n| (second * 4_000 + site * 1_000 + n) as usize;
                    let group = format!("site:{site}");
                    desk.queue.extend(
                        (0..100).map(|n| waiting(number(n), &group, Severity::Critical, second)),
                    );
                }
            }
            if second == 20 {
                desk.queue
                    .push(waiting(90_000, "site:other", Severity::Critical, second));
            }
            desk.tick(second);
        }
        assert_eq!(desk.told_at[&MessageId::new("N-90000").unwrap()], 20);
        assert!(desk.most() <= LIMIT);
    }

    #[test]
    fn what_a_person_did_is_never_told_together() {
        let mut one = waiting(1, "site:a", Severity::Warning, 0);
        one.joins = false;
        let gone: Vec<Gone> = (0..8)
            .map(|n| Gone {
                at: at(n),
                group: format!("site:{n}"),
                digest: false,
            })
            .collect();
        let plan = allot(at(60), vec![one.clone()], &gone);
        assert_eq!(
            plan,
            Allotment {
                hold: vec![one.id.clone()],
                ..Allotment::default()
            }
        );
        let later = allot(at(607), vec![one.clone()], &gone);
        assert_eq!(later.send, [one.id]);
    }

    #[test]
    fn claimed_messages_count_until_the_server_is_back() {
        // Ten were claimed while the server was down, so no more are.
        let gone: Vec<Gone> = (0..10)
            .map(|n| Gone {
                at: at(1_000),
                group: format!("site:{n}"),
                digest: n > 7,
            })
            .collect();
        let plan = allot(
            at(1_000),
            vec![waiting(1, "site:x", Severity::Critical, 0)],
            &gone,
        );
        assert!(plan.send.is_empty() && plan.digest.is_empty());
    }

    proptest! {
        #[test]
        fn nobody_is_told_more_than_the_limit_and_nothing_is_lost(
            arrivals in prop::collection::vec((0_i64..1_500, 0_usize..6, prop::bool::ANY), 0..300),
        ) {
            let mut desk = Desk::new();
            let count = arrivals.len();
            for second in 0..3_000 {
                for (number, (when, site, urgent)) in arrivals.iter().enumerate() {
                    if *when == second {
                        let severity = if *urgent { Severity::Critical } else { Severity::Warning };
                        desk.queue.push(waiting(number, &format!("site:{site}"), severity, second));
                    }
                }
                desk.tick(second);
            }
            prop_assert!(desk.most() <= LIMIT);
            prop_assert_eq!(desk.told_at.len(), count);
        }
    }
}
