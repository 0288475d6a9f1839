//! Bellwether: from a reading over MQTT to the work order that prevents the failure.
//!
//! This crate is the binary: command line, configuration and wiring. What it wires is in the
//! crates of the other rooms; see `ARCHITECTURE.md`.

mod app;
mod backtest;
mod backup;
mod bench;
mod broker_url;
mod capsule;
mod cli;
mod config;
mod connector;
#[cfg(test)]
#[path = "../../tests/fuzz/corpus.rs"]
mod corpus;
mod demo;
mod detection_watch;
mod evaluate;
mod export;
mod import;
mod logs;
mod models;
mod notify;
mod outcomes;
mod overseer;
mod pipeline;
mod plans;
mod prognosis;
mod progress;
mod publisher;
mod recalibration;
mod recorded;
mod remote;
mod replay;
mod rules;
mod signals;
mod simulate;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // A usage error ends here with exit code 2.
    let cli = cli::Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(verbs::run(cli.verb));
            // Blocking work that is still going on is only reading; it need not be waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bellwether: {error:#}");
            ExitCode::FAILURE
        }
    }
}
