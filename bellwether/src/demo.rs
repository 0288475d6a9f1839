//! Everything in one process: the plant, the program and a page to watch it on.
//!
//! Time runs fast here. One second of the demo is two hours of the plant, so that daily cycles
//! of load and weather are learned in half a minute and a bearing wears out in another.

mod plant;
mod report;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use telemetry::{Clock, SystemClock, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Parts, free_port},
    broker_url::BrokerUrl,
    cli::DemoArgs,
    config::{Config, Override},
    logs,
    publisher::Acknowledged,
    signals::stop_on_signal,
    simulate,
    verbs::{load_config, print_json},
};

/// Seconds of the plant in a second of the demo.
const SPEED: f64 = 7_200.0;
/// Between two rows of a machine: 24 rows a second from each.
const INTERVAL: Duration = Duration::from_mins(5);
/// The same once event time has caught up with the clock.
pub(crate) const LIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Rows of a baseline: 600 rows of five minutes are two days and two hours.
const LEARNING_ROWS: u32 = 600;
/// How far in the past the plant begins: caught up after one hour, inside the retention.
const PAST: Duration = Duration::from_hours(300 * 24);
/// At the end everything acknowledged must be applied everywhere within this.
const SETTLE: Duration = Duration::from_mins(1);
/// Between two lines about how it goes.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs the demo.
///
/// # Errors
/// When a part fails, or what was acknowledged does not arrive in the store.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let mut config = prepare(&args)?;
    logs::start(&config.log);
    // Kept until the end: dropping it removes the folder.
    let scratch = scratch_folder(&args, &mut config)?;
    let stop = stop_on_signal()?;
    find_ports(&mut config)?;
    let app = App::open(config, true).await?;
    let parts = app.parts().clone();
    plant::register(&parts.service)
        .await
        .context("cannot register the plant")?;
    let (web, mqtt) = (
        app.http_address()?,
        app.mqtt_address()
            .context("the demo needs its MQTT listener")?,
    );
    tell_welcome(web, &args, scratch.as_ref());

    let app_stop = CancellationToken::new();
    let program = tokio::spawn(app.run(app_stop.clone()));
    let demo = Demo {
        parts,
        acknowledged: Arc::new(Acknowledged::default()),
        broker: format!("mqtt://{mqtt}").parse()?,
        api: format!("http://{web}"),
        args,
    };
    let report = tokio::select! {
        report = demo.live(&stop) => report.map(Some),
        () = app_stop.cancelled() => Ok(None),
    };
    app_stop.cancel();
    program.await.context("the program panicked")??;
    let Some(report) = report? else {
        bail!("the program ended before the demo did");
    };
    if demo.args.json {
        print_json(&report)?;
    } else {
        println!("{report}");
    }
    report.check()
}

/// The configuration of the demo: its own defaults below whatever is configured.
fn prepare(args: &DemoArgs) -> Result<Config> {
    let mut config = load_config(&args.config)?;
    let written = |key: &str| written_anywhere(args, key);
    if !written("analytics.learning_rows") {
        config.analytics.learning_rows = LEARNING_ROWS;
    }
    if !written("log.level") {
        // The demo tells its story itself; the log is for what goes wrong.
        "warn".clone_into(&mut config.log.level);
    }
    Ok(config)
}

/// Whether somebody has set a key, so that the demo keeps its hands off it.
fn written_anywhere(args: &DemoArgs, key: &str) -> bool {
    let variable = format!("BELLWETHER_{}", key.replace('.', "__").to_ascii_uppercase());
    let flags: Vec<Override> = args.config.overrides();
    args.config.config.is_some()
        || std::env::var_os(variable).is_some()
        || flags.iter().any(|flag| flag.key == key)
}

/// A folder of its own that is gone afterwards, unless one is given.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scratch_folder(args: &DemoArgs, config: &mut Config) -> Result<Option<Scratch>> {
    if written_anywhere(args, "data_dir") {
        return Ok(None);
    }
    let name = format!("bellwether-demo-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
    config.data_dir.clone_from(&path);
    Ok(Some(Scratch(path)))
}

/// The demo does not fail over a taken port; it takes another and says so.
fn find_ports(config: &mut Config) -> Result<()> {
    let listener = config.ingest.listener.as_mut();
    let mqtt = listener.context("the demo needs ingest.listener.enabled = true")?;
    for (what, bind) in [
        ("MQTT", &mut mqtt.bind),
        ("The web page", &mut config.http.bind),
    ] {
        let free = free_port(*bind)?;
        if free != *bind {
            eprintln!("{bind} is taken by another program. {what} uses {free} instead.");
            *bind = free;
        }
    }
    Ok(())
}

