//! `device`: one device after the other, and who may publish in its name.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are shown in a terminal as they are written"
)]

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use service::{
    CertificateBinding, Credential, DeviceSignal, Name, OnboardReport, TimeZoneName, TopicPrefix,
};
use telemetry::{AssetId, AssetModelId, CustomerId, DeviceId, SiteId};

use super::{
    client::{ApiArgs, Client, Page},
    onboard,
};
use crate::verbs::print_json;

/// Devices of one page while a list is read.
const PAGE: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceVerb {
    /// Enter a device, or change one: what it watches, what it sends, where it stands.
    Add(Box<AddArgs>),
    /// List devices, or all about one: its signals and its credentials.
    List(ListArgs),
    /// Make a token for a device; it is shown this once.
    Token(TokenArgs),
    /// Let a device in by its client certificate.
    Certificate(CertificateArgs),
    /// Revoke a credential; who is connected with it is cut off within seconds.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Device, which is also its MQTT client id
    pub(crate) device: DeviceId,
    /// Asset it watches [default: one of its own name]
    #[arg(long)]
    pub(crate) asset: Option<AssetId>,
    /// Name of the asset for people
    #[arg(long, value_name = "NAME")]
    pub(crate) asset_name: Option<Name>,
    /// Asset model, such as centrifugal-pump
    #[arg(long)]
    pub(crate) model: Option<AssetModelId>,
    /// Customer; entered when missing
    #[arg(long)]
    pub(crate) customer: Option<CustomerId>,
    /// Name of a customer that is entered
    #[arg(long, value_name = "NAME")]
    pub(crate) customer_name: Option<Name>,
    /// Site; entered when missing
    #[arg(long)]
    pub(crate) site: Option<SiteId>,
    /// Name of a site that is entered
    #[arg(long, value_name = "NAME")]
    pub(crate) site_name: Option<Name>,
    /// Time zone of a site that is entered, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<TimeZoneName>,
    /// What it sends, as in "bearing_temperature_c=°F[-40..250]" or "t2->winding_temperature_c"; may be repeated
    #[arg(long = "signal", value_name = "NAME=UNIT[MIN..MAX]")]
    pub(crate) signals: Vec<DeviceSignal>,
    /// Messages a second it may publish; 0 for no limit
    #[arg(long, value_name = "COUNT")]
    pub(crate) quota_messages: Option<u32>,
    /// Payload bytes a second it may publish; 0 for no limit
    #[arg(long, value_name = "BYTES")]
    pub(crate) quota_bytes: Option<u32>,
    /// It is a gateway and publishes for others: what each of its topics starts with
    #[arg(long, value_name = "TOPIC_PREFIX")]
    pub(crate) gateway: Option<TopicPrefix>,
    /// Its client certificate: the SHA-256 fingerprint, or name
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) certificate: Option<CertificateBinding>,
    /// Make a token when it has no credential, and show it
    #[arg(long)]
    pub(crate) token: bool,
    /// Only say what would happen
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Everything about this one
    pub(crate) device: Option<DeviceId>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Device
    pub(crate) device: DeviceId,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateArgs {
    /// Device
    pub(crate) device: DeviceId,
    /// SHA-256 fingerprint, or name for any certificate whose common name is the device
    pub(crate) certificate: CertificateBinding,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// What a credential may do.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// Messages a second; 0 for no limit [default: the device's]
    #[arg(long, value_name = "COUNT")]
    pub(crate) quota_messages: Option<u32>,
    /// Payload bytes a second; 0 for no limit [default: the device's]
    #[arg(long, value_name = "BYTES")]
    pub(crate) quota_bytes: Option<u32>,
    /// For a gateway: what each of its topics starts with, such as telemetry/hall-3. or plant/7/
    #[arg(long)]
    pub(crate) topic_prefix: Option<TopicPrefix>,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Number of the credential, as device list DEVICE shows it
    pub(crate) credential: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// A credential that was just made.
#[derive(Debug, Deserialize, Serialize)]
struct Made {
    device: DeviceId,
    credential: u64,
    token: Option<String>,
}

/// Does what was asked.
///
/// # Errors
/// When the program is not there or refuses.
pub(crate) async fn run(verb: DeviceVerb) -> Result<()> {
    match verb {
        DeviceVerb::Add(args) => add(*args).await,
        DeviceVerb::List(args) => list(&args).await,
        DeviceVerb::Token(args) => {
            let new = args.terms.body();
            made(&args.device, new, &args.api, args.json).await
        }
        DeviceVerb::Certificate(args) => {
            let mut new = args.terms.body();
            new.insert("certificate".to_owned(), json!(args.certificate));
            made(&args.device, new, &args.api, args.json).await
        }
        DeviceVerb::Revoke(args) => revoke(&args).await,
    }
}

/// A JSON object of what was given.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let members = members.into_iter();
    members
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

fn value<T: Serialize>(of: Option<&T>) -> Option<Value> {
    of.map(|value| json!(value))
}

impl Terms {
    fn body(&self) -> Map<String, Value> {
        let quota = (self.quota_messages.is_some() || self.quota_bytes.is_some()).then(|| {
            json!({
                "messages_per_s": self.quota_messages.unwrap_or(0),
                "bytes_per_s": self.quota_bytes.unwrap_or(0),
            })
        });
        given([
            ("topic_prefix", value(self.topic_prefix.as_ref())),
            ("quota", quota),
        ])
    }
}

async fn add(args: AddArgs) -> Result<()> {
    let client = Client::new(&args.api)?;
    let signals = (!args.signals.is_empty()).then(|| json!(args.signals));
    let new = given([
        ("device", Some(json!(args.device))),
        ("asset", value(args.asset.as_ref())),
        ("asset_name", value(args.asset_name.as_ref())),
        ("model", value(args.model.as_ref())),
        ("customer", value(args.customer.as_ref())),
        ("customer_name", value(args.customer_name.as_ref())),
        ("site", value(args.site.as_ref())),
        ("site_name", value(args.site_name.as_ref())),
        ("time_zone", value(args.time_zone.as_ref())),
        ("signals", signals),
        ("quota_messages", value(args.quota_messages.as_ref())),
        ("quota_bytes", value(args.quota_bytes.as_ref())),
        ("gateway", value(args.gateway.as_ref())),
        ("certificate", value(args.certificate.as_ref())),
    ]);
    let request = client
        .request(Method::POST, "/devices")
        .query(&[("dry_run", args.dry_run), ("tokens", args.token)])
        .json(&new);
    let report: OnboardReport = client.ask_or(request, onboard::REPORTED).await?;
    if args.json {
        print_json(&report)?;
        return onboard::fail_on_errors(&report);
    }
    for error in &report.errors {
        let at = if error.column.is_empty() {
            "device"
        } else {
            &error.column
        };
        eprintln!("{at}: {}", error.problem);
    }
    onboard::fail_on_errors(&report)?;
    onboard::tell(&report);
    for issued in &report.tokens {
        show_token(issued.credential.0, &issued.token);
    }
    Ok(())
}

fn show_token(credential: u64, token: &str) {
    println!("{token}");
    eprintln!(
        "This is the only time the token is shown. It is the MQTT password (any user name, the \
         device as client id) and the bearer token of HTTP. Revoke it with: \
         bellwether device revoke {credential}"
    );
}

async fn made(
    device: &DeviceId,
    new: Map<String, Value>,
    api: &ApiArgs,
    as_json: bool,
) -> Result<()> {
    let client = Client::new(api)?;
    let path = format!("/devices/{device}/credentials");
    let request = client.request(Method::POST, &path).json(&new);
    let made: Made = client.ask(request).await?;
    if as_json {
        return print_json(&made);
    }
    match &made.token {
        Some(token) => show_token(made.credential, token),
        None => println!(
            "{device} is let in by its certificate; revoke it with: bellwether device revoke {}",
            made.credential
        ),
    }
    Ok(())
}

async fn revoke(args: &RevokeArgs) -> Result<()> {
    let client = Client::new(&args.api)?;
    let path = format!("/credentials/{}", args.credential);
    let revoked: Credential = client.ask(client.request(Method::DELETE, &path)).await?;
    if args.json {
        return print_json(&revoked);
    }
    println!("credential {} of {} is revoked", revoked.id, revoked.device);
    Ok(())
}

/// Reads a list to its end.
async fn all<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = client.request(Method::GET, path).query(&[("limit", PAGE)]);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page: Page<T> = client.ask(request).await?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

async fn list(args: &ListArgs) -> Result<()> {
    let client = Client::new(&args.api)?;
    let Some(device) = &args.device else {
        let devices: Vec<Value> = all(&client, "/devices").await?;
        if args.json {
            return print_json(&devices);
        }
        for device in &devices {
            let text = |name: &str| device[name].as_str().unwrap_or("-").to_owned();
            println!("{}\t{}", text("id"), text("asset"));
        }
        return Ok(());
    };
    let path = format!("/devices/{device}");
    let about: Value = client.ask(client.request(Method::GET, &path)).await?;
    let signals: Page<Value> = client
        .ask(client.request(Method::GET, &format!("{path}/signals")))
        .await?;
    let credentials: Vec<Credential> = all(&client, &format!("{path}/credentials")).await?;
    if args.json {
        return print_json(&json!({
            "device": about,
            "signals": signals.items,
            "credentials": credentials,
        }));
    }
    println!(
        "{device} watches {}",
        about["asset"].as_str().unwrap_or("no asset")
    );
    for signal in &signals.items {
        println!("  signal     {}", signal_line(signal));
    }
    for credential in &credentials {
        println!("  credential {}", credential_line(credential));
    }
    Ok(())
}

fn signal_line(signal: &Value) -> String {
    let text = |name: &str| signal[name].as_str();
    let stored = text("signal").filter(|stored| Some(*stored) != text("name"));
    let limits = &signal["limits"];
    let side = |name: &str| limits[name].as_f64().map(|side| side.to_string());
    let limited = side("min").is_some() || side("max").is_some();
    let parts = [
        text("name").map(str::to_owned),
        stored.map(|stored| format!(" -> {stored}")),
        text("unit").map(|unit| format!(" in {unit}")),
        text("sent_unit").map(|sent| format!(", sent in {sent}")),
        limited.then(|| {
            let (min, max) = (side("min"), side("max"));
            format!(", {}..{}", min.unwrap_or_default(), max.unwrap_or_default())
        }),
    ];
    parts.into_iter().flatten().collect()
}

fn credential_line(credential: &Credential) -> String {
    let used = match credential.last_used_at {
        Some(at) => format!("used {at}"),
        None => "never used".to_owned(),
    };
    let revoked = match credential.revoked_at {
        Some(at) => format!(", REVOKED {at}"),
        None => String::new(),
    };
    let kind = credential.kind.as_str();
    format!(
        "{} {kind}, made {}, {used}{revoked}",
        credential.id, credential.created_at
    )
}
