//! What each verb of the command line does.

use std::{io::Write, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use rumqttc::QoS;
use serde_json::json;
use telemetry::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    backtest, backup, bench,
    cli::{
        BenchVerb, ConfigArgs, ConfigCheckArgs, ConfigVerb, QosArg, ReplayArgs, RulesVerb, RunArgs,
        SimulateArgs, Verb,
    },
    config::{CONFIG_VARIABLE, Config, Listener, Log, LogFormat},
    demo, evaluate, export, import, logs, prognosis,
    publisher::Acknowledged,
    remote, replay,
    signals::stop_on_signal,
    simulate,
};

/// Does what was asked.
///
/// # Errors
/// Whatever went wrong, ready to be shown.
pub(crate) async fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Demo(args) => demo::run(args).await,
        Verb::Run(args) => serve(&args).await,
        Verb::Simulate(args) => simulate(args).await,
        Verb::Replay(args) => replay(args).await,
        Verb::Import(args) => import::run(args).await,
        Verb::Backtest(args) => backtest::verb::run(args).await,
        Verb::Train(args) => prognosis::verb::run(args).await,
        Verb::Export(args) => export::run(args).await,
        Verb::Evaluate(args) => evaluate::run(args).await,
        Verb::Device(verb) => remote::devices::run(verb).await,
        Verb::Onboard(args) => remote::onboard::run(args).await,
        Verb::Case(verb) => remote::cases::run(verb).await,
        Verb::DeadLetter(verb) => remote::dead_letters::run(verb).await,
        Verb::Backup(args) => backup::backup(args).await,
        Verb::Restore(args) => backup::restore(args).await,
        Verb::Config(ConfigVerb::Check(args)) => check(&args),
        Verb::Rules(RulesVerb::Check(args)) => crate::rules::check(&args),
        Verb::Bench(BenchVerb::Ingest(args)) => bench::ingest(args).await,
        Verb::Bench(BenchVerb::Historian(args)) => bench::historian(args).await,
        Verb::Bench(BenchVerb::Query(args)) => bench::query(args).await,
    }
}

/// The configuration as flags, environment and file say.
pub(crate) fn load_config(args: &ConfigArgs) -> Result<Config> {
    let named = std::env::var_os(CONFIG_VARIABLE).map(Into::into);
    let file = args.config.clone().or(named);
    // A name or value that is not UTF-8 cannot be one of ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Config::load(file.as_deref(), variables, &args.overrides())?)
}

/// The log of verbs that have no configuration.
pub(crate) fn start_plain_log(level: &str) {
    logs::start(&Log {
        level: level.to_owned(),
        format: LogFormat::Text,
    });
}

/// Prints one JSON value on standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out).context("cannot write to standard output")
}

async fn serve(args: &RunArgs) -> Result<()> {
    let config = load_config(&args.config)?;
    logs::start(&config.log);
    let stop = stop_on_signal()?;
    let app = App::open(config, false).await?;
    let mqtt = app
        .mqtt_address()
        .map(|address| format!("mqtt://{address}"));
    tracing::info!(
        web = format!("http://{}", app.http_address()?),
        mqtt = mqtt.as_deref().unwrap_or("off"),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    app.run(stop).await
}

async fn simulate(args: SimulateArgs) -> Result<()> {
    start_plain_log("info");
    let stop = stop_on_signal()?;
    stop_after(args.lasting, &stop);
    let now = SystemClock.now();
    let acknowledged = Arc::new(Acknowledged::default());
    let pace = simulate::Pace {
        began: now,
        start: now - args.past,
        speed: args.speed,
        interval: args.interval,
        live_interval: demo::LIVE_INTERVAL,
    };
    let options = simulate::Options {
        broker: args.broker,
        api: args.api,
        seed: args.seed,
        pace,
    };
    let teller = tokio::spawn(tell(Arc::clone(&acknowledged), pace));
    let ended = simulate::run(options, Arc::clone(&acknowledged), stop).await;
    teller.abort();
    ended?;
    let event_time = pace.event_time(SystemClock.now());
    if args.json {
        return print_json(&json!({
            "messages_acknowledged": acknowledged.messages(),
            "readings_acknowledged": acknowledged.readings(),
            "event_time": event_time,
        }));
    }
    println!(
        "{} messages with {} readings were acknowledged; the plant has come to {event_time}",
        acknowledged.messages(),
        acknowledged.readings()
    );
    Ok(())
}

/// Tells now and then how far the simulation is.
async fn tell(acknowledged: Arc<Acknowledged>, pace: simulate::Pace) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let event_time = pace.event_time(SystemClock.now());
        tracing::info!(readings = acknowledged.readings(), %event_time, "acknowledged");
    }
}

/// Stops after a while, when one is given.
pub(crate) fn stop_after(lasting: Option<Duration>, stop: &CancellationToken) {
    if let Some(lasting) = lasting {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(lasting).await;
            stop.cancel();
        });
    }
}

async fn replay(args: ReplayArgs) -> Result<()> {
    start_plain_log("warn");
    let stop = stop_on_signal()?;
    let options = replay::Options {
        file: args.file,
        device: args.device,
        speed: args.speed,
        broker: args.broker,
        ignore: args.ignore,
        time_column: args.time_column,
        qos: match args.qos {
            QosArg::Zero => QoS::AtMostOnce,
            QosArg::One => QoS::AtLeastOnce,
            QosArg::Two => QoS::ExactlyOnce,
        },
        topic: args.topic,
    };
    let summary = replay::run(options, stop).await?;
    if args.json {
        return print_json(&summary);
    }
    let unreadable = match summary.rows_unreadable {
        0 => String::new(),
        rows => format!(", {rows} rows could not be read"),
    };
    println!(
        "{}: {} rows with {} readings acknowledged in {:.1} s{unreadable}",
        summary.device, summary.rows, summary.readings_acknowledged, summary.seconds
    );
    Ok(())
}

fn check(args: &ConfigCheckArgs) -> Result<()> {
    let config = load_config(&args.config)?;
    if args.json {
        return print_json(&config);
    }
    println!("The configuration is good.");
    println!("  data      {}", config.data_dir.display());
    println!("  mqtt      {}", mqtt_line(config.ingest.listener.as_ref()));
    for subscriber in &config.ingest.subscribers {
        println!(
            "  reads     {} as {}",
            subscriber.shown_url(),
            subscriber.client_id
        );
    }
    println!("  web       http://{}", config.http.bind);
    println!(
        "  learns    {} rows for each device",
        config.analytics.learning_rows
    );
    Ok(())
}

/// Where devices publish, and what they must show there.
fn mqtt_line(listener: Option<&Listener>) -> String {
    let Some(listener) = listener else {
        return "off".to_owned();
    };
    let mut line = match &listener.tls {
        Some(tls) => format!(
            "mqtts://{} with {}, client certificates {:?}",
            listener.bind,
            tls.cert.display(),
            tls.client_certificates
        ),
        None => format!("mqtt://{}", listener.bind),
    };
    line += match listener.access {
        ingest::Access::Open => ", no credential needed",
        ingest::Access::Required => ", credentials required",
    };
    if let Some(insecurity) = listener.insecurity() {
        line += "\n            WARNING: ";
        line += &insecurity;
    }
    line
}
