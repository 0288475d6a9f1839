//! `evaluate year`: a plant over a year, from readings to work orders and back, twice.
//!
//! The same machines with the same faults live through the year once with a loop that learns from
//! what engineers find, and once without. Machines, people and prices are simulated; all between
//! a reading and the end of an order is the product. What is compared is the second half of
//! the year: there the loop has learned for six months.
//!
//! Each policy meets the same faults, and what running to failure and the best calendar would have
//! cost is computed from them.

mod crew;
mod facts;
mod plant;
mod prices;
mod register;
mod run;
mod tally;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use serde::Serialize;
use telemetry::{AlertSource, Timestamp};

use crate::models;

use super::args::EvaluateArgs;
use facts::Log;
use plant::{days_after, plan};
use prices::{Calendar, CalendarCost, Span};
use run::Setting;
use tally::{Tally, tally};

/// The year begins with the calendar's: 2026-01-01.
const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// What a policy comes to in each part of the year.
#[derive(Debug, Serialize)]
struct Parts<T> {
    first_half: T,
    second_half: T,
    year: T,
}

impl<T> Parts<T> {
    fn of(days: u32, mut figure: impl FnMut(Span) -> T) -> Self {
        let day = |day: f64| days_after(START, day);
        let (half, end) = (day(f64::from(days) / 2.0), day(f64::from(days)));
        Self {
            first_half: figure((START, half)),
            second_half: figure((half, end)),
            year: figure((START, end)),
        }
    }

    fn each(&self) -> [(&'static str, &T); 3] {
        [
            ("first half", &self.first_half),
            ("second half", &self.second_half),
            ("year", &self.year),
        ]
    }
}

/// The figures of the suite.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    assets: u32,
    days: u32,
    seed: u64,
    readings: u64,
    /// How often the loop moved the limit of an alert.
    recalibrations: u32,
    /// Sensor faults in the plan.
    sensor_faults: usize,
    /// With a loop that learns.
    learning: Parts<Tally>,
    /// Without.
    frozen: Parts<Tally>,
    /// Nothing is done before a failure, EUR.
    run_to_failure: Parts<f64>,
    /// Wear parts renewed by the calendar.
    renewed: Parts<CalendarCost>,
    /// Machines looked at by the calendar.
    inspected: Parts<CalendarCost>,
    /// False orders for machines in the second half, learning against not learning: the part
    /// that is spared.
    false_orders_spared: Option<f64>,
    /// Seconds it took.
    seconds: f64,
}

/// Lives through the year and writes what happened to the folder.
///
/// # Errors
/// When the product refuses something or a file cannot be written.
pub(super) async fn evaluate(args: &EvaluateArgs) -> Result<Figures> {
    let began = std::time::Instant::now();
    let models = Arc::new(models::by_id(None)?);
    let plans = plan(args.assets, args.seed, START, f64::from(args.days));
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create {}", args.out.display()))?;
    let mut logs = Vec::new();
    for learns in [true, false] {
        let setting = Setting {
            seed: args.seed,
            start: START,
            days: args.days,
            learns,
        };
        let name = if learns { "learning" } else { "frozen" };
        let folder = files(&args.out, name)?;
        let log = run::year(&plans, Arc::clone(&models), setting, &folder).await?;
        write(&args.out, name, &plans, &log)?;
        logs.push(log);
    }
    let [learning, frozen] = [&logs[0], &logs[1]];
    let days = args.days;
    let (with, without) = (
        Parts::of(days, |span| tally(&plans, learning, span)),
        Parts::of(days, |span| tally(&plans, frozen, span)),
    );
    let calendar = |what| {
        Parts::of(days, |span| {
            prices::best_calendar(&plans, START, span, what)
        })
    };
    let base = without.second_half.false_orders;
    let figures = Figures {
        assets: args.assets,
        days,
        seed: args.seed,
        readings: learning.readings,
        recalibrations: learning.recalibrations,
        sensor_faults: plans.iter().map(plant::Plan::sensor_faults).sum(),
        false_orders_spared: (base > 0)
            .then(|| 1.0 - f64::from(with.second_half.false_orders) / f64::from(base)),
        learning: with,
        frozen: without,
        run_to_failure: Parts::of(days, |span| prices::run_to_failure(&plans, span)),
        renewed: calendar(Calendar::Renew),
        inspected: calendar(Calendar::Inspect),
        seconds: began.elapsed().as_secs_f64(),
    };
    let file = args.out.join("year.json");
    let json = serde_json::to_vec_pretty(&figures)?;
    std::fs::write(&file, json).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(figures)
}

