//! What a plant does to a program: the short version of every attack of `tests/chaos`.
//!
//! One attack with a seed of its own: `tests/chaos kill9 --seed 7`.

use anyhow::Result;
use tests::{
    chaos::{Attack, Outcome, Plan},
    pass_over, seed, tools,
};

async fn survives(attack: Attack) -> Result<()> {
    let plan = Plan {
        seed: seed(attack.name()),
        long: tools::long(),
    };
    match attack.run(plan).await? {
        Outcome::Kept(books) => {
            eprintln!("{}: {books}", attack.name());
            Ok(())
        }
        Outcome::PassedOver(why) => pass_over(&format!("chaos {}", attack.name()), &why),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_is_cut_and_what_was_acknowledged_is_there() -> Result<()> {
    survives(Attack::Kill9).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_refuses_to_sync_is_not_believed_again() -> Result<()> {
    survives(Attack::Fsync).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acknowledgements_not_the_process() -> Result<()> {
    survives(Attack::Enospc).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jumping_clock_loses_nothing_and_finds_nothing() -> Result<()> {
    survives(Attack::Clock).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_hang_do_not_hold_up_the_others() -> Result<()> {
    survives(Attack::Slow).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_payload_is_listed_and_the_good_beside_it_kept() -> Result<()> {
    survives(Attack::Corpus).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_elsewhere_that_fails_costs_no_reading() -> Result<()> {
    survives(Attack::Influx).await
}
