//! The HTTP API as a script sees it.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::DateTime;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::until;

/// Longer than any answer takes on a busy machine, shorter than a person's patience.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// The largest page of readings the API gives.
const READINGS_PAGE: usize = 10_000;

/// A client of one program.
#[derive(Debug, Clone)]
pub struct Api {
    root: String,
    client: reqwest::Client,
}

/// A stored reading: milliseconds since the epoch and the value.
pub type Reading = (i64, f64);

impl Api {
    /// A client of the program at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            root: format!("http://{address}"),
            client: reqwest::Client::new(),
        }
    }

    /// Where the program serves people.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Whether `/readyz` answers 200.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn is_ready(&self) -> Result<bool> {
        Ok(self.text("/readyz").await?.0 == StatusCode::OK)
    }

    /// Any path as text.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn text(&self, path: &str) -> Result<(StatusCode, String)> {
        let request = self.client.get(format!("{}{path}", self.root));
        let response = request.timeout(ANSWER_WITHIN).send().await?;
        Ok((response.status(), response.text().await?))
    }

    /// A resource below `/api/v1`, which has to be there.
    ///
    /// # Errors
    /// When nobody answers, or the answer is not 200 with JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, text) = self.text(&format!("/api/v1{path}")).await?;
        ensure!(status == StatusCode::OK, "GET {path}: {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("GET {path} is no JSON: {text}"))
    }

    /// Posts to a resource below `/api/v1` and gives whatever comes back.
    ///
    /// # Errors
    /// When nobody answers, or not with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        self.send(
            self.client.post(format!("{}/api/v1{path}", self.root)),
            body,
        )
        .await
    }

    /// Puts something in the place of a resource below `/api/v1` and gives whatever comes back.
    ///
    /// # Errors
    /// When nobody answers, or not with JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let request = self.client.put(format!("{}/api/v1{path}", self.root));
        self.send(request, body).await
    }

    /// Posts and expects success.
    ///
    /// # Errors
    /// When nobody answers or the answer is no success.
    pub async fn do_post(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.post(path, body).await?;
        ensure!(
            status.is_success(),
            "POST {path} {body}: {status}: {answer}"
        );
        Ok(answer)
    }

    /// Brings a proposed order to work under way: a planner agrees and sets the time, as RFC 3339,
    /// and the engineer begins.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn begin_work(&self, order: &str, engineer: &Value, at: &str) -> Result<()> {
        let path = |step: &str| format!("/work-orders/{order}/{step}");
        let by = json!({"by": "planner"});
        self.do_post(&path("approve"), &by).await?;
        let to = json!({"by": "planner", "engineer": engineer["id"], "scheduled_for": at});
        self.do_post(&path("schedule"), &to).await?;
        self.do_post(&path("start"), &json!({"by": engineer["name"]}))
            .await?;
        Ok(())
    }

    /// Patches and expects success.
    ///
    /// # Errors
    /// When nobody answers or the answer is no success.
    pub async fn do_patch(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.client.patch(format!("{}/api/v1{path}", self.root));
        let (status, answer) = self.send(request, body).await?;
        ensure!(
            status.is_success(),
            "PATCH {path} {body}: {status}: {answer}"
        );
        Ok(answer)
    }

    /// Deletes with a body and expects success.
    ///
    /// # Errors
    /// When nobody answers or the answer is no success.
    pub async fn do_delete(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.client.delete(format!("{}/api/v1{path}", self.root));
        let (status, answer) = self.send(request, body).await?;
        ensure!(
            status.is_success(),
            "DELETE {path} {body}: {status}: {answer}"
        );
        Ok(answer)
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        body: &Value,
    ) -> Result<(StatusCode, Value)> {
        let response = request.json(body).timeout(ANSWER_WITHIN).send().await?;
        let status = response.status();
        let text = response.text().await?;
        let answer = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("{status}, no JSON: {text}"))?
        };
        Ok((status, answer))
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// When a page cannot be read, or a cursor leads in a circle.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                None => self.get(path).await?,
                Some(at) => self.get(&format!("{path}{mark}cursor={at}")).await?,
            };
            let Some(found) = page["items"].as_array() else {
                bail!("GET {path}: no items in {page}");
            };
            items.extend(found.iter().cloned());
            let Some(next) = page["next"].as_str() else {
                return Ok(items);
            };
            ensure!(
                cursor.as_deref() != Some(next),
                "GET {path}: page {next} leads to itself"
            );
            cursor = Some(next.to_owned());
        }
    }

    /// Every stored reading of a series in `from..to` (milliseconds), in the order of the pages.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub async fn readings(
        &self,
        device: &str,
        signal: &str,
        (from, to): (i64, i64),
    ) -> Result<Vec<Reading>> {
        let (from, to) = (iso(from)?, iso(to)?);
        let path = format!(
            "/readings?device={device}&signal={}&from={from}&to={to}&limit={READINGS_PAGE}",
            signal.replace(' ', "%20")
        );
        let items = self.all(&path).await?;
        items
            .iter()
            .map(|item| {
                let value = item["value"].as_f64();
                Ok((
                    millis(&item["at"])?,
                    value.with_context(|| format!("no value in {item}"))?,
                ))
            })
            .collect()
    }

    /// What `/status` says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn status(&self) -> Result<Value> {
        self.get("/status").await
    }

    /// A count from `/status`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn count(&self, name: &str) -> Result<u64> {
        let status = self.status().await?;
        status[name]
            .as_u64()
            .with_context(|| format!("no {name} in {status}"))
    }

    /// Waits until every reader of the journal has passed what is committed now, so that
    /// queries and findings speak of everything acknowledged before this call.
    ///
    /// # Errors
    /// When the readers do not get there within `deadline`.
    pub async fn caught_up(&self, deadline: Duration) -> Result<()> {
        let status = until("the status", deadline, async || {
            Ok(Some(self.status().await?))
        })
        .await?;
        let committed = &status["journal"]["committed"];
        let committed = committed
            .as_u64()
            .with_context(|| format!("no offset in {status}"))?;
        let what = format!("every reader of the journal to pass offset {committed}");
        until(what, deadline, async || {
            let status = self.status().await?;
            let readers = status["journal"]["readers"].as_array();
            let readers = readers.with_context(|| format!("no readers in {status}"))?;
            let passed = |reader: &Value| reader["position"].as_u64() >= Some(committed);
            ensure!(
                !readers.is_empty() && readers.iter().all(passed),
                "{}",
                json!(readers)
            );
            Ok(Some(()))
        })
        .await
    }
}

/// Milliseconds since the epoch as ISO 8601 in UTC.
///
/// # Errors
/// Outside the calendar.
pub fn iso(millis: i64) -> Result<String> {
    let at = DateTime::from_timestamp_millis(millis).context("outside the calendar")?;
    Ok(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// An ISO 8601 time of the API as milliseconds since the epoch.
///
/// # Errors
/// When it is no such text.
pub fn millis(at: &Value) -> Result<i64> {
    let text = at.as_str().with_context(|| format!("{at} is no time"))?;
    let parsed =
        DateTime::parse_from_rfc3339(text).with_context(|| format!("{text} is no time"))?;
    Ok(parsed.timestamp_millis())
}
