//! Writing and querying over HTTP, on `reqwest` 0.13. Why not `influxdb2`: see the module above.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use reqwest::{
    StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};

use super::InfluxConfig;
use crate::error::HistorianError;

/// The longest reply to a query. Queries are made in pages that stay far below it.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// How much of an error's text is kept.
const MAX_MESSAGE_BYTES: usize = 2_000;

/// How long a connection may take to be made, in case nobody answers at the address.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a write was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteFault {
    /// Something in the batch will never be taken; the rest may have been.
    #[error("refused with {status}: {message}")]
    Refused {
        /// 400 or 422.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// The batch is too large for the server.
    #[error("the batch is too large for the server")]
    TooLarge,
    /// The token is not accepted.
    #[error("the token is not accepted ({status}): {message}")]
    Unauthorized {
        /// 401 or 403.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// No such bucket or organisation.
    #[error("not found: {0}")]
    NotFound(String),
    /// The server cannot now.
    #[error("{message}")]
    Later {
        /// How long it asked to be left alone.
        after: Option<Duration>,
        /// What it said.
        message: String,
    },
}

/// One server, for writing and querying.
#[derive(Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    write_url: Url,
    query_url: Url,
    authorization: Option<HeaderValue>,
}

/// What is wrong with a configuration.
pub(crate) fn invalid(problem: impl Into<String>) -> HistorianError {
    HistorianError::Influx {
        action: "set up",
        problem: problem.into(),
        transient: false,
    }
}

/// Reads the URL of a server: `http`, with a host and without user, query or fragment.
pub(crate) fn server_url(config: &InfluxConfig) -> Result<Url, HistorianError> {
    let url = Url::parse(&config.url).map_err(|error| invalid(format!("url: {error}")))?;
    if url.scheme() != "http" || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid(
            "url: use http://host:port; for https put a TLS tunnel such as stunnel on this machine",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(invalid(
            "url: user, password and query have no place in it; use the token",
        ));
    }
    if config.bucket.is_empty() || config.org.is_empty() {
        return Err(invalid("bucket and org must not be empty"));
    }
    Ok(url)
}

impl Transport {
    /// A transport to a server; nothing is sent yet.
    pub(crate) fn new(config: &InfluxConfig) -> Result<Self, HistorianError> {
        let base = server_url(config)?;
        let endpoint = |path: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
            url.query_pairs_mut().append_pair("org", &config.org);
            url
        };
        let mut write_url = endpoint("/api/v2/write");
        write_url
            .query_pairs_mut()
            .append_pair("bucket", &config.bucket)
            .append_pair("precision", "us");
        let authorization = if config.token.is_empty() {
            None
        } else {
            let mut value = HeaderValue::from_str(&format!("Token {}", config.token))
                .map_err(|_| invalid("token: it holds characters a header cannot"))?;
            value.set_sensitive(true);
            Some(value)
        };
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(config.timeout)
            // The server is one the configuration names; a detour would carry the token away.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            client,
            write_url,
            query_url: endpoint("/api/v2/query"),
            authorization,
        })
    }

    /// Writes compressed lines. `Ok` means that the server has taken all of them.
    pub(crate) async fn write(&self, gzipped: Vec<u8>) -> Result<(), WriteFault> {
        let request = self
            .client
            .post(self.write_url.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(CONTENT_ENCODING, "gzip")
            .body(gzipped);
        let response = self
            .authorized(request)
            .send()
            .await
            .map_err(|error| later(&error))?;
        let status = response.status();
        if matches!(status, StatusCode::OK | StatusCode::NO_CONTENT) {
            return Ok(());
        }
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let message = said(status, response).await;
        Err(match status.as_u16() {
            400 | 422 => WriteFault::Refused {
                status: status.as_u16(),
                message,
            },
            413 => WriteFault::TooLarge,
            401 | 403 => WriteFault::Unauthorized {
                status: status.as_u16(),
                message,
            },
            404 => WriteFault::NotFound(message),
            _ => WriteFault::Later { after, message },
        })
    }

    /// Asks a Flux query and gives the annotated CSV.
    pub(crate) async fn query(&self, flux: &str) -> Result<String, HistorianError> {
        let body = serde_json::json!({
            "query": flux,
            "type": "flux",
            "dialect": {
                "header": true,
                "annotations": ["datatype", "group", "default"],
                "dateTimeFormat": "RFC3339Nano",
            },
        });
        let request = self.client.post(self.query_url.clone());
        let request = self.authorized(request).header(ACCEPT, "application/csv");
        let failed = |problem: String, transient| HistorianError::Influx {
            action: "answer a query",
            problem,
            transient,
        };
        let cut = |error: reqwest::Error| failed(in_full(&error), true);
        let mut response = request.json(&body).send().await.map_err(cut)?;
        let status = response.status();
        if status != StatusCode::OK {
            let transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(failed(said(status, response).await, transient));
        }
        let mut reply = Vec::new();
        while let Some(part) = response.chunk().await.map_err(cut)? {
            if reply.len() + part.len() > MAX_REPLY_BYTES {
                return Err(HistorianError::TooLarge {
                    what: "reply to a query",
                    bytes: reply.len() + part.len(),
                    limit: MAX_REPLY_BYTES,
                });
            }
            reply.extend_from_slice(&part);
        }
        String::from_utf8(reply).map_err(|_| failed("the reply is not UTF-8".into(), false))
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }
}

