//! How a case is treated: by whom it was raised, why it asks for nothing at present, and what it
//! waits for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetry::{AlertSource, CaseId, Explanation, RuleId, Timestamp};

/// Who raised a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CaseSource {
    /// The detectors of analytics.
    Model {
        /// The detectors with their versions, as the evidence names them.
        name: String,
    },
    /// A rule that people wrote.
    Rule {
        /// Which one.
        id: RuleId,
        /// Its version at that time, counted from 1.
        version: u32,
    },
}

impl CaseSource {
    /// The same without what changes over time: what outcomes are counted by.
    pub fn alert(&self) -> AlertSource {
        match self {
            Self::Model { .. } => AlertSource::Model,
            Self::Rule { id, .. } => AlertSource::Rule { rule: id.clone() },
        }
    }
}

/// Why a case asks for nothing at present. The first one that holds, in this order, is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// A person put it aside until a time.
    Shelved,
    /// A silence fits it.
    Silenced,
    /// It rose while the asset was being worked on.
    Maintenance,
    /// The asset above it fails.
    Parent,
    /// It is one of many at its site in a short time; the first of them stands for all.
    Flood,
    /// Others of its site have the same problem at the same time; the first stands for all.
    CommonCause,
    /// It comes and goes.
    Flapping,
    /// It tells of a time long past, in data that came late.
    Stale,
}

impl SuppressionReason {
    /// Every reason, in order.
    pub const ALL: [Self; 8] = [
        Self::Shelved,
        Self::Silenced,
        Self::Maintenance,
        Self::Parent,
        Self::Flood,
        Self::CommonCause,
        Self::Flapping,
        Self::Stale,
    ];

    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shelved => "shelved",
            Self::Silenced => "silenced",
            Self::Maintenance => "maintenance",
            Self::Parent => "parent",
            Self::Flood => "flood",
            Self::CommonCause => "common_cause",
            Self::Flapping => "flapping",
            Self::Stale => "stale",
        }
    }
}

/// A case that is listed and asks for nothing: no order, no notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Why.
    pub reason: SuppressionReason,
    /// Until when, where that is known.
    pub until: Option<Timestamp>,
    /// The person who wanted it, where one did.
    pub by: Option<String>,
    /// The case that stands for it, where one does.
    pub parent: Option<CaseId>,
}

impl Suppression {
    /// A suppression with nothing but its reason.
    pub const fn of(reason: SuppressionReason) -> Self {
        Self {
            reason,
            until: None,
            by: None,
            parent: None,
        }
    }
}

/// A case that would have an order if there were people to work it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchListed {
    /// Why it waits.
    pub reason: Explanation,
    /// Since when, by the caller's clock.
    pub since: Timestamp,
}

/// A case that a person put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Until when.
    pub until: Timestamp,
    /// Who did.
    pub by: String,
    /// Why.
    pub note: String,
}

/// The group a case belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The case that stands for all; its own id when it is this one.
    pub head: CaseId,
    /// Whether the members have one problem in common, or are only many at once.
    pub reason: SuppressionReason,
}

/// What the desk remembers of a case beside what is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// Set aside by a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shelf: Option<Shelf>,
    /// Its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Membership>,
    /// A person said that it has nothing to do with any group.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// When its alarm came back lately, in event time; at most [`Care::MAX_TURNS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Timestamp>,
    /// Until when it counts as coming and going, by the caller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flapping_until: Option<Timestamp>,
    /// No order before, by the caller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_after: Option<Timestamp>,
    /// When the end of the alarm was heard of, by the caller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
}

impl Care {
    /// Returns remembered: the most that [`CaseSettings::chatter_count`] may ask for.
    pub const MAX_TURNS: usize = 20;

    /// Notes that the alarm came back; the times it did lately decide whether it flaps.
    pub(crate) fn turned(&mut self, at: Timestamp, now: Timestamp, settings: &CaseSettings) {
        let count = (settings.chatter_count as usize).clamp(1, Self::MAX_TURNS);
        self.turns.push(at);
        let surplus = self.turns.len().saturating_sub(count);
        self.turns.drain(..surplus);
        let flaps = self.turns.len() == count && at.since(self.turns[0]) <= settings.chatter_within;
        if flaps {
            self.flapping_until = Some(now + settings.chatter_quiet);
        }
    }
}

/// How cases are kept (section `[cases]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseSettings {
    /// How long after a case was opened its order waits, so that others of the same flood are
    /// seen first. Short beside any repair, long beside the time a flood takes to begin.
    pub settle: Duration,
    /// An alarm that comes back within this time, in event time, continues the case that ended
    /// without anybody working on the machine.
    pub reopen_within: Duration,
    /// What a device that keeps up with the clock tells of a time further back than this is
    /// late: it amends cases and raises none that asks for anything.
    pub stale_after: Duration,
    /// Alarms of one site that rise, and are heard of, within this time may belong together.
    pub group_within: Duration,
    /// So many assets with one problem within [`Self::group_within`] have a common cause.
    pub common_cause_assets: u32,
    /// More cases than this at one site within [`Self::group_within`] are a flood: EEMUA 191
    /// and ISA-18.2 call more than 10 alarms in 10 minutes more than an operator can follow.
    pub flood_cases: u32,
    /// An alarm that came back so often within [`Self::chatter_within`] flaps.
    pub chatter_count: u32,
    /// See [`Self::chatter_count`]; event time.
    pub chatter_within: Duration,
    /// A case that flaps asks for nothing until it has not come back for so long.
    pub chatter_quiet: Duration,
    /// A case without an approved order whose alarm has been over for so long is withdrawn.
    pub withdraw_after: Duration,
    /// The longest time a person may put a case aside for.
    pub shelve_most: Duration,
}

impl Default for CaseSettings {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(5),
            reopen_within: Duration::from_hours(7 * 24),
            stale_after: Duration::from_hours(24),
            group_within: Duration::from_mins(10),
            common_cause_assets: 5,
            flood_cases: 10,
            // ISA-18.2 calls three transitions in a minute chattering; findings have delays of
            // their own, so that what an operator sees as chatter is slower here.
            chatter_count: 3,
            chatter_within: Duration::from_mins(10),
            chatter_quiet: Duration::from_mins(30),
            withdraw_after: Duration::from_hours(24),
            shelve_most: Duration::from_hours(30 * 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_words_of_the_api() {
        for reason in SuppressionReason::ALL {
            let word = serde_json::to_value(reason).unwrap();
            assert_eq!(word, reason.as_str());
        }
    }

    #[test]
    fn three_returns_within_ten_minutes_flap_and_three_in_a_day_do_not() {
        let settings = CaseSettings::default();
        let now = Timestamp::from_secs(1_000_000);
        for (turns, flaps) in [
            (&[0, 100][..], false),
            (&[0, 300, 600], true),
            (&[0, 300, 601], false),
            (&[0, 40_000, 80_000], false),
            (&[0, 40_000, 40_300, 40_500], true),
        ] {
            let mut care = Care::default();
            for &at in turns {
                care.turned(Timestamp::from_secs(at), now, &settings);
            }
            let until = flaps.then_some(now + settings.chatter_quiet);
            assert_eq!(care.flapping_until, until, "{turns:?}");
            assert!(care.turns.len() <= 3);
        }
    }
}
