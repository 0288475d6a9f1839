//! Importing into a running program: batches of line protocol over HTTP. The program checks them
//! like anything a device sends: units, limits, clock, cardinality.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::{StatusCode, header};
use serde_json::Value;
use telemetry::{DeviceId, ReadingBatch, Timestamp};

use super::target::Refused;

/// Bytes of one request: well below the 4 MiB a body may have.
const BODY_BYTES: usize = 1 << 20;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long a program that cannot be reached or is overloaded is asked again.
const PATIENCE: Duration = Duration::from_mins(5);
/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// The API of a running program.
pub(crate) struct Api {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Api {
    /// `base` as in `http://127.0.0.1:8080`; the token is a device's or a gateway's.
    pub(crate) fn new(base: &str, token: Option<String>) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            url: format!("{}/api/v1/readings", base.trim_end_matches('/')),
            token,
        })
    }

    /// Sends readings, each device's by themselves, because a request is one device's; gives what
    /// was refused.
    pub(crate) async fn send(&self, readings: &ReadingBatch, key: &str) -> Result<Refused> {
        let mut refused = Refused::new();
        let mut bodies = vec![String::new(); readings.devices().len()];
        let mut part = 0;
        for row in readings.rows() {
            let Some(at) = nanos(row.measured_at) else {
                let at = row.measured_at;
                refused.push(format!(
                    "{}: {at} cannot be told in nanoseconds",
                    row.device
                ));
                continue;
            };
            let body = &mut bodies[row.device_index as usize];
            // Writing to a String cannot fail.
            let _ = write!(body, "reading,device={}", row.device);
            for (place, (&signal, value)) in row.signals.iter().zip(row.values).enumerate() {
                body.push(if place == 0 { ' ' } else { ',' });
                for c in readings.signals()[signal as usize].as_str().chars() {
                    if matches!(c, ',' | '=' | ' ' | '\\') {
                        body.push('\\');
                    }
                    body.push(c);
                }
                let _ = write!(body, "={value:?}");
            }
            let _ = writeln!(body, " {at}");
            if body.len() >= BODY_BYTES {
                let whole = std::mem::take(body);
                let key = format!("{key}-{part}");
                self.post(row.device, &whole, &key, &mut refused).await?;
                part += 1;
            }
        }
        for (device, body) in readings.devices().iter().zip(bodies) {
            if !body.is_empty() {
                let key = format!("{key}-{part}");
                self.post(device, &body, &key, &mut refused).await?;
                part += 1;
            }
        }
        Ok(refused)
    }

    async fn post(
        &self,
        device: &DeviceId,
        body: &str,
        key: &str,
        refused: &mut Refused,
    ) -> Result<()> {
        let began = tokio::time::Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let (problem, after) = match self.attempt(device, body, key).await {
                Ok(Answer::Taken(more)) => {
                    refused.extend(more);
                    return Ok(());
                }
                Ok(Answer::Later(status, after)) => (format!("it answers {status}"), after),
                Err(error) if error.is_connect() || error.is_timeout() || error.is_request() => {
                    (error.to_string(), None)
                }
                Err(error) => return Err(error).context("the program's answer is broken"),
                Ok(Answer::Refused(problem)) => bail!("{} refuses the import: {problem}", self.url),
            };
            if began.elapsed() > PATIENCE {
                bail!(
                    "{} takes nothing: {problem}; run the same command again to go on",
                    self.url
                );
            }
            tokio::time::sleep(after.unwrap_or(pause).min(PAUSES.1)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn attempt(
        &self,
        device: &DeviceId,
        body: &str,
        key: &str,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .client
            .post(&self.url)
            .query(&[("device", device.as_str())])
            .header(header::CONTENT_TYPE, "text/vnd.influx.line-protocol")
            .header("idempotency-key", key)
            .body(body.to_owned());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let status = response.status();
        let after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Ok(Answer::Later(status, after));
        }
        let answer: Value = response.json().await.unwrap_or_default();
        let letters = answer["dead_letters"].as_array().into_iter().flatten();
        let told = letters.map(|letter| {
            let text = |name: &str| letter[name].as_str().unwrap_or_default();
            format!("{}: {}", text("reason"), text("detail"))
        });
        // When all of it was refused it answers 422; the letters are kept there all the same.
        if status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY {
            return Ok(Answer::Taken(told.collect()));
        }
        let detail = answer["detail"].as_str().or(answer["title"].as_str());
        Ok(Answer::Refused(format!(
            "{status}: {}",
            detail.unwrap_or_default()
        )))
    }
}

enum Answer {
    Taken(Refused),
    Later(StatusCode, Option<Duration>),
    Refused(String),
}

/// The time in nanoseconds, where 64 bits hold it.
fn nanos(at: Timestamp) -> Option<i64> {
    at.as_micros().checked_mul(1_000)
}
