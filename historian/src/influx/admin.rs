//! The bucket, through the `influxdb2` crate: list, make, health.
//!
//! Whatever goes wrong here does not stop writing: a token that may only write is usual, and
//! servers that take the write API without the rest exist.

use influxdb2::{
    Client, ClientBuilder, RequestError,
    api::{buckets::ListBucketsRequest, organization::ListOrganizationRequest},
    models::{PostBucketRequest, RetentionRule, retention_rule},
};

use super::{
    InfluxConfig,
    transport::{CONNECT_TIMEOUT, invalid, server_url},
};
use crate::error::HistorianError;

/// What came of looking after the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BucketOutcome {
    /// It is there.
    Exists,
    /// It was missing and has been made.
    Created,
    /// The server has no such API, or the token may not use it; the reason is for the log.
    NotOffered(String),
    /// The organisation does not exist.
    NoOrganization,
    /// The server cannot be asked now.
    Later(String),
}

/// Looks after the bucket of a configuration.
pub(crate) struct Admin {
    client: Client,
    config: InfluxConfig,
}

impl Admin {
    /// A client with deadlines, which the crate has none of by itself; the URL is checked first,
    /// because the crate panics on a bad one.
    pub(crate) fn new(config: &InfluxConfig) -> Result<Self, HistorianError> {
        server_url(config)?;
        let http = reqwest011::ClientBuilder::new()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(config.timeout)
            .redirect(reqwest011::redirect::Policy::none())
            .no_proxy();
        let client = ClientBuilder::with_builder(http, &config.url, &config.org, &config.token)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            client,
            config: config.clone(),
        })
    }

    /// Makes sure that the bucket is there, as far as the server and the token allow.
    pub(crate) async fn ensure_bucket(&self) -> BucketOutcome {
        let wanted = ListBucketsRequest {
            name: Some(self.config.bucket.clone()),
            org: Some(self.config.org.clone()),
            ..ListBucketsRequest::default()
        };
        match self.client.list_buckets(Some(wanted)).await {
            Ok(found) => {
                let bucket = self.config.bucket.as_str();
                if found.buckets.iter().any(|one| one.name == bucket) {
                    BucketOutcome::Exists
                } else {
                    self.create().await
                }
            }
            // A server with this API answers 404 in JSON and names what is missing.
            Err(RequestError::Http { status, text }) if status.as_u16() == 404 => {
                if text.contains("\"not found\"") {
                    self.create().await
                } else {
                    BucketOutcome::NotOffered(format!("{status}"))
                }
            }
            Err(error) => outcome(&error),
        }
    }

    async fn create(&self) -> BucketOutcome {
        let wanted = ListOrganizationRequest {
            org: Some(self.config.org.clone()),
            ..ListOrganizationRequest::new()
        };
        let id = match self.client.list_organizations(wanted).await {
            Ok(found) => found
                .orgs
                .into_iter()
                .find_map(|org| (org.name == self.config.org).then_some(org.id).flatten()),
            Err(RequestError::Http { status, .. }) if status.as_u16() == 404 => None,
            Err(error) => return outcome(&error),
        };
        let Some(id) = id else {
            return BucketOutcome::NoOrganization;
        };
        let mut request = PostBucketRequest::new(id, self.config.bucket.clone());
        if let Some(retention) = self.config.retention {
            // The crate counts in 32 bits: 68 years.
            let seconds = i32::try_from(retention.as_secs()).unwrap_or(i32::MAX);
            let rule = RetentionRule::new(retention_rule::Type::Expire, seconds);
            request.retention_rules = vec![rule];
        }
        match self.client.create_bucket(Some(request)).await {
            Ok(()) => BucketOutcome::Created,
            // Somebody else made it in the same moment.
            Err(RequestError::Http { status, .. }) if status.as_u16() == 422 => {
                BucketOutcome::Exists
            }
            Err(error) => outcome(&error),
        }
    }

    /// Whether the server says that it is well, for the log at start.
    pub(crate) async fn health(&self) -> Option<String> {
        let health = self.client.health().await.ok()?;
        Some(health.version.unwrap_or(health.name))
    }
}

fn outcome(error: &RequestError) -> BucketOutcome {
    match error {
        RequestError::Http { status, .. } if status.is_server_error() || status.as_u16() == 429 => {
            BucketOutcome::Later(error.to_string())
        }
        RequestError::ReqwestProcessing { source } if !source.is_decode() => {
            BucketOutcome::Later(source.to_string())
        }
        _ => BucketOutcome::NotOffered(error.to_string().chars().take(300).collect()),
    }
}
