//! Whatever the machines do: a restart and the order of arrival change nothing.

use proptest::prelude::*;
use telemetry::{DeviceId, JournalRecord, ReadingBatch, SignalName, Timestamp};

use super::{LATENESS, engine, place, rule, run};
use crate::rules::{Engine, parse};

/// A course of two machines with several rules: seconds, values, some rows late within the bound.
fn any_course() -> impl Strategy<Value = Vec<(u8, i64, f64)>> {
    prop::collection::vec((0..2_u8, 1..4_i64, 60.0..100.0_f64), 20..120).prop_map(|steps| {
        let mut at = 0;
        let rows = steps.into_iter().map(|(device, step, value)| {
            at += step;
            (device, at, value)
        });
        rows.collect()
    })
}

fn every_rule() -> String {
    [
        (
            "a",
            "kind = \"threshold\"\nsignal = \"t\"\nabove = 80\noff = 75\non_delay_s = 3",
        ),
        (
            "b",
            "kind = \"rate\"\nsignal = \"t\"\nabove = 3000\nover_s = 10",
        ),
        (
            "c",
            "kind = \"count\"\nsignal = \"t\"\nabove = 90\nwithin_s = 30\nat_least = 3",
        ),
        ("d", "kind = \"no_data\"\nfor_s = 8"),
        ("e", "kind = \"no_data\"\nsignal = \"t\"\nfor_s = 12"),
    ]
    .map(|(id, keys)| rule(keys).replace("\"r\"", &format!("{id:?}")))
    .concat()
}

fn rows_of(course: &[(u8, i64, f64)]) -> Vec<JournalRecord> {
    let rows = course.iter().map(|(device, at, value)| {
        let mut readings = ReadingBatch::new();
        let name = format!("pump-{device}");
        let device = readings.device(&DeviceId::new(&name).unwrap());
        let signal = readings.signal(&SignalName::new("t").unwrap());
        readings.push_value(signal, *value);
        let at = Timestamp::from_secs(*at);
        readings.finish_row(device, at, at);
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    });
    rows.collect()
}

proptest! {
    #[test]
    fn a_restart_between_any_two_records_changes_nothing(course in any_course(), cut: prop::sample::Index) {
        let records = rows_of(&course);
        let whole = run(&mut engine(&every_rule()), &records);
        let cut = cut.index(records.len());
        let mut first = engine(&every_rule());
        let mut told = run(&mut first, &records[..cut]);
        let mut second = Engine::new(LATENESS);
        for (key, bytes) in first.take_dirty().unwrap() {
            second.restore(&key, &bytes).unwrap();
        }
        second.resume(&mut place);
        told.extend(run(&mut second, &records[cut..]));
        prop_assert_eq!(told, whole);
    }

    #[test]
    fn rows_in_any_order_within_the_lateness_bound_say_the_same(
        course in any_course(), shifts in prop::collection::vec(0..2_000_i64, 120),
    ) {
        // Rules on silence speak of times of receipt, which do change with the order.
        let rules = parse(&every_rule()).unwrap();
        let of_rows = rules.iter().filter(|one| one.rule.condition.kind() != "no_data");
        let text: String = of_rows.map(|one| &*one.text).collect();
        let mut arrivals: Vec<_> = course.iter().zip(shifts).map(|(row, shift)| (row.1 * 1_000 + shift, *row)).collect();
        let ends = |records: &mut Vec<JournalRecord>| {
            records.extend(rows_of(&[(0, 10_000, 60.0), (1, 10_000, 60.0)]));
        };
        let mut in_order = rows_of(&course);
        ends(&mut in_order);
        arrivals.sort_by_key(|(arrives, _)| *arrives);
        let shuffled: Vec<_> = arrivals.into_iter().map(|(_, row)| row).collect();
        let mut out_of_order = rows_of(&shuffled);
        ends(&mut out_of_order);
        let mut one = run(&mut engine(&text), &in_order);
        let mut other = run(&mut engine(&text), &out_of_order);
        one.sort_by(|a, b| (&a.device, a.at).cmp(&(&b.device, b.at)));
        other.sort_by(|a, b| (&a.device, a.at).cmp(&(&b.device, b.at)));
        prop_assert_eq!(one, other);
    }
}
