//! `onboard`: devices by the hundred from one CSV.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use service::{MAX_ONBOARD_BYTES, OnboardReport};
use telemetry::DeviceId;

use super::client::{ApiArgs, Client};
use crate::verbs::print_json;

/// The answer to a file with errors is a report all the same.
pub(super) const REPORTED: (StatusCode, &str) = (StatusCode::UNPROCESSABLE_ENTITY, "errors");

#[derive(Debug, Args)]
pub(crate) struct OnboardArgs {
    /// CSV with a header: device, asset, model, customer, site, signals, units, limits, …; only device has to be there
    #[arg(value_name = "FILE.csv")]
    pub(crate) file: PathBuf,
    /// Only say what would happen, with every error
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Make a token for each device without a credential and write them to this new file
    #[arg(long, value_name = "OUT.csv")]
    pub(crate) tokens: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
}

/// Does what was asked.
///
/// # Errors
/// When the file has errors, or the program is not there or refuses.
pub(crate) async fn run(args: OnboardArgs) -> Result<()> {
    let csv = read(&args.file)?;
    let client = Client::new(&args.api)?;
    // The file of the tokens is made first: a token that cannot be written down is lost.
    let tokens = match &args.tokens {
        Some(path) if !args.dry_run => Some(TokenFile::create(path)?),
        _ => None,
    };
    let request = client
        .request(Method::POST, "/onboarding")
        .query(&[("dry_run", args.dry_run), ("tokens", args.tokens.is_some())])
        .header(reqwest::header::CONTENT_TYPE, "text/csv")
        .body(csv);
    let mut report: OnboardReport = client.ask_or(request, REPORTED).await?;
    let issued = std::mem::take(&mut report.tokens);
    let written = issued.len();
    if let Some(file) = tokens {
        let rows = issued.iter();
        let rows: Vec<_> = rows
            .map(|issued| (&issued.device, issued.credential.0, issued.token.as_str()))
            .collect();
        file.write(&rows)?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        for error in &report.errors {
            eprintln!("{}: {error}", args.file.display());
        }
        if report.more_errors > 0 {
            eprintln!(
                "{}: and {} more errors",
                args.file.display(),
                report.more_errors
            );
        }
    }
    fail_on_errors(&report)?;
    if !args.json {
        tell(&report);
        if let Some(path) = args.tokens.filter(|_| written > 0) {
            println!(
                "{written} tokens are in {}; nobody can show them again",
                path.display()
            );
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    if size > MAX_ONBOARD_BYTES as u64 {
        bail!(
            "{} has {size} bytes; the limit is {MAX_ONBOARD_BYTES}: divide it",
            path.display()
        );
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A failure when the report holds errors; they have been told.
pub(crate) fn fail_on_errors(report: &OnboardReport) -> Result<()> {
    let errors = report.errors.len() as u64 + report.more_errors;
    match errors {
        0 => Ok(()),
        1 => bail!("1 error; nothing was written"),
        _ => bail!("{errors} errors; nothing was written"),
    }
}

/// What happened, for people.
pub(crate) fn tell(report: &OnboardReport) {
    let done = if report.applied {
        "done"
    } else {
        "would be done"
    };
    let (new, changed) = (&report.created, &report.changed);
    println!(
        "rows: {}, unchanged: {}; {done}: devices {} new, {} changed; assets {} new, {} changed; \
         customers {} new; sites {} new",
        report.rows,
        report.unchanged,
        new.devices.len(),
        changed.devices.len(),
        new.assets.len(),
        changed.assets.len(),
        new.customers.len(),
        new.sites.len()
    );
    if report.without_credential > 0 {
        println!(
            "devices without a credential: {}",
            report.without_credential
        );
    }
}

/// A new file that only its owner can read. It goes away again unless tokens were written.
struct TokenFile {
    path: PathBuf,
    file: Option<File>,
}

impl TokenFile {
    fn create(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).with_context(|| {
            format!(
                "cannot make the file {} for the tokens; it must not exist yet",
                path.display()
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
        })
    }

    fn write(mut self, rows: &[(&DeviceId, u64, &str)]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let written = (|| {
            let mut out = BufWriter::new(file);
            writeln!(out, "device,credential,token")?;
            // Ids, numbers and tokens hold nothing that needs quotes.
            for (device, credential, token) in rows {
                writeln!(out, "{device},{credential},{token}")?;
            }
            out.into_inner()?.sync_all()
        })();
        written.with_context(|| {
            let (first, last) = (rows[0].1, rows[rows.len() - 1].1);
            format!(
                "the tokens were made and could not be written to {}; revoke the credentials \
                 {first} to {last} with `bellwether device revoke` and run this again",
                self.path.display()
            )
        })
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing was written to it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_tokens_is_the_owners_alone_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.csv");
        // Without tokens nothing is left behind.
        TokenFile::create(&path).unwrap().write(&[]).unwrap();
        assert!(!path.exists());
        let device = DeviceId::new("p1").unwrap();
        let file = TokenFile::create(&path).unwrap();
        file.write(&[(&device, 7, "bw_x")]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "device,credential,token\np1,7,bw_x\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let error = format!("{:#}", TokenFile::create(&path).err().unwrap());
        assert!(error.contains("must not exist yet"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
