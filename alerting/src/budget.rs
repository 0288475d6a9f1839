//! Which cases become orders when there are fewer people than problems.
//!
//! Two hundred orders in a week, and none is believed. No more cases become orders than
//! planners and crew can work, the ones that are expected to save the most first; the rest
//! wait on a watch list with the reason. Nothing is forgotten there: whenever there is room,
//! the most valuable one goes next.

use std::cmp::Reverse;

use telemetry::{CaseId, Explanation, Severity, Timestamp};

/// A case that wants an order, with what acting in time is expected to save.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The case.
    pub case: CaseId,
    /// How urgent it is.
    pub severity: Severity,
    /// When it was opened, by the clock.
    pub seen_at: Timestamp,
    /// What acting in time is expected to save; none where that cannot be said.
    pub expected_avoided_cost: Option<f64>,
}

/// How much work there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Orders that may still be proposed; none where nobody counts.
    pub orders: Option<u32>,
    /// When that will be counted anew.
    pub until: Timestamp,
}

/// What becomes of the candidates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allotment {
    /// Become orders, the most valuable first.
    pub submit: Vec<CaseId>,
    /// Wait, the most valuable first, with the reason.
    pub watch_list: Vec<(CaseId, Explanation)>,
}

/// Ranks candidates by what they save, then by urgency, then by age, and gives the first ones
/// as much room as there is. What cannot be estimated saves nothing that could be said; a
/// value that is no number counts as such.
pub fn allot(mut candidates: Vec<Candidate>, room: Room) -> Allotment {
    candidates.sort_by(|a, b| {
        let worth = |one: &Candidate| one.expected_avoided_cost.filter(|cost| !cost.is_nan());
        let (of_a, of_b) = (worth(a).unwrap_or(0.0), worth(b).unwrap_or(0.0));
        let order = of_b.total_cmp(&of_a);
        let rest = |one: &Candidate| (Reverse(one.severity), one.seen_at);
        order
            .then_with(|| rest(a).cmp(&rest(b)))
            .then_with(|| a.case.cmp(&b.case))
    });
    let places = room.orders.map_or(usize::MAX, |orders| orders as usize);
    let waiting = candidates.split_off(places.min(candidates.len()));
    let has_room = !candidates.is_empty();
    Allotment {
        submit: candidates.into_iter().map(|one| one.case).collect(),
        watch_list: waiting
            .into_iter()
            .map(|one| (one.case, waiting_words(has_room)))
            .collect(),
    }
}

/// Why a case waits. The words stay the same while its reason does, so that waiting longer is
/// no news: neither its place in the row nor the time is told.
fn waiting_words(has_room: bool) -> Explanation {
    if !has_room {
        return Explanation {
            en: "Crew and planners have no free time for another order at present.".to_owned(),
            zh: "目前班组和计划人员没有空闲时间处理新的工单。".to_owned(),
        };
    }
    Explanation {
        en: "More valuable cases take the time that crew and planners have.".to_owned(),
        zh: "班组和计划人员的时间被更有价值的案例占用。".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(id: &str, worth: Option<f64>, severity: Severity, seen: i64) -> Candidate {
        Candidate {
            case: CaseId::new(id).unwrap(),
            severity,
            seen_at: Timestamp::from_secs(seen),
            expected_avoided_cost: worth,
        }
    }

    fn room(orders: u32) -> Room {
        Room {
            orders: Some(orders),
            until: Timestamp::from_secs(1_000),
        }
    }

    #[test]
    fn the_most_valuable_go_first_then_the_most_urgent_then_the_oldest() {
        let all = vec![
            candidate("C-OLD", None, Severity::Warning, 1),
            candidate("C-NAN", Some(f64::NAN), Severity::Warning, 2),
            candidate("C-LOSS", Some(-5.0), Severity::Critical, 0),
            candidate("C-URGENT", Some(0.0), Severity::Critical, 9),
            candidate("C-RICH", Some(900.0), Severity::Watch, 9),
        ];
        let ids = |some: &[CaseId]| some.iter().map(ToString::to_string).collect::<Vec<_>>();
        let allotted = allot(all.clone(), room(2));
        assert_eq!(ids(&allotted.submit), ["C-RICH", "C-URGENT"]);
        let waiting: Vec<CaseId> = allotted
            .watch_list
            .iter()
            .map(|one| one.0.clone())
            .collect();
        assert_eq!(ids(&waiting), ["C-OLD", "C-NAN", "C-LOSS"]);
        assert!(allotted.watch_list[0].1.en.starts_with("More valuable"));

        let none = allot(all.clone(), room(0));
        assert!(none.submit.is_empty() && none.watch_list[0].1.en.starts_with("Crew"));
        let uncounted = Room {
            orders: None,
            ..room(0)
        };
        assert_eq!(allot(all, uncounted).submit.len(), 5);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_waits_that_is_worth_more(
            worths in prop::collection::vec(prop::option::of(-1e6..1e6_f64), 0..40),
            orders in 0..50_u32,
        ) {
            let all: Vec<Candidate> = worths.iter().enumerate().map(|(at, worth)| {
                candidate(&format!("C-{at}"), *worth, Severity::Warning, 5)
            }).collect();
            let allotted = allot(all.clone(), room(orders));
            prop_assert!(allotted.submit.len() <= orders as usize);
            prop_assert_eq!(allotted.submit.len() + allotted.watch_list.len(), all.len());
            let worth = |id: &CaseId| {
                let one = all.iter().find(|one| one.case == *id).unwrap();
                one.expected_avoided_cost.unwrap_or(0.0)
            };
            let least = allotted.submit.iter().map(worth).fold(f64::INFINITY, f64::min);
            let most = allotted.watch_list.iter().map(|one| worth(&one.0)).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least >= most);
        }
    }
}
