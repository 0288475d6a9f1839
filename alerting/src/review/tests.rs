use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use telemetry::{SensorState, SiteId};

use super::*;
use crate::{
    CaseEventKind as Event, MaintenanceWindow, Matcher, Silence,
    testing::{Probe, Surroundings, asset, ended, order, probe, t},
};

/// Now, in a plant whose devices keep up with the clock.
const NOW: i64 = 1_700_000_000;

struct Plant {
    desk: Desk,
    around: Surroundings,
}

impl Plant {
    fn new() -> Self {
        Self {
            desk: Desk::default(),
            around: Surroundings {
                now: t(NOW),
                ..Surroundings::default()
            },
        }
    }

    fn hear(&mut self, findings: &[telemetry::Finding]) -> Batch {
        self.desk.observe(findings, &self.around.around())
    }

    /// An alarm that rises now.
    fn alarm(&mut self, asset: &str, mode: &str) -> CaseId {
        let now = self.now();
        let batch = self.hear(&[probe(asset, asset).alarm(now, now, mode, 1.5)]);
        batch.opened[0].clone()
    }

    fn now(&self) -> i64 {
        self.around.now.as_millis() / 1_000
    }

    fn later(&mut self, time: Duration) -> Batch {
        self.around.now = self.around.now + time;
        let mut batch = Batch::default();
        self.desk.review(&self.around.around(), &mut batch);
        batch
    }

    fn why(&self, case: &CaseId) -> Option<SuppressionReason> {
        let held = self.desk.get(case).unwrap();
        held.case.suppressed.as_ref().map(|why| why.reason)
    }