/// Compresses lines. The fastest level: names repeat in every line, so even it saves nine tenths.
pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let out = Vec::with_capacity(text.len() / 4 + 64);
    let mut encoder = GzEncoder::new(out, Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

fn later(error: &reqwest::Error) -> WriteFault {
    WriteFault::Later {
        after: None,
        message: in_full(error),
    }
}

/// An error with its causes; the outermost one of `reqwest` says little. The URL holds no secret.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What a server said with an error: the message of its JSON, else the text.
async fn said(status: StatusCode, mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < MAX_MESSAGE_BYTES {
        match response.chunk().await {
            Ok(Some(part)) => body.extend_from_slice(&part),
            _ => break,
        }
    }
    let json: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let message = json
        .as_ref()
        .and_then(|json| json["message"].as_str().or(json["error"].as_str()))
        .map_or_else(
            || String::from_utf8_lossy(&body).into_owned(),
            str::to_owned,
        );
    let message: String = message.trim().chars().take(500).collect();
    match message.as_str() {
        "" => status.to_string(),
        _ => format!("{status}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn addresses_that_cannot_work_are_named_before_anything_is_sent() {
        for (url, expected) in [
            ("influx", "url:"),
            ("ftp://a", "http://host"),
            ("https://a", "TLS tunnel"),
            ("http://u:p@a:1", "token"),
            ("http://a:1?x=1", "token"),
        ] {
            let config = InfluxConfig::new(url, "o", "b", "t");
            let error = Transport::new(&config).err().unwrap().to_string();
            assert!(error.contains(expected), "{url}: {error}");
        }
        let secret = InfluxConfig::new("http://a:1", "o", "b", "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        let broken = InfluxConfig::new("http://a:1", "o", "b", "line\nbreak");
        assert!(Transport::new(&broken).is_err());
    }

    #[test]
    fn a_prefix_of_the_address_is_kept_and_names_are_escaped() {
        let config = InfluxConfig::new("http://a:1/tsdb/", "my org", "b&c", "");
        let transport = Transport::new(&config).unwrap();
        assert_eq!(
            transport.write_url.as_str(),
            "http://a:1/tsdb/api/v2/write?org=my+org&bucket=b%26c&precision=us"
        );
    }

    #[test]
    fn compressed_lines_come_back() {
        let text = b"reading,device=a b=1.0 1\n".repeat(1000);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&gzip(&text)[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
        assert!(gzip(&text).len() < text.len() / 10);
    }
}
