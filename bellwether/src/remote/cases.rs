//! `case`: is what a case rests on still true?

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use dashboards::Recomputed;
use reqwest::Method;
use telemetry::CaseId;

use super::client::{ApiArgs, Client};
use crate::verbs::print_json;

#[derive(Debug, Subcommand)]
pub(crate) enum CaseVerb {
    /// Compute a case again from the states and rows that were frozen when it opened.
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The case, such as C-NJVW7F1694N4
    pub(crate) id: CaseId,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// Does what was asked.
///
/// # Errors
/// When nobody answers, nothing was frozen, or the evidence is not the same again.
pub(crate) async fn run(verb: CaseVerb) -> Result<()> {
    let CaseVerb::Replay(args) = verb;
    let client = Client::new(&args.api)?;
    let path = format!("/cases/{}/replay", args.id);
    let done: Recomputed = client.ask(client.request(Method::POST, &path)).await?;
    if args.json {
        print_json(&done)?;
    } else {
        println!("{}", shown(&args.id, &done));
    }
    if !done.same {
        bail!(
            "the evidence of {} is not the same again: {}",
            args.id,
            done.why.as_deref().unwrap_or("the numbers differ")
        );
    }
    Ok(())
}

fn shown(id: &CaseId, done: &Recomputed) -> String {
    let again = done
        .recomputed
        .map_or_else(|| "none".to_owned(), |score| score.to_string());
    let verdict = if done.same {
        "the same to the last bit"
    } else {
        "not the same"
    };
    format!(
        "{id}: score {} when it opened, {again} now from {} rows of {} device(s): {verdict}",
        done.recorded, done.rows, done.devices
    )
}