    fn asking(&self) -> Vec<CaseId> {
        let asking = self
            .desk
            .open_cases()
            .filter(|held| held.wants_order(self.around.now));
        asking.map(|held| held.case.id.clone()).collect()
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_flood_of_five_thousand_devices_asks_for_one_order() {
    let mut plant = Plant::new();
    let findings: Vec<_> = (0..5_000)
        .map(|number| {
            let at = NOW - number % 10;
            let mode = ["power-loss", "overheating"][number as usize % 2];
            probe(&format!("hall-3_fan-{number}"), &format!("d-{number}")).alarm(at, at, mode, 1.5)
        })
        .collect();
    // They come in a few calls, as records of the journal do.
    for call in findings.chunks(700) {
        plant.hear(call);
    }
    let elsewhere = plant.alarm("hall-4_pump-1", "cavitation");
    assert_eq!(plant.desk.open_cases().count(), 5_001, "all are listed");
    let asking = plant.asking();
    assert_eq!(
        asking.len(),
        2,
        "one for the flood and the one that is elsewhere"
    );
    assert!(asking.contains(&elsewhere));
    let head = asking.iter().find(|id| **id != elsewhere).unwrap();
    let of_head = plant
        .desk
        .open_cases()
        .filter(|held| held.case.parent.as_ref() == Some(head));
    assert_eq!(of_head.count(), 4_999);
}

#[test]
fn a_critical_case_that_is_different_is_not_drowned_in_a_flood() {
    let mut plant = Plant::new();
    for number in 0..30 {
        plant.alarm(&format!("hall-3_fan-{number}"), "power-loss");
    }
    let now = plant.now();
    let pump = probe("hall-3_pump-1", "p");
    plant.hear(&[
        pump.alarm(now, now, "cavitation", 3.0),
        pump.health(now, 5.0),
    ]);
    let other = probe("hall-3_pump-2", "q");
    plant.hear(&[other.alarm(now, now, "imbalance", 1.2)]);
    let reasons: Vec<_> = ["hall-3_pump-1", "hall-3_pump-2"]
        .into_iter()
        .map(|id| {
            let held = plant.desk.open_cases_of(&asset(id)).next().unwrap();
            held.case.suppressed.as_ref().map(|why| why.reason)
        })
        .collect();
    assert_eq!(reasons, [None, Some(SuppressionReason::Flood)]);
}

#[test]
fn few_assets_or_far_apart_or_at_other_sites_do_not_belong_together() {
    // (assets, seconds between their alarms, site of the odd ones, cases that ask)
    for (assets, apart, odd, asking) in [
        (4, 1, "hall-3", 4),
        (5, 1, "hall-3", 1),
        (5, 200, "hall-3", 5),
        (8, 1, "hall-4", 8),
        (10, 1, "hall-4", 2),
    ] {
        let mut plant = Plant::new();
        for number in 0..assets {
            let site = if number % 2 == 0 { "hall-3" } else { odd };
            let at = NOW - 2_000 + number * apart;
            let fan = probe(&format!("{site}_fan-{number}"), "d");
            plant.hear(&[fan.alarm(at, at, "power-loss", 1.5)]);
        }
        assert_eq!(plant.asking().len(), asking, "{assets} {apart} {odd}");
    }
}

#[test]
fn what_is_played_back_fast_is_no_flood() {
    let mut plant = Plant::new();
    for number in 0..40 {
        let at = 1_000_000 + number * 3_600;
        let fan = probe(&format!("hall-3_fan-{number}"), "d");
        plant.hear(&[fan.alarm(at, at, "power-loss", 1.5)]);
    }
    assert_eq!(plant.asking().len(), 40);
}

#[test]
fn the_next_of_a_group_stands_for_it_when_the_first_has_ended() {
    let mut plant = Plant::new();
    let fans: Vec<CaseId> = (0..6)
        .map(|number| plant.alarm(&format!("hall-3_fan-{number}"), "power-loss"))
        .collect();
    let head = plant.asking();
    assert_eq!(head.len(), 1);
    let mut batch = Batch::default();
    let done = plant.desk.get(&head[0]).unwrap().case.asset.clone();
    let end = ended(
        "WO-000001",
        &done,
        Some(&head[0]),
        Some(telemetry::Outcome::Confirmed),
        NOW,
    );
    plant.desk.order_ended(&head[0], &end, &mut batch).unwrap();
    plant.later(Duration::from_secs(1));
    assert!(
        plant.asking().is_empty(),
        "what ended the first may end the others too"
    );
    plant.later(11 * MINUTE);
    let next = plant.asking();
    assert_eq!(next.len(), 1, "one order for what is left, not five");
    assert!(fans.contains(&next[0]) && next != head);
}

#[test]
fn a_case_that_a_person_takes_out_of_its_group_stays_out() {
    let mut plant = Plant::new();
    for number in 0..6 {
        plant.alarm(&format!("hall-3_fan-{number}"), "power-loss");
    }
    let child = plant
        .desk
        .open_cases()
        .find(|held| held.case.parent.is_some());
    let child = child.unwrap().case.id.clone();
    let held = plant.desk.open.get_mut(&child).unwrap();
    (held.care.alone, held.care.group) = (true, None);
    plant.later(MINUTE);
    assert_eq!(plant.why(&child), None);
    assert_eq!(plant.asking().len(), 2);
}

#[test]
fn a_failing_asset_silences_what_is_part_of_it_until_it_is_well() {
    let mut plant = Plant::new();
    let child = plant.alarm("hall-3_pump_motor_feeder", "imbalance");
    assert_eq!(plant.why(&child), None);
    let above = plant.alarm("hall-3_feeder", "overheating");
    assert_eq!(
        plant.why(&child),
        Some(SuppressionReason::Parent),
        "two levels above"
    );
    let held = plant.desk.get(&child).unwrap();
    assert_eq!(
        held.case.suppressed.as_ref().unwrap().parent,
        Some(above.clone())
    );
    assert_eq!(held.case.parent, Some(above));
    let now = plant.now() + 60;
    plant.around.now = t(now);
    plant.hear(&[probe("hall-3_feeder", "hall-3_feeder").normal(now, now)]);
    assert_eq!(plant.why(&child), None);
}

#[test]
fn an_alarm_that_comes_and_goes_is_told_once_until_it_is_quiet() {
    let mut plant = Plant::new();
    let pump = probe("hall-3_pump-1", "d");
    for turn in 0..4 {
        let now = plant.now();
        plant.hear(&[pump.alarm(now, now, "cavitation", 1.4)]);
        let reason = plant
            .desk
            .open_cases()
            .next()
            .unwrap()
            .case
            .suppressed
            .clone();
        let flaps = reason.map(|why| why.reason) == Some(SuppressionReason::Flapping);
        assert_eq!(
            flaps,
            turn == 3,
            "three returns within ten minutes, turn {turn}"
        );
        plant.later(MINUTE);
        let now = plant.now();
        plant.hear(&[pump.normal(now, now)]);
        plant.later(MINUTE);
    }
    assert_eq!(plant.desk.open_cases().count(), 1);
    let batch = plant.later(Duration::from_mins(31));
    let events: Vec<Event> = batch.changes.iter().map(|change| change.event).collect();
    assert_eq!(events, [Event::Unsuppressed]);
}

#[test]
fn late_data_raise_nothing_at_night_and_belong_to_the_case_they_tell_of() {
    let mut plant = Plant::new();
    let pump = probe("hall-3_pump-1", "d");
    plant.hear(&[pump.normal(NOW - 90, NOW - 90)]);
    // A gateway delivers what it kept for three days.
    let old = NOW - 3 * 86_400;
    plant.hear(&[pump.alarm(old, old, "cavitation", 1.4)]);
    let case = plant.desk.open_cases().next().unwrap().case.clone();
    assert!(case.stale && !case.wants_order());
    assert_eq!(plant.why(&case.id), Some(SuppressionReason::Stale));
    // It is still so.
    let batch = plant.hear(&[pump.alarm(old, NOW - 30, "cavitation", 1.4)]);
    assert!(
        batch
            .changes
            .iter()
            .any(|change| change.event == Event::Unsuppressed)
    );
    assert_eq!(plant.asking(), std::slice::from_ref(&case.id));

    // What comes late while the case is open, or lies within an ended one, amends it.
    plant.hear(&[pump.normal(NOW - 20, NOW - 20)]);
    let left = probe("hall-3_pump-1", "left");
    plant.hear(&[left.normal(NOW, NOW)]);
    let batch = plant.hear(&[left.alarm(old + 9, old + 9, "cavitation", 1.4)]);
    assert_eq!(batch.changes.last().unwrap().event, Event::Amended);
    assert!(plant.desk.get(&case.id).unwrap().case.cleared_at.is_some());
    let end = ended(
        "WO-000001",
        &pump.asset,
        Some(&case.id),
        Some(telemetry::Outcome::Confirmed),
        NOW,
    );
    plant
        .desk
        .order_ended(&case.id, &end, &mut Batch::default())
        .unwrap();
    let right = probe("hall-3_pump-1", "right");
    plant.hear(&[right.normal(NOW, NOW)]);
    let batch = plant.hear(&[right.alarm(old + 10, old + 10, "cavitation", 1.4)]);
    assert_eq!(batch.changes.last().unwrap().event, Event::Amended);
    assert_eq!(plant.desk.open_cases().count(), 0);
}

#[test]
fn a_recording_of_years_ago_counts_as_it_comes() {
    let mut plant = Plant::new();
    let pump = probe("hall-3_pump-1", "d");
    plant.hear(&[pump.normal(90, 95), pump.alarm(100, 130, "cavitation", 1.4)]);
    assert_eq!(plant.asking().len(), 1);
}

#[test]
fn work_on_a_machine_explains_what_rises_there_meanwhile() {
    let mut plant = Plant::new();
    let before = plant.alarm("hall-3_pump-1", "cavitation");
    plant.later(MINUTE);
    plant.around.windows = vec![MaintenanceWindow {
        asset: asset("hall-3_feeder"),
        work_order: order("WO-000007"),
        from: plant.around.now,
        until: None,
    }];
    plant.later(MINUTE);
    let during = plant.alarm("hall-3_pump-2_feeder", "imbalance");
    assert_eq!(plant.why(&during), Some(SuppressionReason::Maintenance));
    assert_eq!(plant.why(&before), None);
    plant.around.windows.clear();
    plant.later(MINUTE);
    assert_eq!(plant.why(&during), None, "it is still there after the work");
}

#[test]
fn a_silence_keeps_what_it_fits_quiet_until_it_ends_or_its_time_is_over() {
    let mut plant = Plant::new();
    plant.around.silences = vec![Silence {
        id: 1,
        matcher: Matcher {
            site: Some(SiteId::new("hall-3").unwrap()),
            ..Matcher::default()
        },
        from: t(NOW),
        until: t(NOW + 600),
        by: "Mei".to_owned(),
        note: String::new(),
        created_at: t(NOW),
        ended_at: None,
        ended_by: None,
    }];
    let here = plant.alarm("hall-3_pump-1", "cavitation");
    let there = plant.alarm("hall-4_pump-1", "cavitation");
    assert_eq!(
        (plant.why(&here), plant.why(&there)),
        (Some(SuppressionReason::Silenced), None)
    );
    plant.later(10 * MINUTE);
    assert_eq!(plant.why(&here), None);
}

#[test]
fn what_has_been_over_for_a_day_is_withdrawn_and_its_order_is_asked_back() {
    let mut plant = Plant::new();
    let pump = probe("hall-3_pump-1", "d");
    let fan = probe("hall-3_fan-1", "e");
    let now = plant.now();
    plant.hear(&[
        pump.alarm(now, now, "cavitation", 1.4),
        fan.sensor("flow", SensorState::Faulty, now, now),
    ]);
    let pump_case = plant
        .desk
        .open_cases_of(&pump.asset)
        .next()
        .unwrap()
        .case
        .id
        .clone();
    plant
        .desk
        .order_raised(
            &pump_case,
            &order("WO-000001"),
            t(now),
            &mut Batch::default(),
        )
        .unwrap();
    plant.hear(&[
        pump.normal(now + 60, now + 60),
        fan.sensor("flow", SensorState::Good, now + 60, now + 60),
    ]);
    plant.later(Duration::from_hours(23));
    assert!(plant.desk.withdrawals(&plant.around.around()).is_empty());
    let batch = plant.later(Duration::from_hours(1));
    let events: Vec<Event> = batch.changes.iter().map(|change| change.event).collect();
    assert_eq!(
        events,
        [Event::Withdrawn],
        "nobody was to work on the sensor yet"
    );
    let back = plant.desk.withdrawals(&plant.around.around());
    assert_eq!(back.len(), 1);
    assert_eq!(
        (&back[0].case, back[0].work_order.as_str()),
        (&pump_case, "WO-000001")
    );
    let mut batch = Batch::default();
    plant
        .desk
        .withdraw(&back[0], plant.around.now, &mut batch)
        .unwrap();
    assert_eq!(batch.changes[0].event, Event::Withdrawn);
    assert_eq!(plant.desk.open_cases().count(), 0);
    // It comes back within the week: the same case, the next round, an order of its own.
    let now = now + 3 * 86_400;
    plant.around.now = t(now);
    let batch = plant.hear(&[pump.alarm(now, now, "cavitation", 1.4)]);
    assert_eq!(batch.changes[0].event, Event::Reopened);
    assert_eq!(plant.asking(), [pump_case]);
    // A month later it is another one.
    let now = now + 30 * 86_400;
    plant.around.now = t(now);
    let batch = plant.hear(&[fan.sensor("flow", SensorState::Faulty, now, now)]);
    assert_eq!(batch.changes[0].event, Event::Opened);
}

#[test]
fn an_alarm_that_a_bad_sensor_explains_waits_for_the_sensor() {
    let mut plant = Plant::new();
    let pump: Probe = probe("hall-3_pump-1", "d");
    let now = plant.now();
    // All of the deviation lies on this signal.
    plant.hear(&[pump.alarm(now, now, "cavitation", 1.4)]);
    assert_eq!(plant.asking().len(), 1);
    plant.hear(&[pump.sensor("vibration_mm_s", SensorState::Faulty, now, now + 5)]);
    let machine = plant
        .desk
        .open_cases()
        .find(|held| held.case.signal.is_none())
        .unwrap();
    assert_eq!(machine.case.verdict, Verdict::Sensor);
    assert!(
        machine
            .case
            .why
            .as_ref()
            .unwrap()
            .en
            .contains("vibration_mm_s")
    );
    let asking = plant.asking();
    assert_eq!(asking.len(), 1, "the cheap order of the sensor alone");
    assert!(plant.desk.get(&asking[0]).unwrap().case.signal.is_some());
    plant.hear(&[pump.sensor("vibration_mm_s", SensorState::Good, now + 60, now + 60)]);
    let machine = plant
        .desk
        .open_cases()
        .find(|held| held.case.signal.is_none())
        .unwrap();
    assert_eq!(machine.case.verdict, Verdict::Machine);
}

/// What a plant may go through: a device, seconds on, an alarm of one of three modes or none.
fn steps() -> impl Strategy<Value = Vec<(usize, i64, Option<usize>, bool)>> {
    let step = (
        0..30_usize,
        0..120_i64,
        prop::option::weighted(0.8, 0..3_usize),
        any::<bool>(),
    );
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_group_has_one_open_head_and_a_second_look_changes_nothing(steps in steps()) {
        let mut plant = Plant::new();
        for (device, on, mode, critical) in steps {
            plant.around.now = plant.around.now + Duration::from_secs(on as u64);
            let now = plant.now();
            let site = if device % 5 == 0 { "hall-4" } else { "hall-3" };
            let probe = probe(&format!("{site}_m-{device}"), &format!("d-{device}"));
            let mut findings = vec![match mode {
                Some(mode) => probe.alarm(now, now, ["power-loss", "overheating", "cavitation"][mode], 2.0),
                None => probe.normal(now, now),
            }];
            if critical {
                findings.push(probe.health(now, 5.0));
            }
            plant.hear(&findings);
            // Findings that are no news leave what only time ends to the next look.
            plant.later(Duration::ZERO);
            let again = plant.later(Duration::ZERO);
            prop_assert!(again.changes.is_empty() && again.rows.is_empty(), "{:?}", again.changes);
            let mut heads = BTreeSet::new();
            for held in plant.desk.open_cases() {
                if let Some(group) = &held.care.group {
                    heads.insert(group.head.clone());
                    let head = plant.desk.get(&group.head);
                    prop_assert!(head.is_some(), "a group whose head is not open");
                    let of_head = head.unwrap().care.group.as_ref();
                    prop_assert_eq!(of_head.map(|group| &group.head), Some(&group.head));
                    prop_assert_eq!(&head.unwrap().case.site, &held.case.site);
                }
                let asks = held.wants_order(plant.around.now);
                let is_child = held.case.suppressed.is_some();
                prop_assert!(!(asks && is_child));
            }
        }
    }
}
