//! The disk is full: acknowledgements stop, the process lives and says that it is not ready;
//! with room again it goes on by itself, and nothing is lost.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    Outcome, Plan,
    disk::SmallDisk,
    hall::{Hall, Order},
};
use crate::{Api, Home, Program, program::DRAINED_WITHIN, until};

/// How often the disk is filled and freed, normally and in the long version.
const TIMES: usize = 2;
const TIMES_LONG: usize = 12;

/// Acknowledgements come for this long before each time, in milliseconds.
const LOAD_MS: std::ops::Range<u64> = 200..1_500;

/// From the first refused commit to the last acknowledgement: the promise is one second.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

/// From room on the disk to acknowledgements.
const RESUMES_WITHIN: Duration = Duration::from_secs(30);

/// Silence for this long means that the program has really stopped.
const SILENCE: Duration = Duration::from_secs(3);

/// The log of the journal has room of its own that is used up first, at the pace of the presses.
const FULL_WITHIN: Duration = Duration::from_mins(3);

const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn run(plan: Plan) -> Result<Outcome> {
    let Some((home, disk)) = SmallDisk::under(Home::new()?)? else {
        return Ok(Outcome::PassedOver(
            "neither a loop device nor a tmpfs can be mounted here".to_owned(),
        ));
    };
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let mut hall = Hall::new(home)?;
    let api = hall.home.api();
    let mut program = hall.home.start().await?;
    let times = plan.pick(TIMES, TIMES_LONG);
    let (mut slowest_stop, mut slowest_return) = (Duration::ZERO, Duration::ZERO);
    for time in 1..=times {
        hall.say(Order::Work)?;
        hall.all_work().await?;
        tokio::time::sleep(Duration::from_millis(rng.random_range(LOAD_MS))).await;
        let ballast = disk.fill(&hall.home, &program)?;
        let stop = silence(&hall, &api, &mut program).await?;
        fs::remove_file(&ballast)?;
        let freed = Instant::now();
        hall.acknowledges(1, RESUMES_WITHIN).await?;
        let back = freed.elapsed();
        until("/readyz to say ready", RESUMES_WITHIN, async || {
            Ok(api.is_ready().await?.then_some(()))
        })
        .await?;
        eprintln!("time {time}: stopped within {stop:?}, back after {back:?}");
        slowest_stop = slowest_stop.max(stop);
        slowest_return = slowest_return.max(back);
        hall.say(Order::Rest)?;
        hall.all_rest().await?;
        hall.compare(&api, &format!("after time {time}"), false)
            .await?;
    }
    let closed = hall.close_the_books(&api).await?;
    let (status, _) = program.terminate(DRAINED_WITHIN).await?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(Outcome::Kept(format!(
        "{times} times full ({}): acknowledgements stopped within {} ms, were back after {} ms; {closed}",
        disk.kind,
        slowest_stop.as_millis(),
        slowest_return.as_millis()
    )))
}

/// Waits until the program says that it is not ready and nothing is acknowledged any more; gives
/// how long after the first refusal the last acknowledgement came.
async fn silence(hall: &Hall, api: &Api, program: &mut Program) -> Result<Duration> {
    let started = Instant::now();
    // Since when it has not been ready, and when the last acknowledgement came.
    let mut refused: Option<Instant> = None;
    let (mut seen, mut last) = (hall.acknowledged(), started);
    loop {
        ensure!(
            program.is_running()?,
            "the full disk ended the process:\n{}",
            program.log()
        );
        let (health, _) = api.text("/healthz").await?;
        ensure!(health == 200, "/healthz says {health}");
        let ready = api.is_ready().await?;
        let now = Instant::now();
        if ready {
            // It found room in what it has already: it may go on.
            refused = None;
        } else {
            refused.get_or_insert(now);
        }
        let count = hall.acknowledged();
        if count > seen {
            (seen, last) = (count, now);
        }
        if let Some(since) = refused {
            let late = last.saturating_duration_since(since);
            ensure!(
                late <= STOPS_WITHIN,
                "an acknowledgement came {late:?} after the first refusal"
            );
            if now.duration_since(last) > SILENCE && now.duration_since(since) > SILENCE {
                return Ok(late);
            }
        }
        if started.elapsed() > FULL_WITHIN {
            bail!("the full disk stopped nothing within {FULL_WITHIN:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
