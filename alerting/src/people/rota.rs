//! Who is on call: turns of whole days that begin at a wall-clock time of the plant, and
//! exceptions from them.
//!
//! A turn begins at the same time of day all year, so the week in which clocks are set forward
//! has 167 hours and the one in which they are set back 169. A hand-over that falls into the hour
//! that is left out happens as much later as clocks jump; one in the hour that comes twice happens
//! the first time. Both are what RFC 5545, section 3.3.5, says of local times.

use chrono::{Duration, LocalResult, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use telemetry::{PersonId, RotaId, SiteId, Timestamp};

/// Shifts that are looked at to find when one really ends: overrides cut them into pieces.
const MAX_SHIFTS: usize = 1_000;

/// People who take turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rota {
    /// Its id.
    pub id: RotaId,
    /// Where its wall clock hangs.
    #[serde(serialize_with = "zone_name")]
    pub time_zone: Tz,
    /// When the first one's first turn begins, by that clock.
    pub first_turn: NaiveDateTime,
    /// How long a turn is, in days by that clock.
    pub days: u16,
    /// Who takes turns, in order. Never empty in a rota that was checked.
    pub members: Vec<PersonId>,
    /// For these sites; for all when empty.
    pub sites: Vec<SiteId>,
    /// Exceptions; of two that overlap the later entry holds.
    pub overrides: Vec<Override>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn zone_name<S: serde::Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

/// Somebody who stands in for whoever's turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Its number when people entered it; none for one of the configuration.
    pub id: Option<i64>,
    /// Who stands in.
    pub person: PersonId,
    /// From then on.
    pub from: Timestamp,
    /// Until just before then.
    pub until: Timestamp,
    /// Who entered it.
    pub by: Option<String>,
}

/// Who is on call, and for how long that answer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnCall {
    /// The person.
    pub person: PersonId,
    /// Since when it is them.
    pub from: Timestamp,
    /// Until just before then.
    pub until: Timestamp,
    /// Whether they stand in for somebody.
    pub stands_in: bool,
}

impl Rota {
    /// Whether it is for this site. What lies at no site is everybody's.
    pub fn covers(&self, site: Option<&SiteId>) -> bool {
        self.sites.is_empty() || site.is_none_or(|site| self.sites.contains(site))
    }

    /// When turn `number` begins, counted from the first one; negative ones lie before it.
    fn turn_begins(&self, number: i64) -> Option<Timestamp> {
        let days = Duration::try_days(i64::from(self.days).checked_mul(number)?)?;
        let wall = self.first_turn.checked_add_signed(days)?;
        Some(at_wall(self.time_zone, wall))
    }

    /// The number of the turn that `at` lies in.
    fn turn_at(&self, at: Timestamp) -> Option<i64> {
        let wall = at.to_utc().with_timezone(&self.time_zone).naive_local();
        let turn_s = i64::from(self.days) * 86_400;
        let since_s = (wall - self.first_turn).num_seconds();
        let mut number = since_s.checked_div_euclid(turn_s)?;
        // Where clocks jump at the hand-over, the wall clock alone is off by one.
        while self.turn_begins(number)? > at {
            number -= 1;
        }
        while self.turn_begins(number + 1)? <= at {
            number += 1;
        }
        Some(number)
    }

    /// Who is on call from `at` on, one entry a change, at most `count`.
    pub fn ahead(&self, at: Timestamp, count: usize) -> Vec<OnCall> {
        let mut ahead = Vec::new();
        let mut at = at;
        while ahead.len() < count.min(MAX_SHIFTS) {
            let Some(next) = who_is_on_call(self, at) else {
                break;
            };
            if next.until <= at {
                break;
            }
            at = next.until;
            ahead.push(next);
        }
        ahead
    }
}

