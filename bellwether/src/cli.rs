//! The command line: what may be typed, and nothing of what it does.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use telemetry::DeviceId;

use crate::{
    backtest::verb::BacktestArgs,
    backup::{BackupArgs, RestoreArgs},
    bench::args::{BenchHistorianArgs, BenchQueryArgs},
    broker_url::BrokerUrl,
    config::{Override, parse_duration},
    evaluate::EvaluateArgs,
    export::ExportArgs,
    import::ImportArgs,
    prognosis::verb::TrainArgs,
    remote::{
        cases::CaseVerb, dead_letters::DeadLetterVerb, devices::DeviceVerb, onboard::OnboardArgs,
    },
    replay::Speed,
};

/// Machine telemetry in, preventive work orders out.
#[derive(Debug, Parser)]
#[command(
    name = "bellwether",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a run")]
pub(crate) enum Verb {
    /// Show everything at once: a simulated plant, the program, and its web page.
    Demo(DemoArgs),
    /// Run: take readings in, learn, raise cases and work orders, serve API and web UI.
    Run(RunArgs),
    /// Simulate a plant of degrading machines that publishes over MQTT.
    Simulate(SimulateArgs),
    /// Publish a recorded CSV over MQTT, as if its device sent it now.
    Replay(ReplayArgs),
    /// Import recorded tables: CSV, InfluxDB line protocol, Parquet.
    Import(ImportArgs),
    /// Learn the remaining life of a kind of machine from the lives of its like.
    Train(TrainArgs),
    /// Try rules on the stored past: what they would have done, beside the rules in force.
    Backtest(BacktestArgs),
    /// Export readings as CSV, line protocol or Parquet, also while the program runs.
    Export(ExportArgs),
    /// Run the detectors over recordings with known faults, and print what they reach.
    Evaluate(EvaluateArgs),
    /// Enter devices, list them, and say who may publish in their name.
    #[command(subcommand)]
    Device(DeviceVerb),
    /// Enter devices by the hundred from one CSV: all or nothing, each error with its place.
    Onboard(OnboardArgs),
    /// List messages that failed a check, and take them again after a fix.
    #[command(subcommand)]
    DeadLetter(DeadLetterVerb),
    /// Look into cases.
    #[command(subcommand)]
    Case(CaseVerb),
    /// Copy everything that is kept into a new folder, while the program runs.
    Backup(BackupArgs),
    /// Fill an empty or missing data directory from a backup.
    Restore(RestoreArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Look at rules that people wrote.
    #[command(subcommand)]
    Rules(RulesVerb),
    /// Measure.
    #[command(subcommand)]
    Bench(BenchVerb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check the configuration as `run` would see it, and show what is in force.
    Check(ConfigCheckArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesVerb {
    /// Check rule files as `run` would read them: each problem with file, line and column.
    Check(RulesCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RulesCheckArgs {
    /// Rule files (TOML); several are one set
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print the rules as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchVerb {
    /// Messages and readings a second, durably acknowledged, by number of connections.
    Ingest(BenchIngestArgs),
    /// Values a second from line protocol until they are acknowledged and can be queried, and bytes a value on disk.
    Historian(BenchHistorianArgs),
    /// How long a chart, the newest values and a restart take over much data.
    Query(BenchQueryArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML) [env: BELLWETHER_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of everything that must survive a restart [key: data_dir]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the MQTT endpoint [key: ingest.listener.bind]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mqtt: Option<String>,
    /// Address of API and web UI [key: http.bind]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<String>,
    /// Set any key, as in --set analytics.learning_rows=400; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The flags as the last layer of the configuration.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let flag = |flag: &str, key: &str, text: &str| Override {
            flag: flag.to_owned(),
            key: key.to_owned(),
            text: text.to_owned(),
        };
        let mut all: Vec<Override> = self
            .set
            .iter()
            .map(|(key, text)| flag("--set", key, text))
            .collect();
        if let Some(dir) = &self.data_dir {
            all.push(flag("--data-dir", "data_dir", &dir.to_string_lossy()));
        }
        if let Some(mqtt) = &self.mqtt {
            all.push(flag("--mqtt", "ingest.listener.bind", mqtt));
        }
        if let Some(http) = &self.http {
            all.push(flag("--http", "http.bind", http));
        }
        all
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("use KEY=VALUE, as in analytics.learning_rows=400")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// End by itself after this long, as in 150s; without it the demo runs until it is stopped
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lasting: Option<Duration>,
    /// Seed of everything random in the plant
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object about the run on standard output at its end
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// MQTT endpoint to publish to
    #[arg(long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883")]
    pub(crate) broker: BrokerUrl,
    /// API whose completed work orders repair the machines, as in http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub(crate) api: Option<String>,
    /// End by itself after this long
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lasting: Option<Duration>,
    /// Seed of everything random in the plant
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many times as fast as the clock event time runs until it has caught up
    #[arg(long, value_name = "FACTOR", default_value_t = 7200.0, value_parser = factor)]
    pub(crate) speed: f64,
    /// How far in the past event time begins
    #[arg(long, value_name = "DURATION", default_value = "300d", value_parser = parse_duration)]
    pub(crate) past: Duration,
    /// Between two rows of a machine, in event time
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Print one JSON object about the run on standard output at its end
    #[arg(long)]
    pub(crate) json: bool,
}

fn factor(text: &str) -> Result<f64, String> {
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|factor| (1.0..=1e6).contains(factor))
        .ok_or_else(|| "use a number from 1 to 1000000".to_owned())
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (Duration::from_millis(10)..=Duration::from_hours(24)).contains(&interval) {
        Ok(interval)
    } else {
        Err("use 10ms to 1d".to_owned())
    }
}

/// MQTT's quality of service.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum QosArg {
    /// At most once.
    #[value(name = "0")]
    Zero,
    /// At least once.
    #[value(name = "1")]
    One,
    /// Exactly once.
    #[value(name = "2")]
    Two,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Recording: a CSV with a header, separated by comma, semicolon or tab
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Device that sends it
    #[arg(long)]
    pub(crate) device: DeviceId,
    /// max, or how many times as fast as it was recorded
    #[arg(long, default_value = "1")]
    pub(crate) speed: Speed,
    /// MQTT endpoint to publish to
    #[arg(long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883")]
    pub(crate) broker: BrokerUrl,
    /// Columns to leave out, such as labels
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Time column, when its name is unusual
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time_column: Option<String>,
    /// Quality of service: 0, 1 or 2
    #[arg(long, value_enum, default_value = "1", hide_possible_values = true)]
    pub(crate) qos: QosArg,
    /// Topic
    #[arg(long, default_value = "telemetry/{device}")]
    pub(crate) topic: String,
    /// Print one JSON object about the replay on standard output at its end
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print the configuration in force as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchIngestArgs {
    /// Numbers of connections to measure
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) connections: Vec<u16>,
    /// Seconds measured for each, after the warm-up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Messages without an acknowledgement at the same time, for each connection
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) inflight: u16,
    /// Broker to measure in turn with the same generator
    #[arg(long, value_name = "URL")]
    pub(crate) against: Option<BrokerUrl>,
    /// Hold this many idle connections and tell the memory of each instead
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) idle: Option<u32>,
    /// Print the results as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The help of a verb and of every verb below it.
    fn helps(verb: &mut clap::Command, path: &str, all: &mut String) {
        let help = verb.render_help().to_string();
        for part in ["$ bellwether", path, " --help\n", &help, "\n\n"] {
            all.push_str(part);
        }
        for below in verb.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            helps(below, &path, all);
        }
    }

    #[test]
    fn help_of_every_verb_stays_as_it_is() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut all = String::new();
        helps(&mut command, "", &mut all);
        insta::assert_snapshot!(all);
    }

    #[test]
    fn the_contract_of_the_commands_is_understood() {
        for line in [
            "bellwether demo --for 150s --json",
            "bellwether run --config plant.toml --mqtt 127.0.0.1:1999 --set log.level=debug",
            "bellwether replay 1.csv --device pump-1 --speed max --ignore anomaly,changepoint",
            "bellwether replay 1.csv --device pump-1 --speed 60 --qos 2 --broker mqtt://127.0.0.1:1884",
            "bellwether simulate --api http://127.0.0.1:8080 --for 10s",
            "bellwether config check --json",
            "bellwether device add p1 --model pump --signal t=°F[-40..250] --signal u->v --token",
            "bellwether device certificate p1 name --quota-messages 5 --json",
            "bellwether device revoke 7 --api http://127.0.0.1:8081",
            "bellwether onboard fleet.csv --dry-run --tokens out.csv",
            "bellwether train --asset-model centrifugal-pump --horizon 14d --by planner-1",
            "bellwether train --asset-model centrifugal-pump --data ./bellwether-data --promote --json",
            "bellwether backtest --rules r.toml --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z",
            "bellwether evaluate year --assets 10 --seed 3 --out ./year",
            "bellwether import history --failures f.csv --map failures.asset=machineID --dry-run",
            "bellwether import history --assets a.csv --maintenance m.csv --errors e.csv --data ./d",
            "bellwether dead-letter list --reason out_of_range --state all",
            "bellwether dead-letter replay --id 4 --id 5",
            "bellwether dead-letter replay --reason out_of_range --device p1",
            "bellwether bench ingest --connections 10,100 --against mqtt://127.0.0.1:1884 --json",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "bellwether",
            "bellwether fly",
            "bellwether demo --for soon",
            "bellwether replay 1.csv",
            "bellwether replay 1.csv --device a/b",
            "bellwether bench ingest --connections 0",
            "bellwether device add a/b",
            "bellwether device add p1 --signal t=furlong",
            "bellwether device certificate p1 fingerprint",
            "bellwether device token gw --topic-prefix telemetry/hall-3",
            "bellwether device list --api plant",
            "bellwether train",
            "bellwether backtest --rules r.toml",
            "bellwether backtest --rules r.toml --from soon --to 2026-02-01T00:00:00Z",
            "bellwether evaluate skab --out d",
            "bellwether train --asset-model a/b",
            "bellwether import history",
            "bellwether import",
            "bellwether dead-letter replay",
            "bellwether dead-letter replay --id 4 --reason out_of_range",
            "bellwether dead-letter list --reason bad_luck",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
