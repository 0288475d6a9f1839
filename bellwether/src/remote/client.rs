//! Speaking to a running Bellwether. Every failure says what was asked, where, and what to do.

use std::{error::Error as _, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Longer than the longest answer takes: a file of 100,000 devices.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long the address may take to answer at all.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Where the running program is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiArgs {
    /// API of the running Bellwether
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = api_url)]
    pub(crate) api: String,
}

/// An address without a slash at its end.
pub(crate) fn api_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").unwrap_or_default();
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
        return Err("use an address such as http://127.0.0.1:8080".to_owned());
    }
    Ok(format!("http://{host}"))
}

/// What an error of the API says (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    title: String,
    #[serde(default)]
    detail: String,
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// The API of one running program.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// # Errors
    /// When no HTTP client can be made.
    pub(crate) fn new(args: &ApiArgs) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(CONNECT_PATIENCE)
            .build()
            .context("cannot prepare to speak HTTP")?;
        Ok(Self {
            http,
            url: args.api.clone(),
        })
    }

    /// A request below `/api/v1`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1{path}", self.url))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When nobody answers, or the answer is an error.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.with_context(|| self.not_ours());
        }
        self.refused(status, &response.text().await.unwrap_or_default())
    }

    /// The same, where an answer with this status and this member has the shape of a good one.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ask_or<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        (also, member): (StatusCode, &str),
    ) -> Result<T> {
        let response = self.send(request).await?;
        let status = response.status();
        let text = response.text().await.with_context(|| self.not_ours())?;
        let answer: Value = match serde_json::from_str(&text) {
            Ok(answer) => answer,
            Err(error) if status.is_success() => {
                return Err(error).with_context(|| self.not_ours());
            }
            Err(_) => return self.refused(status, &text),
        };
        if status.is_success() || (status == also && answer.get(member).is_some()) {
            return serde_json::from_value(answer).with_context(|| self.not_ours());
        }
        self.refused(status, &text)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        match request.send().await {
            Ok(response) => Ok(response),
            Err(error) if error.is_connect() => bail!(
                "no Bellwether answers at {} ({}); start it with `bellwether run`, or name the \
                 address it serves (key http.bind) with --api URL",
                self.url,
                innermost(&error)
            ),
            Err(error) if error.is_timeout() => bail!(
                "the Bellwether at {} did not answer within {} s; see its log, then try again",
                self.url,
                PATIENCE.as_secs()
            ),
            Err(error) => {
                let inner = innermost(&error);
                bail!(
                    "{} broke off the connection: {inner}; see its log, then try again",
                    self.url
                )
            }
        }
    }

    fn refused<T>(&self, status: StatusCode, text: &str) -> Result<T> {
        match serde_json::from_str::<Problem>(text) {
            Ok(problem) if problem.detail.is_empty() => bail!("{} ({status})", problem.title),
            Ok(problem) => bail!("{}: {}", problem.title.to_lowercase(), problem.detail),
            Err(_) => bail!("{} ({status})", self.not_ours()),
        }
    }

    fn not_ours(&self) -> String {
        format!(
            "what answers at {} does not speak as this version of Bellwether does; name the right \
             address with --api URL",
            self.url
        )
    }
}

fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_nothing_behind_it() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://localhost:8080/", Some("http://localhost:8080")),
            ("127.0.0.1:8080", None),
            ("https://plant", None),
            ("http://", None),
            ("http://a/b", None),
        ] {
            assert_eq!(api_url(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_where_and_what_to_do() {
        // A port that was free a moment ago.
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let api = format!("http://{}", probe.local_addr().unwrap());
        drop(probe);
        let client = Client::new(&ApiArgs { api: api.clone() }).unwrap();
        let asked = client.ask::<serde_json::Value>(client.request(Method::GET, "/devices"));
        let message = format!("{:#}", asked.await.unwrap_err());
        for part in [api.as_str(), "bellwether run", "--api"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
