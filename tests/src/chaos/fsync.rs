//! The disk says no: fsync of the journal's log fails with EIO.
//!
//! After a failed fsync the kernel may take the pages for clean, and the next fsync on the same
//! descriptor can succeed without anything having reached the disk. So a batch whose sync failed
//! is not acknowledged, and the descriptor is not used again: it is closed and the file is opened
//! anew. strace makes the syncs fail and writes down what happens to the descriptor.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    Outcome, Plan,
    hall::{Hall, Order},
    strace::{self, Saboteur, Seen},
};
use crate::{Home, Program, program::DRAINED_WITHIN, until};

/// Rounds of load with one failing sync and a kill, normally and in the long version.
const ROUNDS: usize = 3;
const ROUNDS_LONG: usize = 40;

/// Which sync of the journal's writer fails: early enough to come under load for certain.
const NTH: std::ops::Range<u32> = 1..60;

/// Attaching, failing, reconnecting on a busy machine.
const SOON: Duration = Duration::from_mins(1);

/// While every sync fails nothing is acknowledged for this long.
const SILENCE: Duration = Duration::from_secs(2);

/// Acknowledgements under way when the first sync fails: syncs that had succeeded before.
const UNDER_WAY: Duration = Duration::from_millis(500);

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    if !strace::is_possible().await {
        return Ok(Outcome::PassedOver(
            "strace is not installed or may not trace here".to_owned(),
        ));
    }
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let rounds = plan.pick(ROUNDS, ROUNDS_LONG);
    let mut hall = Hall::new(Home::new()?)?;
    let api = hall.home.api();
    let mut program = hall.home.start().await?;
    let silent = all_fail(&mut hall, &program).await?;
    let mut failed = silent.failed;
    for round in 1..=rounds {
        let when = rng.random_range(NTH).to_string();
        let seen = one_fails(&hall, &mut program, &when, round).await?;
        failed += seen.failed;
        if round % 2 == 0 {
            program.kill()?;
            hall.say(Order::Rest)?;
            hall.all_rest().await?;
            program = hall.home.start().await?;
        } else {
            hall.say(Order::Rest)?;
            hall.all_rest().await?;
        }
        let when = format!("after round {round}");
        hall.compare(&api, &when, round % 10 == 0).await?;
    }
    let closed = hall.close_the_books(&api).await?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the last run ended with {status}");
    Ok(Outcome::Kept(format!(
        "{failed} failed syncs, no descriptor used again; {closed}"
    )))
}

fn log_of_journal(hall: &Hall) -> PathBuf {
    hall.home.data_dir().join("journal.db-wal")
}

/// Every sync fails for a while: nothing at all is acknowledged, the process lives and says that
/// it is not ready; afterwards it goes on by itself.
async fn all_fail(hall: &mut Hall, program: &Program) -> Result<Seen> {
    hall.say(Order::Work)?;
    hall.all_work().await?;
    let log = hall.home.folder().join("strace-all.log");
    let saboteur = Saboteur::attach(program.id(), &log_of_journal(hall), "1+", &log).await?;
    until("a sync to fail", SOON, async || {
        Ok((saboteur.seen()?.failed > 0).then_some(()))
    })
    .await?;
    tokio::time::sleep(UNDER_WAY).await;
    let before = hall.acknowledged();
    tokio::time::sleep(SILENCE).await;
    let after = hall.acknowledged();
    ensure!(
        before == after,
        "{} messages were acknowledged while every sync failed",
        after - before
    );
    let api = hall.home.api();
    ensure!(
        !api.is_ready().await?,
        "/readyz says ready, but no sync succeeds"
    );
    let (healthy, _) = api.text("/healthz").await?;
    ensure!(healthy == 200, "/healthz says {healthy}");
    let seen = saboteur.stop().await?;
    no_descriptor_was_used_again(&seen)?;
    hall.acknowledges(1, SOON).await?;
    Ok(seen)
}

/// One sync fails under load; the program goes on by itself.
async fn one_fails(hall: &Hall, program: &mut Program, when: &str, round: usize) -> Result<Seen> {
    hall.say(Order::Work)?;
    hall.all_work().await?;
    let log = hall.home.folder().join(format!("strace-{round}.log"));
    let saboteur = Saboteur::attach(program.id(), &log_of_journal(hall), when, &log).await?;
    until(format!("sync {when} to fail"), SOON, async || {
        Ok((saboteur.seen()?.failed > 0).then_some(()))
    })
    .await?;
    hall.acknowledges(1, SOON).await?;
    ensure!(program.is_running()?, "the failed sync ended the process");
    let seen = saboteur.stop().await?;
    eprintln!(
        "round {round}: sync {when} failed, {} others succeeded",
        seen.synced
    );
    no_descriptor_was_used_again(&seen)?;
    Ok(seen)
}

fn no_descriptor_was_used_again(seen: &Seen) -> Result<()> {
    ensure!(
        seen.used_again.is_empty(),
        "a descriptor was used {} times after its sync had failed, first: {}",
        seen.used_again.len(),
        seen.used_again[0]
    );
    Ok(())
}
