//! What rules promise: over texts with faults, over whole courses of readings, over restarts.

mod courses;

use std::{sync::Arc, time::Duration};

use telemetry::{
    AssetId, AssetModel, AssetModelId, Assignment, DeviceId, Event, Finding, Foundation,
    JournalRecord, Machine, ReadingBatch, RuleChange, RuleId, RuleReport, RuleState, SignalName,
    Timestamp, VibrationGroup,
};

use super::{Engine, parse, parse_one};

const LATENESS: Duration = Duration::from_secs(2);

fn rule(keys: &str) -> String {
    format!("[[rule]]\nid = \"r\"\nname_en = \"Too hot\"\nname_zh = \"过热\"\n{keys}\n")
}

const HOT: &str = "kind = \"threshold\"\nsignal = \"t\"\nabove = 80\noff = 75";

/// One row a line: device, second of measurement, values by signal, second of receipt.
type Told = (&'static str, i64, &'static [(&'static str, f64)], i64);

fn record(rows: &[Told]) -> JournalRecord {
    let mut readings = ReadingBatch::new();
    for (device, at, values, received) in rows {
        let device = readings.device(&DeviceId::new(device).unwrap());
        for (signal, value) in *values {
            let signal = readings.signal(&SignalName::new(signal).unwrap());
            readings.push_value(signal, *value);
        }
        readings.finish_row(
            device,
            Timestamp::from_secs(*at),
            Timestamp::from_secs(*received),
        );
    }
    JournalRecord {
        readings,
        ..JournalRecord::default()
    }
}

fn of_event(event: Event) -> JournalRecord {
    JournalRecord {
        events: vec![event],
        ..JournalRecord::default()
    }
}

fn pump() -> Arc<AssetModel> {
    let id = AssetModelId::new("pump").unwrap();
    let mut model = AssetModel::new(id, "Pump", "泵", Vec::new());
    model.machine = Some(Machine {
        vibration_group: Some(VibrationGroup::Two),
        foundation: Some(Foundation::Rigid),
        ..Machine::default()
    });
    Arc::new(model)
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "an engine may also be told that nobody knows a device"
)]
fn place(device: &DeviceId) -> Option<Assignment> {
    let asset = AssetId::new(device.as_str()).unwrap();
    Some(Assignment {
        asset,
        model: Some(pump()),
    })
}

fn engine(text: &str) -> Engine {
    Engine::with_rules(parse(text).unwrap(), LATENESS)
}

fn run(engine: &mut Engine, records: &[JournalRecord]) -> Vec<RuleReport> {
    let mut out = Vec::new();
    for record in records {
        engine.apply(record, &mut place, &[], &mut out);
    }
    reports(out)
}

fn reports(findings: Vec<Finding>) -> Vec<RuleReport> {
    let report = |finding| match finding {
        Finding::Rule(report) => report,
        other => panic!("an engine tells of rules only: {other:?}"),
    };
    findings.into_iter().map(report).collect()
}

/// What was said: second, raised, since.
fn said(reports: &[RuleReport]) -> Vec<(i64, bool, i64)> {
    let verdicts = reports.iter().flat_map(|report| {
        report.verdicts.iter().map(|verdict| {
            let raised = verdict.state == RuleState::Raised;
            (
                report.at.as_micros() / 1_000_000,
                raised,
                verdict.since.as_micros() / 1_000_000,
            )
        })
    });
    verdicts.collect()
}

/// One value of `t` of `pump-1` each minute.
fn minutes(values: &[f64]) -> Vec<JournalRecord> {
    let rows = values.iter().enumerate().map(|(minute, value)| {
        let at = Timestamp::from_secs(minute as i64 * 60);
        let mut readings = ReadingBatch::new();
        let device = readings.device(&DeviceId::new("pump-1").unwrap());
        let signal = readings.signal(&SignalName::new("t").unwrap());
        readings.push_value(signal, *value);
        readings.finish_row(device, at, at);
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    });
    rows.collect()
}

#[test]
fn each_fault_of_a_text_is_told_with_its_line_and_column() {
    for (text, faults) in [
        (
            rule("kind = \"threshold\"\nsignal = \"t\"\nabove = 80\noff = 85"),
            vec![(8, 7, "wrong side")],
        ),
        (
            rule("kind = \"threshold\"\nsignal = \"t\""),
            vec![(5, 8, "above or below")],
        ),
        (
            rule("kind = \"threshold\"\nabove = 1"),
            vec![(5, 8, "needs signal")],
        ),
        (rule("kind = \"thresh\""), vec![(5, 8, "no kind of rule")]),
        (
            rule("kind = \"threshold\"\nsignal = \"t\"\nabove = \"80\""),
            vec![(7, 9, "invalid type")],
        ),
        (
            rule("kind = \"threshold\"\nsignall = \"t\"\nabove = 80"),
            vec![(6, 1, "unknown field")],
        ),
        (
            rule("kind = \"no_data\"\nfor_s = 60\nabove = 80"),
            vec![(7, 9, "has no above")],
        ),
        (
            rule("kind = \"no_data\"\nfor_s = 0"),
            vec![(6, 9, "seconds")],
        ),
        (
            rule("kind = \"count\"\nsignal = \"t\"\nabove = 1\nwithin_s = 60\nat_least = 65"),
            vec![(9, 12, "1 to 64")],
        ),
        (
            rule("kind = \"failure_within\"\nhorizon_s = 86400\nabove = 1.5"),
            vec![(7, 9, "between 0 and 1")],
        ),
        (
            rule(&format!(
                "{HOT}\n[rule.overrides.pump-1]\non = 70\noff = 72"
            )),
            vec![(9, 1, "wrong side")],
        ),
        (
            format!("{}{}", rule(HOT), rule(HOT)),
            vec![(9, 1, "two rules r")],
        ),
        (
            "other = 1\n".to_owned() + &rule(HOT),
            vec![(1, 1, "unknown field")],
        ),
        (
            rule("kind = \"threshold\"\nsignal = \"t\"")
                + &rule("kind = \"zone\"\nsignal = \"v\"").replace("\"r\"", "\"s\""),
            vec![(5, 8, "above or below"), (11, 8, "needs zone")],
        ),
    ] {
        let problems = parse(&text).unwrap_err();
        let found: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
        let places: Vec<_> = faults
            .iter()
            .map(|(line, column, _)| (*line, *column))
            .collect();
        assert_eq!(found, places, "{text}\n{problems:?}");
        for (problem, (_, _, says)) in problems.iter().zip(faults) {
            assert!(problem.message.contains(says), "{problem}");
        }
    }
}

#[test]
fn a_rule_keeps_its_comments_and_reads_back_as_itself() {
    let text = format!(
        "# The file.\n\n# Why it is there.\n{}\n# The next.\n{}",
        rule(HOT),
        rule(HOT).replace("\"r\"", "\"s\"")
    );
    let rules = parse(&text).unwrap();
    assert!(
        rules[0].text.starts_with("# Why it is there.\n[[rule]]"),
        "{}",
        rules[0].text
    );
    assert!(
        rules[1].text.starts_with("# The next.\n"),
        "{}",
        rules[1].text
    );
    for one in rules {
        assert_eq!(parse_one(&one.text).unwrap(), one);
    }
}

#[test]
fn a_threshold_rises_and_falls_at_its_levels_after_its_delays() {
    let delays = "\non_delay_s = 120\noff_delay_s = 60";
    let values = [70.0, 81.0, 82.0, 83.0, 78.0, 74.0, 79.0, 74.0, 73.0, 70.0];
    let mut engine = engine(&rule(&format!("{HOT}{delays}")));
    let told = run(&mut engine, &minutes(&values));
    // Beyond from minute 1; inside without a break from minute 7.
    assert_eq!(said(&told), [(180, true, 60), (480, false, 420)]);
    let verdict = &told[0].verdicts[0];
    assert_eq!(
        (verdict.value, verdict.limit, verdict.version),
        (Some(83.0), Some(80.0), 1)
    );
    assert_eq!(verdict.text.en, "Too hot: T is 83, above 80");
    assert_eq!(verdict.text.zh, "过热: T为 83，高于 80".replace(": ", "："));
}

#[test]
fn each_kind_of_rule_over_rows_says_what_it_should() {
    for (keys, values, expected) in [
        // 12 an hour over ten minutes: from minute 10 on the window holds the ramp.
        (
            "kind = \"rate\"\nsignal = \"t\"\nabove = 10\nover_s = 600",
            (0..20)
                .map(|m| 20.0 + 0.2 * f64::from(m))
                .collect::<Vec<_>>(),
            vec![(600, true, 600)],
        ),
        // ISO 10816-3 group 2, rigid: zone C begins at 2.8 mm/s and is over at 2.52.
        (
            "kind = \"zone\"\nsignal = \"t\"\nzone = \"C\"",
            vec![2.7, 2.81, 2.6, 2.5, 2.5],
            vec![(60, true, 60), (180, false, 180)],
        ),
        (
            "kind = \"count\"\nsignal = \"t\"\nabove = 1\nwithin_s = 600\nat_least = 3",
            [0.0, 2.0, 0.0, 2.0, 0.0, 2.0]
                .into_iter()
                .chain([0.0; 12])
                .collect(),
            vec![(300, true, 300), (720, false, 720)],
        ),
        (
            "kind = \"threshold\"\nsignal = \"t\"\nbelow = 10\noff = 12",
            vec![15.0, 9.0, 11.0, 12.0, 12.0],
            vec![(60, true, 60), (180, false, 180)],
        ),
    ] {
        let told = run(&mut engine(&rule(keys)), &minutes(&values));
        assert_eq!(said(&told), expected, "{keys}");
    }
}

#[test]
fn silence_is_told_by_the_clock_of_the_receiver_and_only_while_somebody_listens() {
    let text = rule("kind = \"no_data\"\nfor_s = 300\nverdict = \"sensor\"");
    let on = |second| record(&[("pump-2", second, &[("t", 1.0)], second)]);
    let first = record(&[
        ("pump-1", 0, &[("t", 1.0)], 0),
        ("pump-2", 0, &[("t", 1.0)], 0),
    ]);
    let told = run(
        &mut engine(&text),
        &[first.clone(), on(299), on(301), on(400)],
    );
    assert_eq!(said(&told), [(301, true, 0)]);
    assert_eq!(told[0].device.as_str(), "pump-1");
    // Nobody listened between 10 and 1000: only what is silent from then on is missing.
    let began = of_event(Event::Listening {
        began: true,
        at: Timestamp::from_secs(1_000),
    });
    let told = run(
        &mut engine(&text),
        &[first.clone(), on(10), began, on(1_001), on(1_250)],
    );
    assert_eq!(said(&told), []);
    // Nothing else arrives: the program tells the time. When data come again it is over.
    let tick = |at| {
        of_event(Event::Listening {
            began: false,
            at: Timestamp::from_secs(at),
        })
    };
    let back = record(&[("pump-1", 500, &[("t", 1.0)], 500)]);
    let told = run(
        &mut engine(&text),
        &[
            record(&[("pump-1", 0, &[("t", 1.0)], 0)]),
            tick(200),
            tick(310),
            back,
        ],
    );
    assert_eq!(said(&told), [(310, true, 0), (500, false, 500)]);
}

#[test]
fn one_signal_may_be_missing_while_its_device_speaks() {
    let text = rule("kind = \"no_data\"\nsignal = \"t\"\nfor_s = 60");
    let with = |at| record(&[("pump-1", at, &[("t", 1.0), ("p", 1.0)], at)]);
    let without = |at| record(&[("pump-1", at, &[("p", 1.0)], at)]);
    let told = run(
        &mut engine(&text),
        &[with(0), without(30), without(61), without(90), with(100)],
    );
    // Event time is that of the last row and what has passed since the value.
    assert_eq!(
        said(&told)
            .iter()
            .map(|(_, raised, _)| *raised)
            .collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn an_override_holds_for_its_asset_alone() {
    let text = rule(&format!(
        "{HOT}\n[rule.overrides.pump-2]\non = 90\n[rule.overrides.pump-3]\nenabled = false"
    ));
    let row = |at| {
        let values = &[("t", 85.0)];
        record(&[
            ("pump-1", at, values, at),
            ("pump-2", at, values, at),
            ("pump-3", at, values, at),
        ])
    };
    let told = run(&mut engine(&text), &[row(0), row(60), row(120)]);
    let devices: Vec<_> = told.iter().map(|report| report.device.as_str()).collect();
    assert_eq!(devices, ["pump-1"]);
}

#[test]
fn a_rule_that_is_retired_is_over_and_one_that_changes_goes_on() {
    let id = RuleId::new("r").unwrap();
    let change = |version, text: Option<String>| {
        of_event(Event::RulesChanged {
            changes: vec![RuleChange {
                rule: id.clone(),
                version,
                text,
            }],
            by: "li".to_owned(),
            at: Timestamp::from_secs(0),
        })
    };
    let mut engine = Engine::new(LATENESS);
    let mut records = minutes(&[85.0; 10]);
    records.insert(0, change(1, Some(rule(HOT))));
    records.insert(
        4,
        change(2, Some(rule(&HOT.replace("80", "70").replace("75", "65")))),
    );
    records.insert(8, change(3, None));
    let told = run(&mut engine, &records);
    assert_eq!(said(&told), [(0, true, 0), (300, false, 300)]);
    assert_eq!(told[1].verdicts[0].version, 2);
}

#[test]
fn a_factor_makes_a_rule_rarer_on_its_kind_of_machine_and_can_be_taken_back() {
    let factor = |model: &str, factor| {
        of_event(Event::AlertsRecalibrated {
            source: telemetry::AlertSource::Rule {
                rule: RuleId::new("r").unwrap(),
            },
            asset_model: AssetModelId::new(model).unwrap(),
            factor,
            at: Timestamp::from_secs(0),
        })
    };
    for (events, raised) in [
        (vec![], true),
        (vec![factor("fan", 1.2)], true),
        (vec![factor("pump", 1.2)], false),
        (vec![factor("pump", 1.2), factor("pump", 1.0)], true),
    ] {
        let mut engine = engine(&rule(HOT));
        let records: Vec<_> = events.into_iter().chain(minutes(&[90.0; 5])).collect();
        assert_eq!(!run(&mut engine, &records).is_empty(), raised);
    }
}

#[test]
fn a_state_of_another_format_is_refused() {
    let mut engine = Engine::new(LATENESS);
    for bytes in [&b""[..], b"\x02abc", b"\x01\xff\xff"] {
        let error = engine
            .restore("rules/pump-1", bytes)
            .unwrap_err()
            .to_string();
        assert!(error.contains("rules/pump-1"), "{error}");
    }
}
