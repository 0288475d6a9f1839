//! `bellwether evaluate`: the detectors and forecasts of the product against recordings whose
//! faults and ends are known.
//!
//! Each suite has one fixed configuration that a user could have chosen without the labels;
//! nothing is tuned on what is evaluated here. Beside every figure stands what a trivial
//! detector reaches, and beside every hit rate the false alarms it costs.

mod args;
mod azure;
mod bearings;
mod cmapss;
mod decision;
mod detect;
mod nab;
mod nab_rules;
mod remaining;
mod skab;
mod table;
mod year;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;

pub(crate) use args::EvaluateArgs;
use args::Suite;

use crate::verbs::{print_json, start_plain_log};

/// The figures of a suite.
#[derive(Debug, Serialize)]
#[serde(tag = "suite", rename_all = "lowercase")]
enum Figures {
    Skab(skab::Figures),
    Nab(nab::Figures),
    Femto(bearings::Figures),
    Ims(bearings::Figures),
    Cmapss(cmapss::Figures),
    Azure(azure::Figures),
    Decision(decision::Figures),
    Year(Box<year::Figures>),
}

/// Evaluates a suite and prints its figures.
pub(crate) async fn run(args: EvaluateArgs) -> Result<()> {
    let is_json = args.json;
    if args.suite == Suite::Year {
        start_plain_log("warn");
        let figures = year::evaluate(&args).await?;
        return tell(&Figures::Year(Box::new(figures)), is_json);
    }
    let evaluated = tokio::task::spawn_blocking(move || evaluate(&args));
    let figures = evaluated.await.context("the evaluation did not end")??;
    tell(&figures, is_json)
}

fn tell(figures: &Figures, is_json: bool) -> Result<()> {
    if is_json {
        return print_json(figures);
    }
    print!("{}", text(figures));
    Ok(())
}

fn evaluate(args: &EvaluateArgs) -> Result<Figures> {
    let data = args
        .data
        .as_deref()
        .context("--data says where the recordings are")?;
    let data = folder(data, args.suite);
    let out = &args.out;
    Ok(match args.suite {
        Suite::Skab => Figures::Skab(skab::evaluate(&data, out)?),
        Suite::Nab => Figures::Nab(nab::evaluate(&data, out)?),
        Suite::Femto => Figures::Femto(bearings::femto(&data, out)?),
        Suite::Ims => Figures::Ims(bearings::ims(&data, out)?),
        Suite::Cmapss => Figures::Cmapss(cmapss::evaluate(&data, out)?),
        Suite::Azure => Figures::Azure(azure::evaluate(&data, out, &args.train, &args.test)?),
        Suite::Decision => Figures::Decision(decision::evaluate(&data, out)?),
        Suite::Year => bail!("the year has no recordings"),
    })
}

/// The folder of a suite: the one given, or the one in it that has the suite's name.
fn folder(data: &Path, suite: Suite) -> PathBuf {
    let inner = data.join(suite.folder());
    if inner.is_dir() {
        inner
    } else {
        data.to_owned()
    }
}

fn text(figures: &Figures) -> String {
    match figures {
        Figures::Skab(figures) => skab_text(figures),
        Figures::Nab(figures) => nab_text(figures),
        Figures::Femto(figures) | Figures::Ims(figures) => bearings_text(figures),
        Figures::Cmapss(figures) => cmapss::text(figures),
        Figures::Azure(figures) => azure::text(figures),
        Figures::Decision(figures) => decision::text(figures),
        Figures::Year(figures) => year::text(figures),
    }
}

fn skab_text(figures: &skab::Figures) -> String {
    let line = |what: &str, f: &skab::Flags| {
        format!(
            "{what:16}F1 {:.3}  FAR {:5.1} % (before the fault {:.1}, after {:.1})  MAR {:5.1} %\n",
            f.f1, f.far, f.far_before, f.far_after, f.mar
        )
    };
    let mut text = format!("{} recordings, rows 400 and later\n", figures.files);
    text += &line("agreement", &figures.detector);
    text += &line("T2 and Q", &figures.pca);
    text += &line("always alarm", &figures.always_alarm);
    let delay = figures
        .median_delay_rows
        .map_or("-".to_owned(), |rows| rows.to_string());
    let _ = writeln!(
        text,
        "fault found in {} of {}, median delay {delay} rows",
        figures.detected, figures.files
    );
    if let Some(free) = figures.free {
        let _ = writeln!(
            text,
            "without a fault: alarm on {:.2} % of the rows after 2,000 of commissioning, \
             {} episodes in {:.1} h; limit for one a month: {:.2} times",
            free.far, free.episodes, free.hours, free.limit_for_budget
        );
    }
    text
}

fn nab_text(figures: &nab::Figures) -> String {
    let line = |what: &str, profiles: &nab::Profiles| {
        let each = profiles
            .0
            .iter()
            .map(|(name, score)| format!("{name} {score:6.2}"));
        format!("{what:18}{}\n", each.collect::<Vec<_>>().join("  "))
    };
    let mut text = format!(
        "{} recordings, {} windows\n",
        figures.files, figures.windows
    );
    text += &line("fixed threshold", &figures.fixed);
    text += &line("best threshold", &figures.best_threshold);
    text += &line("new extreme", &figures.new_extreme);
    let _ = writeln!(
        text,
        "false alarms {:.1} per 10,000 rows",
        figures.false_alarms_per_10000
    );
    text
}

fn bearings_text(figures: &bearings::Figures) -> String {
    let minutes = |lead: Option<f64>| lead.map_or("-".to_owned(), |m| format!("{m:.0} min"));
    let mut text = format!(
        "{} of {} failures announced, {} with at most one alarm in the first third, median lead {}\n",
        figures.detected,
        figures.failed,
        figures.within_budget,
        minutes(figures.median_lead_minutes)
    );
    let _ = writeln!(
        text,
        "rise by half (trivial): {} announced, {} alarmed in the first third",
        figures.trivial_detected, figures.trivial_early
    );
    for run in &figures.runs {
        let _ = writeln!(
            text,
            "  {:22} {:8} {:5} records, {} alarms ({} in the first third), lead {}",
            run.name,
            if run.failed { "failed" } else { "control" },
            run.records,
            run.alarms,
            run.false_alarms,
            minutes(run.lead_minutes)
        );
    }
    if let Some(remaining) = &figures.remaining {
        text += &remaining::text(remaining);
    }
    text + &remaining::trends_text(&figures.trends)
}

#[cfg(test)]
mod tests;
