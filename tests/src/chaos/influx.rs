//! A store elsewhere that fails in every way it can: the journal is the spool, so that costs no
//! reading and no acknowledgement, and what has piled up is written faster than it came in.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use super::{
    Outcome, Plan,
    hall::{Hall, Order},
    influx_server::{Mood, Server},
    victoria::Victoria,
};
use crate::{Api, Home, ports::free_port, program::DRAINED_WITHIN, until};

/// How long the presses work while the store is in one mood.
const LOAD: Duration = Duration::from_secs(2);
const LOAD_LONG: Duration = Duration::from_secs(20);

/// How long the store is dead while a backlog grows.
const DEAD: Duration = Duration::from_secs(5);
const DEAD_LONG: Duration = Duration::from_mins(1);

/// The promise: a backlog is written so many times as fast as it came in.
const TIMES_NOMINAL: f64 = 3.0;

/// After a failure the writer waits 10 s at most, and a hanging write ends by its deadline.
const SOON: Duration = Duration::from_mins(2);

/// The reader of the journal that writes to the store.
const READER: &str = "influxdb";

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    let fake = misbehaving(plan).await?;
    let real = real_server(plan).await?;
    Ok(Outcome::Kept(format!("{fake}; {real}")))
}

fn home_for(url: &str) -> Result<Home> {
    let config = format!(
        "[historian.influxdb]\nurl = \"{url}\"\norg = \"bellwether\"\nbucket = \"bellwether\"\n\
         token = \"chaos\"\ntimeout = \"2s\"\n"
    );
    Home::new()?.with_config(&config)
}

/// A server that is dead, hangs, refuses and hangs up, in an order the seed decides.
async fn misbehaving(plan: Plan) -> Result<String> {
    let mut server = Server::dead(free_port()?);
    let mut hall = Hall::new(home_for(&server.url())?)?;
    let api = hall.home.api();
    let program = hall.home.start().await?;
    let (nominal, drained) = dead_then_alive(plan, &mut hall, &mut server).await?;
    let mut moods = [
        Mood::Hangs,
        Mood::Broken,
        Mood::Busy,
        Mood::CutsAfter,
        Mood::CutsBefore,
    ];
    moods.shuffle(&mut StdRng::seed_from_u64(plan.seed));
    for mood in moods {
        server.is_now(mood);
        let met = server.refused();
        hall.say(Order::Work)?;
        hall.all_work().await?;
        let acknowledged = hall.acknowledged();
        tokio::time::sleep(plan.pick(LOAD, LOAD_LONG)).await;
        until(format!("a write to meet {mood:?}"), SOON, async || {
            Ok((server.refused() > met).then_some(()))
        })
        .await?;
        ensure!(
            hall.acknowledged() > acknowledged,
            "a store that is {mood:?} stopped the acknowledgements"
        );
        server.is_now(Mood::Well);
        rest(&mut hall).await?;
        written(&api)
            .await
            .with_context(|| format!("after {mood:?}"))?;
        hall.compare_elsewhere(&by_device(&server)?)
            .with_context(|| format!("after {mood:?}"))?;
    }
    // Once more to work, so that what was cut off by resting is sent again.
    hall.say(Order::Work)?;
    hall.all_work().await?;
    rest(&mut hall).await?;
    let closed = hall.close_the_books(&api).await?;
    written(&api).await?;
    let there = hall.compare_elsewhere(&by_device(&server)?)?;
    let stored = api.count("readings_stored").await?;
    ensure!(
        there == stored,
        "{there} readings in the other store, {stored} in this one"
    );
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(format!(
        "dead, hanging, 500, 429, cut: {} points there, {} of them sent twice; backlog written at {drained:.0}/s, came in \
         at {nominal:.0}/s ({:.1} x); {closed}",
        server.count(),
        server.again(),
        drained / nominal
    ))
}

/// The store is dead while the presses work; then it listens and the backlog is written. Gives
/// the rates at which it came in and went out.
async fn dead_then_alive(plan: Plan, hall: &mut Hall, server: &mut Server) -> Result<(f64, f64)> {
    let api = hall.home.api();
    hall.say(Order::Work)?;
    hall.all_work().await?;
    let (from, before) = (Instant::now(), hall.acknowledged());
    tokio::time::sleep(plan.pick(DEAD, DEAD_LONG)).await;
    let nominal = (hall.acknowledged() - before) as f64 / from.elapsed().as_secs_f64();
    rest(hall).await?;
    ensure!(server.count() == 0, "a dead store has points");
    ensure!(
        api.is_ready().await?,
        "/readyz says that a dead store elsewhere matters"
    );
    server.listen().await?;
    // The clock starts with the first batch: what comes before is the writer's pause.
    until("the first batch", SOON, async || {
        Ok((server.count() > 0).then_some(()))
    })
    .await?;
    let (from, first) = (Instant::now(), server.count());
    written(&api).await?;
    let backlog = server.count();
    hall.compare_elsewhere(&by_device(server)?)?;
    let seconds = from.elapsed().as_secs_f64();
    // With one batch there is no rate; the whole backlog then came at once.
    let drained = if first == backlog {
        f64::INFINITY
    } else {
        (backlog - first) as f64 / seconds
    };
    ensure!(
        drained >= TIMES_NOMINAL * nominal,
        "a backlog of {backlog} was written at {drained:.0}/s, it came in at {nominal:.0}/s"
    );
    Ok((nominal, drained))
}

async fn rest(hall: &mut Hall) -> Result<()> {
    hall.say(Order::Rest)?;
    hall.all_rest().await
}

/// Waits until the other store has everything that is committed.
async fn written(api: &Api) -> Result<()> {
    let status = api.status().await?;
    let readers = status["journal"]["readers"]
        .as_array()
        .context("no readers")?;
    let there = readers.iter().any(|reader| reader["name"] == READER);
    ensure!(there, "there is no reader {READER}: {status}");
    api.caught_up(SOON).await
}

/// What a server has, as the books want it.
fn by_device(server: &Server) -> Result<BTreeMap<String, Vec<(i64, f64)>>> {
    let mut found = BTreeMap::<String, Vec<(i64, f64)>>::new();
    for ((device, micros), value) in server.points()? {
        found
            .entry(device)
            .or_default()
            .push((micros / 1_000, value));
    }
    Ok(found)
}

/// A real server: not there at first, then there, gone for a while, and back.
async fn real_server(plan: Plan) -> Result<String> {
    let Some(mut server) = Victoria::installed()? else {
        return Ok("victoria-metrics is not installed: no real server was tried".to_owned());
    };
    let mut hall = Hall::new(home_for(&server.url())?)?;
    let api = hall.home.api();
    let program = hall.home.start().await?;
    for _ in 0..plan.pick(2, 6) {
        hall.say(Order::Work)?;
        hall.all_work().await?;
        tokio::time::sleep(plan.pick(LOAD, LOAD_LONG)).await;
        server.start().await?;
        hall.acknowledges(1, SOON).await?;
        rest(&mut hall).await?;
        written(&api).await?;
        hall.compare_elsewhere(&server.readings("force_kn").await?)?;
        server.stop().await?;
    }
    hall.say(Order::Work)?;
    hall.all_work().await?;
    rest(&mut hall).await?;
    server.start().await?;
    let closed = hall.close_the_books(&api).await?;
    written(&api).await?;
    let there = hall.compare_elsewhere(&server.readings("force_kn").await?)?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(format!(
        "victoria-metrics has all {there} of them; {closed}"
    ))
}