/// An empty folder for the files of a year; those of an earlier run are thrown away.
fn files(out: &Path, name: &str) -> Result<PathBuf> {
    let folder = out.join(format!("{name}-files"));
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Writes each order and each fault as a line.
fn write(out: &Path, name: &str, plans: &[plant::Plan], log: &Log) -> Result<()> {
    let mut orders = "order,asset,source,foreseen,opened_at,done_at,outcome,found\n".to_owned();
    for order in &log.orders {
        let _ = writeln!(
            orders,
            "{},{},{},{},{},{},{},{}",
            order.id,
            plans[order.machine].id,
            match &order.source {
                AlertSource::Model => "detectors",
                AlertSource::Rule { rule } => rule.as_str(),
            },
            order.mode,
            order.opened_at,
            order.done_at.map(|at| at.to_string()).unwrap_or_default(),
            order.outcome.map_or("", telemetry::Outcome::as_str),
            order.found_mode.as_deref().unwrap_or_default(),
        );
    }
    let mut faults = "asset,mode,onset,fails_at,mended_at,alarm_at\n".to_owned();
    for fault in &log.faults {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let _ = writeln!(
            faults,
            "{},{},{},{},{},{}",
            plans[fault.machine].id,
            fault.mode,
            fault.onset,
            fault.fails_at,
            time(fault.mended_at),
            time(fault.alarm_at),
        );
    }
    for (what, text) in [("orders", orders), ("faults", faults)] {
        let file = out.join(format!("{name}-{what}.csv"));
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The figures as a table that documentation can take over.
pub(super) fn text(figures: &Figures) -> String {
    let mut text = format!(
        "{} machines, {} days, seed {}: {} readings, {} sensor faults; {:.0} s for both years\n\n",
        figures.assets,
        figures.days,
        figures.seed,
        figures.readings,
        figures.sensor_faults,
        figures.seconds
    );
    text += "| policy | part | faults | foretold | by chance | too late | missed | precision | false orders | of these for a sensor | orders about sensors right | orders a week | lead, days (P10, P50) | EUR |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (name, parts) in [
        ("learning", &figures.learning),
        ("not learning", &figures.frozen),
    ] {
        for (part, tally) in parts.each() {
            text += &line(name, part, tally);
        }
    }
    text += "\n| policy | part | EUR | failures |\n|---|---|---|---|\n";
    for (part, money) in figures.run_to_failure.each() {
        let _ = writeln!(text, "| run to failure | {part} | {money:.0} | all |");
    }
    for (name, parts) in [
        ("parts renewed by the calendar", &figures.renewed),
        ("inspected by the calendar", &figures.inspected),
    ] {
        for (part, cost) in parts.each() {
            let _ = writeln!(
                text,
                "| {name}, every {} days | {part} | {:.0} | {} |",
                cost.every_days, cost.money, cost.failures
            );
        }
    }
    if let Some(spared) = figures.false_orders_spared {
        let _ = writeln!(
            text,
            "\nfalse orders in the second half: {:.0} % fewer with learning",
            100.0 * spared
        );
    }
    text
}

fn line(policy: &str, part: &str, tally: &Tally) -> String {
    let share = |share: &tally::Share| match share.value {
        Some(value) => format!(
            "{:.0} % ({}/{}) [{:.0}, {:.0}]",
            100.0 * value,
            share.hits,
            share.of,
            100.0 * share.low,
            100.0 * share.high
        ),
        None => "-".to_owned(),
    };
    let lead = tally.lead_days.map_or("-".to_owned(), |[low, middle]| {
        format!("{low:.1}, {middle:.1}")
    });
    format!(
        "| {policy} | {part} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {lead} | {:.0} |\n",
        tally.faults,
        share(&tally.recall),
        tally.by_chance,
        tally.too_late,
        tally.missed,
        share(&tally.precision),
        tally.false_orders,
        tally.false_for_sensor,
        share(&tally.sensor_precision),
        tally.orders_per_week,
        tally.money
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::evaluate::args::Suite;

    /// A short year on few machines: the loop closes, every counted thing is a thing that happened,
    /// and the same seed gives the same year.
    #[tokio::test]
    async fn a_short_year_closes_the_loop_and_repeats() {
        let out = tempfile::tempdir().unwrap();
        let args = EvaluateArgs {
            suite: Suite::Year,
            data: None,
            out: out.path().to_owned(),
            train: "1".parse().unwrap(),
            test: "2".parse().unwrap(),
            assets: 6,
            days: 130,
            seed: 5,
            json: false,
        };
        let figures = evaluate(&args).await.unwrap();
        let year = &figures.learning.year;
        assert!(year.faults > 0 && figures.readings > 100_000);
        assert_eq!(
            year.recall.hits + year.by_chance + year.too_late + year.missed,
            year.faults
        );
        assert!(year.recall.hits > 0, "{year:?}");
        let orders = std::fs::read_to_string(out.path().join("learning-orders.csv")).unwrap();
        let ids: BTreeSet<&str> = orders
            .lines()
            .skip(1)
            .filter_map(|l| l.split(',').next())
            .collect();
        assert_eq!(
            ids.len(),
            orders.lines().count() - 1,
            "an order is raised once"
        );
        let again = evaluate(&args).await.unwrap();
        assert_eq!(again.learning.year, figures.learning.year);
        assert!(text(&again).contains("run to failure"));
    }
}