/// Who is on call at a moment; none for a rota without members, or beyond the calendar.
pub fn who_is_on_call(rota: &Rota, at: Timestamp) -> Option<OnCall> {
    let covering = |one: &&Override| one.from <= at && at < one.until;
    let entry = rota.overrides.iter().rposition(|one| covering(&one));
    let (mut from, mut until, person) = if let Some(entry) = entry {
        let one = &rota.overrides[entry];
        (one.from, one.until, one.person.clone())
    } else {
        let turn = rota.turn_at(at)?;
        let members = i64::try_from(rota.members.len()).ok()?;
        let member = turn.checked_rem_euclid(members)? as usize;
        let (from, until) = (rota.turn_begins(turn)?, rota.turn_begins(turn + 1)?);
        (from, until, rota.members[member].clone())
    };
    // Whatever holds over the answer cuts it: any override over a turn, a later entry over an
    // earlier one.
    for one in rota
        .overrides
        .iter()
        .skip(entry.map_or(0, |entry| entry + 1))
    {
        if one.until <= at {
            from = from.max(one.until);
        }
        if one.from > at {
            until = until.min(one.from);
        }
    }
    Some(OnCall {
        person,
        from,
        until,
        stands_in: entry.is_some(),
    })
}

/// The moment at which a wall clock shows a time; see the module documentation for the hours
/// that clocks leave out or show twice.
pub fn at_wall(zone: Tz, wall: NaiveDateTime) -> Timestamp {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc().into(),
        LocalResult::None => {
            // No zone sets its clocks twice within a day, so a day earlier the old offset holds.
            let before = zone
                .offset_from_utc_datetime(&(wall - Duration::days(1)))
                .fix();
            (wall - before).and_utc().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rota(zone: &str, first: &str, days: u16, members: &[&str]) -> Rota {
        Rota {
            id: RotaId::new("plant").unwrap(),
            time_zone: zone.parse().unwrap(),
            first_turn: first.parse().unwrap(),
            days,
            members: members
                .iter()
                .map(|id| PersonId::new(id).unwrap())
                .collect(),
            sites: Vec::new(),
            overrides: Vec::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn stand_in(person: &str, from: &str, until: &str) -> Override {
        Override {
            id: None,
            person: PersonId::new(person).unwrap(),
            from: at(from),
            until: at(until),
            by: None,
        }
    }

    /// Zone, first turn, days, moment, and who is on call from when until when.
    type Turn = (
        &'static str,
        &'static str,
        u16,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    );

    /// Offsets from the IANA database as `zdump -v` prints them: Berlin sets its clocks on
    /// 2026-03-29 and 2026-10-25 at 01:00Z, Lord Howe by half an hour on 2026-04-04T15:00Z,
    /// New York on 2026-03-08T07:00Z, Shanghai never.
    #[rustfmt::skip]
    const TURNS: [Turn; 10] = [
        ("Asia/Shanghai", "2026-01-05T08:00:00", 7, "2026-01-05T00:00:00Z", "a", "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"),
        ("Asia/Shanghai", "2026-01-05T08:00:00", 7, "2026-01-04T23:59:59Z", "c", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("Asia/Shanghai", "2026-01-05T08:00:00", 7, "2026-01-14T12:00:00Z", "b", "2026-01-12T00:00:00Z", "2026-01-19T00:00:00Z"),
        // The week of spring has 167 hours, the one of autumn 169.
        ("Europe/Berlin", "2026-03-23T08:00:00", 7, "2026-03-30T05:59:59Z", "a", "2026-03-23T07:00:00Z", "2026-03-30T06:00:00Z"),
        ("Europe/Berlin", "2026-03-23T08:00:00", 7, "2026-03-30T06:00:00Z", "b", "2026-03-30T06:00:00Z", "2026-04-06T06:00:00Z"),
        ("Europe/Berlin", "2026-10-19T08:00:00", 7, "2026-10-26T06:59:59Z", "a", "2026-10-19T06:00:00Z", "2026-10-26T07:00:00Z"),
        // 02:30 is left out on 29 March: handed over at 03:30 by the new time.
        ("Europe/Berlin", "2026-03-28T02:30:00", 1, "2026-03-29T01:29:59Z", "a", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"),
        // 02:30 comes twice on 25 October: handed over the first time.
        ("Europe/Berlin", "2026-10-24T02:30:00", 1, "2026-10-25T00:45:00Z", "b", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T12:00:00", 1, "2026-04-04T12:00:00Z", "a", "2026-04-04T01:00:00Z", "2026-04-05T01:30:00Z"),
        ("America/New_York", "2026-03-02T09:00:00", 7, "2026-03-09T13:00:00Z", "b", "2026-03-09T13:00:00Z", "2026-03-16T13:00:00Z"),
    ];

    #[test]
    fn turns_change_hands_at_the_same_time_of_day_all_year() {
        for (zone, first, days, moment, person, from, until) in TURNS {
            let rota = rota(zone, first, days, &["a", "b", "c"]);
            let found = who_is_on_call(&rota, at(moment)).unwrap();
            let expected = OnCall {
                person: PersonId::new(person).unwrap(),
                from: at(from),
                until: at(until),
                stands_in: false,
            };
            assert_eq!(found, expected, "{zone} {moment}");
        }
    }

    #[test]
    fn who_stands_in_holds_and_the_later_entry_over_the_earlier() {
        let mut rota = rota("UTC", "2026-01-05T08:00:00", 7, &["a", "b"]);
        rota.overrides = vec![
            stand_in("c", "2026-01-06T00:00:00Z", "2026-01-08T00:00:00Z"),
            stand_in("d", "2026-01-07T00:00:00Z", "2026-01-07T12:00:00Z"),
        ];
        let expected = [
            ("a", "2026-01-05T08:00:00Z", "2026-01-06T00:00:00Z", false),
            ("c", "2026-01-06T00:00:00Z", "2026-01-07T00:00:00Z", true),
            ("d", "2026-01-07T00:00:00Z", "2026-01-07T12:00:00Z", true),
            ("c", "2026-01-07T12:00:00Z", "2026-01-08T00:00:00Z", true),
            ("a", "2026-01-08T00:00:00Z", "2026-01-12T08:00:00Z", false),
            ("b", "2026-01-12T08:00:00Z", "2026-01-19T08:00:00Z", false),
        ];
        let ahead = rota.ahead(at("2026-01-05T08:00:00Z"), expected.len());
        let shown: Vec<_> = ahead
            .iter()
            .map(|one| (one.person.as_str(), one.from, one.until, one.stands_in))
            .collect();
        let expected =
            expected.map(|(who, from, until, in_for)| (who, at(from), at(until), in_for));
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_rota_without_members_calls_nobody() {
        let rota = rota("UTC", "2026-01-05T08:00:00", 7, &[]);
        assert_eq!(who_is_on_call(&rota, at("2026-02-01T00:00:00Z")), None);
        assert!(rota.ahead(at("2026-02-01T00:00:00Z"), 5).is_empty());
    }

    proptest! {
        #[test]
        fn somebody_is_always_on_call_and_the_answer_holds_for_all_it_claims(
            secs in 0_i64..4_000_000_000,
            days in 1_u16..30,
            zone in prop::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Shanghai", "Africa/Casablanca"]),
        ) {
            let rota = rota(zone, "2026-03-23T02:30:00", days, &["a", "b", "c"]);
            let now = Timestamp::from_secs(secs);
            let found = who_is_on_call(&rota, now).unwrap();
            prop_assert!(found.from <= now && now < found.until);
            for moment in [found.from, Timestamp::from_micros(found.until.as_micros() - 1)] {
                prop_assert_eq!(&who_is_on_call(&rota, moment).unwrap(), &found);
            }
            let next = who_is_on_call(&rota, found.until).unwrap();
            prop_assert_eq!(next.from, found.until);
            prop_assert_ne!(next.person, found.person);
        }
    }
}
