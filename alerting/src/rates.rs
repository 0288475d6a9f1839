//! How many alarms people get: the measures of ISA-18.2 and EEMUA 191.
//!
//! What counts is an alarm that asked somebody for attention: a case that was opened, opened
//! again, or came back, and was not suppressed at that moment. Counted in slots of ten minutes
//! by the clock, a site at a time, because a site is what one operator position watches; and for
//! each person the messages that went out, which is what really reached them.
//!
//! # Source
//! ANSI/ISA-18.2-2016 clause 16.5 and EEMUA publication 191, third edition, appendix 11, as
//! generally quoted: on average at most 1 alarm in 10 minutes, at most 10 in any 10 minutes, in
//! flood less than 1 % of the time. A flood begins with more than 10 alarms in 10 minutes and
//! ends with fewer than 5. An alarm that stands for more than a day is stale.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use telemetry::{SiteId, Timestamp};

/// The length of a slot.
pub const SLOT: Duration = Duration::from_mins(10);
/// A flood begins with more alarms than this in a slot.
pub const FLOOD_FROM: u64 = 10;
/// A flood ends with fewer alarms than this in a slot.
pub const FLOOD_UNTIL: u64 = 5;
/// An alarm that stands for longer is stale.
pub const STALE_AFTER: Duration = Duration::from_hours(24);
/// The longest time that rates are told of: 13 weeks are 13,104 slots a site.
pub const MOST: Duration = Duration::from_hours(13 * 7 * 24);

/// What is good practice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Targets {
    /// Alarms in ten minutes, on average.
    pub average_per_10_min: f64,
    /// Alarms in the worst ten minutes.
    pub peak_per_10_min: u64,
    /// The share of time in flood, 0 to 1.
    pub flood_share: f64,
}

/// See the module.
pub const TARGETS: Targets = Targets {
    average_per_10_min: 1.0,
    peak_per_10_min: 10,
    flood_share: 0.01,
};

/// Whose alarms are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Watcher {
    /// The alarms of a site; none for assets the ledger did not know.
    Site(Option<SiteId>),
    /// The messages that went to one recipient, as the outbox names them.
    Operator(String),
}

/// The alarms of one slot. Slots without any are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Whose they are.
    pub of: Watcher,
    /// Its number: whole slots since the Unix epoch.
    pub number: i64,
    /// Alarms that asked for attention.
    pub alarms: u64,
    /// Alarms that were suppressed.
    pub suppressed: u64,
}

/// What stands at a site now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Standing {
    /// Alarms that stand and ask for attention.
    pub standing: u64,
    /// Of these, for more than a day.
    pub stale: u64,
    /// Cases that come and go.
    pub chattering: u64,
}

/// The alarm rates of a site or an operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlarmRates {
    /// Whose they are.
    pub of: Watcher,
    /// Alarms that asked for attention.
    pub alarms: u64,
    /// Alarms that were suppressed.
    pub suppressed: u64,
    /// Alarms in ten minutes, on average.
    pub average_per_10_min: f64,
    /// Alarms in the worst ten minutes.
    pub peak_per_10_min: u64,
    /// The share of time in flood, 0 to 1.
    pub flood_share: f64,
    /// What stands now.
    #[serde(flatten)]
    pub now: Standing,
    /// The slots with alarms, oldest first: their begin and how many asked for attention.
    pub slots: Vec<(Timestamp, u64)>,
}

