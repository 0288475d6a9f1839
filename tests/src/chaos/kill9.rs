//! The power is cut, again and again, while the presses report: what was acknowledged is there.
//!
//! A SIGKILL does not empty the page cache: this shows that the acknowledgement follows the
//! commit. That the commit follows the disk is what [`super::fsync`] looks at.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    Outcome, Plan,
    hall::{Hall, Order},
};
use crate::{Home, program::DRAINED_WITHIN};

/// How often the power is cut, normally and in the long version.
const CUTS: usize = 15;
const CUTS_LONG: usize = 150;

/// Every so many cuts the whole book is compared, not only what is new.
const WHOLE_EVERY: usize = 25;

/// The load between two cuts, in milliseconds: from "in the middle of starting up" to "in the
/// middle of flushing".
const LOAD_MS: std::ops::Range<u64> = 20..700;

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let cuts = plan.pick(CUTS, CUTS_LONG);
    let mut hall = Hall::new(Home::new()?)?;
    let api = hall.home.api();
    let mut program = hall.home.start().await?;
    let (mut in_doubt, mut acknowledged) = (0, 0);
    for cut in 1..=cuts {
        hall.say(Order::Work)?;
        hall.all_work().await?;
        // The random moment itself, not a wait for something.
        tokio::time::sleep(Duration::from_millis(rng.random_range(LOAD_MS))).await;
        program.kill()?;
        hall.say(Order::Rest)?;
        hall.all_rest().await?;
        program = hall.home.start().await?;
        let when = format!("after cut {cut}");
        let books = hall.compare(&api, &when, cut % WHOLE_EVERY == 0).await?;
        in_doubt += books.in_doubt;
        eprintln!(
            "cut {cut}: {} new acknowledged, {} stored without an acknowledgement",
            books.acknowledged - acknowledged,
            books.in_doubt
        );
        acknowledged = books.acknowledged;
    }
    let closed = hall.close_the_books(&api).await?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the last run ended with {status}");
    Ok(Outcome::Kept(format!(
        "{cuts} kills; {closed}; {in_doubt} were stored before their acknowledgement was lost"
    )))
}
