//! Chaos: each attack does to the real program what a plant does to it, and then compares books.
//!
//! The oracle is the same everywhere: what devices have written down as acknowledged (in a
//! ledger of their own, synced before it counts) is a subset of what is stored or listed as a
//! dead letter; nothing is stored twice; nothing is stored that was never sent; the counters
//! add up; and where messages were cut off, at least one was sent again, or the attack missed.
//!
//! Chance comes from the seed of the [`Plan`], so that `tests/chaos kill9 --seed 7` does the same
//! again. An attack the machine cannot carry out says so ([`Outcome::PassedOver`]) and is passed
//! over; nothing else is.

mod clock;
mod corpus;
mod disk;
mod enospc;
mod fsync;
pub mod hall;
mod influx;
mod influx_server;
mod kill9;
mod press;
mod slow;
mod strace;
mod victoria;

use anyhow::Result;

/// How an attack is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where chance comes from.
    pub seed: u64,
    /// The version that takes minutes rather than seconds.
    pub long: bool,
}

impl Plan {
    /// One of two numbers, by length.
    fn pick<T>(self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }
}

/// How an attack ended, when no promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every promise was kept; the books in words.
    Kept(String),
    /// The machine cannot carry it out, and why.
    PassedOver(String),
}

/// What is done to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// SIGKILL at random moments.
    Kill9,
    /// fsync fails with EIO.
    Fsync,
    /// The disk is full.
    Enospc,
    /// The clock jumps.
    Clock,
    /// Peers that do not read, or are only half there.
    Slow,
    /// Malformed payloads in every format.
    Corpus,
    /// An `InfluxDB` that is dead, hangs, refuses, or hangs up.
    Influx,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Kill9,
        Self::Fsync,
        Self::Enospc,
        Self::Clock,
        Self::Slow,
        Self::Corpus,
        Self::Influx,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill9 => "kill9",
            Self::Fsync => "fsync",
            Self::Enospc => "enospc",
            Self::Clock => "clock",
            Self::Slow => "slow",
            Self::Corpus => "corpus",
            Self::Influx => "influx",
        }
    }

    /// One line for the help.
    pub fn about(self) -> &'static str {
        match self {
            Self::Kill9 => "kill -9 at random moments under load (15 times; --long: 150 times)",
            Self::Fsync => "EIO at the n-th fsync of the journal (strace)",
            Self::Enospc => "a full disk, and room again (small loop file system)",
            Self::Clock => "a clock that jumps by -1 h, +2 h, +400 d (libfaketime)",
            Self::Slow => "peers that send half a packet, never read, or say nothing",
            Self::Corpus => "malformed payloads in every format, good items between them",
            Self::Influx => "an InfluxDB that is dead, hanging, 500, 429, or hangs up",
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    /// When a promise was broken.
    pub async fn run(self, plan: Plan) -> Result<Outcome> {
        eprintln!(
            "chaos {} --seed {}{}",
            self.name(),
            plan.seed,
            plan.pick("", " --long")
        );
        match self {
            Self::Kill9 => kill9::run(plan).await,
            Self::Fsync => fsync::run(plan).await,
            Self::Enospc => enospc::run(plan).await,
            Self::Clock => clock::run(plan).await,
            Self::Slow => slow::run(plan).await,
            Self::Corpus => corpus::run(plan).await,
            Self::Influx => influx::run(plan).await,
        }
    }
}

impl std::str::FromStr for Attack {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|attack| attack.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.into_iter().map(Self::name).collect();
            format!("there is {}", names.join(", "))
        })
    }
}