/// The rates of each site and operator from `from` (included) to `until`, whole slots.
pub fn rates(
    slots: &[Slot],
    standing: &BTreeMap<Watcher, Standing>,
    from: Timestamp,
    until: Timestamp,
) -> Vec<AlarmRates> {
    let (first, end) = (slot_of(from), slot_of(until) + 1);
    let count = usize::try_from(end - first).unwrap_or(0).max(1);
    let mut watchers: BTreeMap<Watcher, Vec<&Slot>> = BTreeMap::new();
    for of in standing.keys() {
        watchers.entry(of.clone()).or_default();
    }
    for slot in slots
        .iter()
        .filter(|slot| (first..end).contains(&slot.number))
    {
        watchers.entry(slot.of.clone()).or_default().push(slot);
    }
    let of_watcher = |(of, mut slots): (Watcher, Vec<&Slot>)| {
        slots.sort_by_key(|slot| slot.number);
        let alarms: u64 = slots.iter().map(|slot| slot.alarms).sum();
        AlarmRates {
            now: standing.get(&of).copied().unwrap_or_default(),
            alarms,
            suppressed: slots.iter().map(|slot| slot.suppressed).sum(),
            average_per_10_min: alarms as f64 / count as f64,
            peak_per_10_min: slots.iter().map(|slot| slot.alarms).max().unwrap_or(0),
            flood_share: in_flood(&slots) as f64 / count as f64,
            slots: slots
                .iter()
                .filter(|slot| slot.alarms > 0)
                .map(|slot| (begin_of(slot.number), slot.alarms))
                .collect(),
            of,
        }
    };
    watchers.into_iter().map(of_watcher).collect()
}

/// Slots in flood, of some in order.
fn in_flood(slots: &[&Slot]) -> usize {
    let (mut flood, mut count, mut last) = (false, 0, None);
    for slot in slots {
        // A slot that is left out had no alarms, so a flood ended there.
        let follows = last.is_some_and(|last: i64| last + 1 == slot.number);
        flood = slot.alarms > FLOOD_FROM || (flood && follows && slot.alarms >= FLOOD_UNTIL);
        count += usize::from(flood);
        last = Some(slot.number);
    }
    count
}

/// The slot a time lies in.
pub fn slot_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(micros())
}

/// When a slot begins.
pub fn begin_of(slot: i64) -> Timestamp {
    Timestamp::from_micros(slot.saturating_mul(micros()))
}

/// The length of a slot in microseconds.
pub(crate) const fn micros() -> i64 {
    SLOT.as_secs() as i64 * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(site: &str, number: i64, alarms: u64, suppressed: u64) -> Slot {
        Slot {
            of: Watcher::Site(Some(SiteId::new(site).unwrap())),
            number,
            alarms,
            suppressed,
        }
    }

    #[test]
    fn a_day_with_one_flood_is_told_in_its_numbers() {
        // Counted by hand: 144 slots; 11 + 7 + 4 + 1 alarms; the flood lasts two slots, because
        // the third has fewer than 5.
        let day = |number: i64| begin_of(number);
        let slots = [
            slot("hall-3", 10, 11, 4_989),
            slot("hall-3", 11, 7, 0),
            slot("hall-3", 12, 4, 0),
            slot("hall-3", 100, 1, 0),
            slot("hall-3", 144, 50, 0),
            slot("hall-4", 3, 6, 0),
        ];
        let standing = BTreeMap::from([(
            Watcher::Site(None),
            Standing {
                standing: 2,
                stale: 1,
                chattering: 0,
            },
        )]);
        let until = Timestamp::from_micros(day(144).as_micros() - 1);
        let rates = rates(&slots, &standing, day(0), until);
        assert_eq!(rates.len(), 3);
        assert_eq!(
            (rates[0].of.clone(), rates[0].now.standing),
            (Watcher::Site(None), 2)
        );
        let hall = &rates[1];
        assert_eq!(
            (hall.alarms, hall.suppressed, hall.peak_per_10_min),
            (23, 4_989, 11)
        );
        assert!((hall.average_per_10_min - 23.0 / 144.0).abs() < 1e-12);
        assert!((hall.flood_share - 2.0 / 144.0).abs() < 1e-12);
        assert_eq!(hall.slots.len(), 4);
        // Six in a slot are many, and no flood unless one went before.
        assert!(rates[2].flood_share.abs() < f64::EPSILON);
    }

    #[test]
    fn times_before_the_epoch_have_slots_too() {
        assert_eq!(slot_of(Timestamp::from_micros(-1)), -1);
        assert_eq!(slot_of(Timestamp::EPOCH), 0);
        assert_eq!(slot_of(begin_of(-7)), -7);
    }
}
