//! `dead-letter`: what was refused, and taking it again after a fix.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use telemetry::{DeadLetterReason, DeviceId};

use super::client::{ApiArgs, Client, Page};
use crate::verbs::print_json;

/// Letters of one page while a list is read.
const PAGE: u32 = 500;
/// Characters of a payload on a line of the list.
const SHOWN_CHARS: usize = 80;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetterVerb {
    /// List messages that failed a check, newest first.
    List(ListArgs),
    /// Take messages again, with the configuration and the declared signals of now.
    Replay(ReplayArgs),
}

/// Which letters.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StateArg {
    /// Not taken again yet
    Open,
    /// Taken again with success
    Replayed,
    /// Both
    All,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// With this reason, such as out_of_range
    #[arg(long, value_parser = reason)]
    pub(crate) reason: Option<DeadLetterReason>,
    /// Of this device
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// In this state
    #[arg(long, value_enum, default_value = "open")]
    pub(crate) state: StateArg,
    /// At most this many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// Print JSON, whole texts and binary payloads included
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["id", "reason", "device", "all"]))]
pub(crate) struct ReplayArgs {
    /// This one; may be repeated
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["reason", "device", "all"])]
    pub(crate) id: Vec<u64>,
    /// All open ones with this reason
    #[arg(long, value_parser = reason)]
    pub(crate) reason: Option<DeadLetterReason>,
    /// All open ones of this device
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// All open ones
    #[arg(long, conflicts_with_all = ["reason", "device"])]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

fn reason(text: &str) -> Result<DeadLetterReason, String> {
    DeadLetterReason::parse(text).ok_or_else(|| {
        let names: Vec<_> = DeadLetterReason::ALL.iter().map(|r| r.as_str()).collect();
        format!("use one of {}", names.join(", "))
    })
}

/// What became of letters that were taken again.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Outcome {
    replayed: u64,
    readings: u64,
    waveforms: u64,
    still_refused: Vec<StillRefused>,
    missing: Vec<u64>,
    #[serde(skip_serializing)]
    next: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StillRefused {
    id: u64,
    reason: String,
    detail: String,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.replayed += other.replayed;
        self.readings += other.readings;
        self.waveforms += other.waveforms;
        self.still_refused.extend(other.still_refused);
        self.missing.extend(other.missing);
    }
}

/// Does what was asked.
///
/// # Errors
/// When the program is not there or refuses.
pub(crate) async fn run(verb: DeadLetterVerb) -> Result<()> {
    match verb {
        DeadLetterVerb::List(args) => list(&args).await,
        DeadLetterVerb::Replay(args) => replay(&args).await,
    }
}

async fn list(args: &ListArgs) -> Result<()> {
    let client = Client::new(&args.api)?;
    let state = match args.state {
        StateArg::Open => "open",
        StateArg::Replayed => "replayed",
        StateArg::All => "all",
    };
    let mut letters: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let left = args.limit - letters.len() as u32;
        let mut query = vec![
            ("state", state.to_owned()),
            ("limit", left.min(PAGE).to_string()),
        ];
        query.extend(args.reason.map(|reason| ("reason", reason.to_string())));
        query.extend(
            args.device
                .as_ref()
                .map(|device| ("device", device.to_string())),
        );
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let request = client.request(Method::GET, "/dead-letters").query(&query);
        let page: Page<Value> = client.ask(request).await?;
        letters.extend(page.items);
        cursor = page.next;
        if cursor.is_none() || letters.len() as u32 >= args.limit {
            break;
        }
    }
    if args.json {
        return print_json(&letters);
    }
    for letter in &letters {
        println!("{}", line(letter));
    }
    if cursor.is_some() {
        eprintln!("there are more; use --limit COUNT");
    }
    Ok(())
}

fn line(letter: &Value) -> String {
    let text = |name: &str| letter[name].as_str().unwrap_or("-");
    let payload: String = text("payload")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN_CHARS)
        .collect();
    format!(
        "{}\t{}\t{}\t{}\t{}\n\t{payload}",
        letter["id"],
        text("received_at"),
        text("reason"),
        text("topic"),
        text("detail"),
    )
}

/// What is sent: numbers, or one filter after the other.
fn requests(args: &ReplayArgs) -> Vec<Value> {
    if !args.id.is_empty() {
        // The API takes as many numbers at once.
        let parts = args.id.chunks(PAGE as usize);
        return parts.map(|ids| json!({"ids": ids})).collect();
    }
    if args.all {
        let reasons = DeadLetterReason::ALL.into_iter();
        return reasons
            .map(|reason| json!({"reason": reason.as_str()}))
            .collect();
    }
    let mut filter = serde_json::Map::new();
    if let Some(reason) = args.reason {
        filter.insert("reason".to_owned(), json!(reason.as_str()));
    }
    if let Some(device) = &args.device {
        filter.insert("device".to_owned(), json!(device));
    }
    vec![Value::Object(filter)]
}

async fn replay(args: &ReplayArgs) -> Result<()> {
    let client = Client::new(&args.api)?;
    let mut outcome = Outcome::default();
    for mut request in requests(args) {
        loop {
            let sent = client
                .request(Method::POST, "/dead-letters/replay")
                .json(&request);
            let part: Outcome = client.ask(sent).await?;
            let next = part.next.clone();
            outcome.add(part);
            let Some(next) = next else { break };
            request["cursor"] = json!(next);
        }
    }
    if args.json {
        return print_json(&outcome);
    }
    for refused in &outcome.still_refused {
        println!("{}\t{}\t{}", refused.id, refused.reason, refused.detail);
    }
    for missing in &outcome.missing {
        println!("{missing}\tthere is no such dead letter any more");
    }
    println!(
        "{} taken with {} readings and {} waveforms; {} still refused",
        outcome.replayed,
        outcome.readings,
        outcome.waveforms,
        outcome.still_refused.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_two_lines_whatever_its_payload_holds() {
        let letter = json!({
            "id": 7, "received_at": "2026-01-01T00:00:00Z", "reason": "malformed_payload",
            "topic": "telemetry/p1", "detail": "no JSON", "payload": "a\nb\u{1b}[31m",
        });
        let line = line(&letter);
        assert_eq!(line.lines().count(), 2);
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}