fn tell_welcome(web: std::net::SocketAddr, args: &DemoArgs, scratch: Option<&Scratch>) {
    let days = f64::from(LEARNING_ROWS) * INTERVAL.as_secs_f64() / 86_400.0;
    eprintln!(
        "Bellwether demo: a plant of {} machines.",
        simulate::plant::MACHINES.len()
    );
    eprintln!();
    eprintln!("  Open http://{web}");
    eprintln!();
    eprintln!(
        "One second here is {:.0} hours in the plant. For the first {days:.1} days the machines",
        SPEED / 3_600.0
    );
    eprintln!(
        "are healthy and Bellwether learns what normal is. Then parts begin to wear: look at"
    );
    eprintln!("pump-1 and pump-3. Complete a work order, and its machine is repaired.");
    if scratch.is_some() {
        eprintln!(
            "Data lies in a temporary folder and is removed at the end; --data-dir keeps it."
        );
    }
    match args.lasting {
        Some(lasting) => eprintln!("It ends by itself after {} s.", lasting.as_secs()),
        None => eprintln!("Ctrl-C ends it."),
    }
    eprintln!();
}

struct Demo {
    parts: Parts,
    acknowledged: Arc<Acknowledged>,
    broker: BrokerUrl,
    api: String,
    args: DemoArgs,
}

impl Demo {
    /// Lets the plant live until the time is over or somebody stops it; afterwards everything
    /// published has been acknowledged, applied and counted.
    async fn live(&self, stop: &CancellationToken) -> Result<report::Report> {
        let stored_before = self.parts.store.reading_count();
        let plant_stop = CancellationToken::new();
        let now = SystemClock.now();
        let pace = simulate::Pace {
            began: now,
            start: self.beginning(now),
            speed: SPEED,
            interval: INTERVAL,
            live_interval: LIVE_INTERVAL,
        };
        let options = simulate::Options {
            broker: self.broker.clone(),
            api: Some(self.api.clone()),
            seed: self.args.seed,
            pace,
        };
        let plant = simulate::run(options, Arc::clone(&self.acknowledged), plant_stop.clone());
        tokio::pin!(plant);
        let end = self
            .args
            .lasting
            .map(|lasting| tokio::time::Instant::now() + lasting);
        let mut teller = report::Teller::new(pace);
        loop {
            let next = tokio::time::Instant::now() + TELL_EVERY;
            tokio::select! {
                ended = &mut plant => {
                    ended?;
                    bail!("the plant ended before the demo did");
                }
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(end.map_or(next, |end| end.min(next))) => {
                    if end.is_some_and(|end| end <= tokio::time::Instant::now()) {
                        break;
                    }
                    teller.tell(&self.parts, &self.acknowledged).await?;
                }
            }
        }
        // Asked before the devices say goodbye, because then they are all offline.
        let assets = report::assets_by_state(&self.api).await?;
        plant_stop.cancel();
        plant.await?;
        self.settle().await?;
        report::Report::new(&self.parts, &self.acknowledged, stored_before, assets).await
    }

    /// Where event time begins: in the past, or after what an earlier run has stored.
    fn beginning(&self, now: Timestamp) -> Timestamp {
        let stored = self.parts.store.series(None);
        let newest = stored.iter().map(|series| series.last_at).max();
        let start = now - PAST;
        newest
            .map_or(start, |newest| (newest + INTERVAL).max(start))
            .min(now)
    }

    /// Waits until everything that was acknowledged has been applied everywhere.
    async fn settle(&self) -> Result<()> {
        let goal = *self.parts.journal.committed().borrow();
        let mut analysed = self.parts.analysed.clone();
        let settled = async {
            while self.parts.store.applied() < goal {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let analysed = analysed.wait_for(|applied| *applied >= goal).await;
            // And until every case that wants an order has one, or waits for it.
            while analysed.is_ok()
                && self
                    .parts
                    .cases
                    .undecided()
                    .await
                    .is_ok_and(|left| left > 0)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            analysed.map(|_| ())
        };
        match tokio::time::timeout(SETTLE, settled).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => bail!("the analytics ended before everything was applied"),
            Err(_) => bail!("not everything was applied within {} s", SETTLE.as_secs()),
        }
    }
}
