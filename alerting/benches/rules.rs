//! Readings a second through the rule engine on one core: `cargo bench -p alerting --bench rules`.
//!
//! A hundred devices send three signals each second; records of ten seconds, as a busy journal
//! commits them, are held in memory. Five rules look at every device: a threshold with delays, a
//! rate of change, a count of crossings, silence of the device and silence of one signal. The
//! fastest tenth of the records shows what a core does while nothing else wants it.

use std::{hint::black_box, time::Duration, time::Instant};

use alerting::rules::{Engine, parse};
use telemetry::{
    AssetId, Assignment, DeviceId, JournalRecord, ReadingBatch, SignalName, Timestamp,
};

const DEVICES: usize = 100;
const SECONDS_A_RECORD: usize = 10;
const RECORDS: usize = 400;
const SIGNALS: [&str; 3] = ["temperature_c", "vibration_mm_s", "pressure_bar"];

const RULES: &str = r#"
[[rule]]
id = "hot"
name_en = "Hot"
name_zh = "热"
kind = "threshold"
signal = "temperature_c"
above = 80
off = 75
on_delay_s = 60

[[rule]]
id = "heating"
name_en = "Heating"
name_zh = "升温"
kind = "rate"
signal = "temperature_c"
above = 60
over_s = 600

[[rule]]
id = "shocks"
name_en = "Shocks"
name_zh = "冲击"
kind = "count"
signal = "vibration_mm_s"
above = 7
within_s = 3600
at_least = 10

[[rule]]
id = "silent"
name_en = "Silent"
name_zh = "无数据"
kind = "no_data"
for_s = 600

[[rule]]
id = "no-pressure"
name_en = "No pressure"
name_zh = "无压力"
kind = "no_data"
signal = "pressure_bar"
for_s = 600
"#;

fn records() -> Vec<JournalRecord> {
    let devices: Vec<DeviceId> = (0..DEVICES)
        .filter_map(|number| DeviceId::new(&format!("pump-{number}")).ok())
        .collect();
    let names: Vec<SignalName> = SIGNALS
        .iter()
        .filter_map(|name| SignalName::new(name).ok())
        .collect();
    let record = |number: usize| {
        let mut readings = ReadingBatch::new();
        for second in 0..SECONDS_A_RECORD {
            let at = Timestamp::from_secs((number * SECONDS_A_RECORD + second) as i64);
            for (place, device) in devices.iter().enumerate() {
                let device = readings.device(device);
                for (signal, name) in names.iter().enumerate() {
                    let signal_at = readings.signal(name);
                    let phase = (number * SECONDS_A_RECORD + second + place * 7 + signal) as f64;
                    readings.push_value(signal_at, 50.0 + 10.0 * (phase / 60.0).sin());
                }
                readings.finish_row(device, at, at);
            }
        }
        JournalRecord {
            readings,
            ..JournalRecord::default()
        }
    };
    (0..RECORDS).map(record).collect()
}

fn main() {
    let Ok(rules) = parse(RULES) else {
        println!("the rules of the bench cannot be read");
        return;
    };
    let count = rules.len();
    let mut engine = Engine::with_rules(rules, Duration::from_secs(2));
    let mut assign = |device: &DeviceId| {
        let asset = AssetId::new(device.as_str()).ok()?;
        Some(Assignment { asset, model: None })
    };
    let records = records();
    let readings = DEVICES * SECONDS_A_RECORD * SIGNALS.len();
    let mut seconds = Vec::with_capacity(records.len());
    let mut out = Vec::new();
    for record in &records {
        let from = Instant::now();
        engine.apply(black_box(record), &mut assign, &[], &mut out);
        seconds.push(from.elapsed().as_secs_f64());
    }
    seconds.sort_unstable_by(f64::total_cmp);
    let fastest = seconds[seconds.len() / 10];
    let median = seconds[seconds.len() / 2];
    println!(
        "rules {count} devices {DEVICES} findings {} readings_per_s {:.0} median {:.0}",
        out.len(),
        readings as f64 / fastest,
        readings as f64 / median
    );
}
