//! The power is cut, again and again, while the presses report: what was acknowledged is there.
//!
//! At random moments the program is killed (SIGKILL) under load and started again, and every
//! press's ledger is compared with what is stored.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tests::{Home, program::DRAINED_WITHIN, seed, tools};

use crate::presses::{Hall, Order};

/// How often the power is cut, normally and in the long version.
const CUTS: usize = 25;
const CUTS_LONG: usize = 200;

/// The load between two cuts, in milliseconds: from "in the middle of starting up" to "in the
/// middle of flushing".
const LOAD_MS: std::ops::Range<u64> = 20..700;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_readings_survive_every_power_cut() -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed("power_is_cut"));
    let cuts = if tools::long() { CUTS_LONG } else { CUTS };
    let mut hall = Hall::new(Home::new()?)?;
    let api = hall.home.api();
    let mut program = hall.home.start().await?;
    let (mut stored_twice_sent, mut acknowledged) = (0, 0);
    for cut in 1..=cuts {
        hall.say(Order::Work)?;
        let before = acknowledged;
        hall.all_work().await?;
        // The random moment itself, not a wait for something.
        tokio::time::sleep(Duration::from_millis(rng.random_range(LOAD_MS))).await;
        program.kill()?;
        hall.say(Order::Rest)?;
        hall.all_rest().await?;
        program = hall.home.start().await?;
        let in_doubt;
        (acknowledged, in_doubt) = hall.compare(&api, &format!("after cut {cut}")).await?;
        stored_twice_sent += in_doubt;
        eprintln!(
            "cut {cut}: {} new acknowledged, {in_doubt} stored without an acknowledgement",
            acknowledged - before
        );
    }
    let resent = hall.finish().await?;
    let (acknowledged, in_doubt) = hall.compare(&api, "at the end").await?;
    ensure!(
        in_doubt == 0,
        "{in_doubt} readings are stored and never were acknowledged"
    );
    ensure!(
        resent > 0,
        "no device ever sent anything again: the cuts came between the messages"
    );
    let stored = api.count("readings_stored").await?;
    ensure!(
        stored == acknowledged as u64,
        "{acknowledged} acknowledged, {stored} counted as stored"
    );
    eprintln!(
        "{cuts} cuts: {acknowledged} acknowledged, {resent} sent again, {stored_twice_sent} of them stored before"
    );
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the last run ended with {status}");
    Ok(())
}
