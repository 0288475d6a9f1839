//! `/devices/{id}/credentials`: who may publish in a device's name.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use service::{CertificateBinding, Credential, TokenSpec, TopicPrefix};
use telemetry::{CredentialId, DeviceId, Quota, Timestamp};
use utoipa::ToSchema;

use super::known;
use crate::api::{
    Shared,
    extract::{Body, Id, Number},
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    schema,
    table::Cell,
};

/// A credential; everything but its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CredentialView {
    /// Its id, never given twice.
    pub id: u64,
    /// In whose name it publishes, and the only client id it may use.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// How it is proven: `token`, `certificate` or `certificate_name`.
    pub kind: String,
    /// The SHA-256 of the certificate.
    pub fingerprint: Option<String>,
    /// A gateway's: what each of its topics starts with.
    #[schema(value_type = Option<String>)]
    pub topic_prefix: Option<TopicPrefix>,
    /// How much it may publish.
    #[schema(value_type = schema::Quota)]
    pub quota: Quota,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When somebody was let in with it last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked; it lets nobody in since.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

impl From<Credential> for CredentialView {
    fn from(credential: Credential) -> Self {
        Self {
            id: credential.id.0,
            device: credential.device,
            kind: credential.kind.as_str().to_owned(),
            fingerprint: credential.fingerprint,
            topic_prefix: credential.topic_prefix,
            quota: credential.quota,
            created_at: credential.created_at,
            last_used_at: credential.last_used_at,
            revoked_at: credential.revoked_at,
        }
    }
}

impl Listed for CredentialView {
    const NAME: &'static str = "credentials";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "device",
        "kind",
        "fingerprint",
        "topic_prefix",
        "messages_per_s",
        "bytes_per_s",
        "created_at",
        "last_used_at",
        "revoked_at",
    ];

    fn row(self) -> Vec<Cell> {
        let prefix = self.topic_prefix.as_ref().map(TopicPrefix::as_str);
        vec![
            Cell::plain(self.id),
            Cell::text(self.device.to_string()),
            Cell::plain(self.kind),
            Cell::maybe(self.fingerprint),
            Cell::text(prefix.unwrap_or_default()),
            Cell::plain(self.quota.messages_per_s),
            Cell::plain(self.quota.bytes_per_s),
            Cell::plain(self.created_at),
            Cell::maybe(self.last_used_at),
            Cell::maybe(self.revoked_at),
        ]
    }
}

/// List the credentials a device has or had, by id.
#[utoipa::path(get, path = "/devices/{id}/credentials", tag = "devices",
    params(("id" = String, Path, description = "The id of the device"), PageParams),
    responses((status = 200, description = "A page of credentials", content(
        (Page<CredentialView> = "application/json"), (String = "text/csv"))),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    Id(id): Id<DeviceId>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    known(&api, &id)?;
    let mut credentials = api.parts.service.credentials(&id).await?;
    credentials.sort_by_key(|credential| credential.id);
    let credentials = credentials.into_iter().map(CredentialView::from);
    // Keys sort as text; with leading zeros they sort as numbers too.
    let key = |credential: &CredentialView| format!("{:020}", credential.id);
    Ok(list.cut(credentials.collect(), key))
}

/// A credential to make: a token, or a certificate that shall count.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// For a gateway: what each of its topics starts with.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    topic_prefix: Option<TopicPrefix>,
    /// How much it may publish; the device's quota when it is left out.
    #[serde(default)]
    #[schema(value_type = Option<schema::Quota>)]
    quota: Option<Quota>,
    /// The SHA-256 fingerprint of a client certificate as 64 hexadecimal digits, or `name` for
    /// any whose common name is the device id. Without it a token is made.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    certificate: Option<CertificateBinding>,
}

/// A credential that was just made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MadeCredential {
    /// In whose name it publishes.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// The id to revoke it by.
    pub credential: u64,
    /// The token; null for a certificate. This is the only time it is seen.
    pub token: Option<String>,
}

/// Make a token for a device, shown this once, or let it in by its certificate.
#[utoipa::path(post, path = "/devices/{id}/credentials", tag = "devices",
    request_body = NewCredential,
    params(("id" = String, Path, description = "The id of the device")),
    responses((status = 201, body = MadeCredential),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Id(id): Id<DeviceId>,
    Body(new): Body<NewCredential>,
) -> Result<Response, Problem> {
    let spec = TokenSpec {
        topic_prefix: new.topic_prefix,
        quota: new.quota,
    };
    let service = &api.parts.service;
    let made = match new.certificate {
        None => {
            let issued = service.issue_token(&id, spec).await?;
            MadeCredential {
                device: issued.device,
                credential: issued.credential.0,
                token: Some(issued.token),
            }
        }
        Some(binding) => {
            let bound = service.bind_certificate(&id, binding, spec).await?;
            MadeCredential {
                device: bound.device,
                credential: bound.id.0,
                token: None,
            }
        }
    };
    // A secret has no business in any cache.
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, no_store, Json(made)).into_response())
}

/// Revoke a credential. Who is connected with it is put out within seconds; doing it again
/// changes nothing.
#[utoipa::path(delete, path = "/credentials/{id}", tag = "devices",
    params(("id" = u64, Path, description = "Its id")),
    responses((status = 200, body = CredentialView),
        (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(
    State(api): State<Shared>,
    Number(id): Number,
) -> Result<Json<CredentialView>, Problem> {
    let revoked = api.parts.service.revoke(CredentialId(id)).await?;
    Ok(Json(revoked.into()))
}
