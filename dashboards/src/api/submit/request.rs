//! What a request says: whose readings these are, who sends them, and the body.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use telemetry::{Claim, DeadLetter, Denied, DeviceGate, DeviceId, Grant, Scope};

use super::{Desk, LONG_BODY_BYTES, MAX_BODY_BYTES, idempotency::MAX_KEY_BYTES};
use crate::api::{Shared, extract::Raw, problem::Problem};

/// The query: who, where, and the properties of the message.
pub(super) struct Query {
    device: Option<DeviceId>,
    topic: Option<String>,
    pub(super) properties: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let mut parsed = Self {
            device: None,
            topic: None,
            properties: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                _ if value.is_empty() => {}
                "device" => {
                    let device = value.parse().map_err(|error: telemetry::InvalidId| {
                        Problem::invalid_parameter("device", error.to_string())
                    })?;
                    parsed.device = Some(device);
                }
                "topic" => parsed.topic = Some(value.into_owned()),
                _ => parsed
                    .properties
                    .push((name.into_owned(), value.into_owned())),
            }
        }
        // One place is kept for the encoding.
        let (found, most) = (parsed.properties.len(), DeadLetter::MAX_PROPERTIES - 1);
        if found > most {
            return Err(Problem::bad_request(format!(
                "at most {most} parameters besides device and topic, not {found}"
            )));
        }
        Ok(parsed)
    }

    /// The topic the readings belong to; empty when only the body can tell whose they are.
    pub(super) fn topic(mut self, api: &Shared, grant: &Grant) -> Result<(String, Self), Problem> {
        if let Some(topic) = self.topic.take() {
            if self.device.is_some() {
                return Err(Problem::invalid_parameter(
                    "topic",
                    "give either the device or the topic",
                ));
            }
            if topic.len() > usize::from(u16::MAX) {
                let detail = "a topic has at most 65535 bytes";
                return Err(Problem::invalid_parameter("topic", detail));
            }
            return Ok((topic, self));
        }
        let device = match (self.device.take(), &grant.scope) {
            (Some(device), _) => device,
            (None, Scope::Device(own)) => own.clone(),
            (None, _) => return Ok((String::new(), self)),
        };
        let topic = api.parts.intake.topic_of(&device).ok_or_else(|| {
            Problem::invalid_parameter(
                "device",
                "no configured topic pattern is told by the device alone; give ?topic=TOPIC",
            )
        })?;
        if !grant.allows(&device, &topic) {
            return Err(Problem::forbidden(format!(
                "the credential does not cover device {device}"
            )));
        }
        Ok((topic, self))
    }
}

/// What the sender may do.
pub(super) fn grant(api: &Shared, headers: &HeaderMap) -> Result<Grant, Problem> {
    let secret = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => Some(bearer(value).ok_or_else(|| {
            Problem::unauthorized("send the device token as Authorization: Bearer TOKEN")
        })?),
    };
    let claim = Claim {
        secret: secret.map(str::as_bytes),
        ..Claim::default()
    };
    match api.parts.service.authenticate(&claim) {
        // Where everybody may publish, a token is believed only when it is one.
        Ok(grant) if secret.is_some() && grant.credential.is_none() => {
            Err(Problem::unauthorized(Denied::Invalid.to_string()))
        }
        Ok(grant) => Ok(grant),
        Err(denied @ (Denied::Missing | Denied::Invalid)) => {
            Err(Problem::unauthorized(denied.to_string()))
        }
        Err(denied @ Denied::WrongClient) => Err(Problem::forbidden(denied.to_string())),
    }
}

/// The token of a bearer authorization.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether the body is packed.
pub(super) fn is_packed(headers: &HeaderMap) -> Result<bool, Problem> {
    match text(headers, &header::CONTENT_ENCODING).as_deref() {
        None | Some("identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(other) => Err(Problem::unsupported_media_type(format!(
            "Content-Encoding is gzip or none, not {other:?}"
        ))),
    }
}

pub(super) fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The idempotency key, when there is one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok().map(str::trim);
    let key = key.filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let refused = || {
        Problem::invalid_parameter(
            "Idempotency-Key",
            format!("the key has 1 to {MAX_KEY_BYTES} visible ASCII characters"),
        )
    };
    key.map(|key| Some(key.into())).ok_or_else(refused)
}

pub(super) async fn read_body(desk: &Desk, request: Request) -> Result<Bytes, Problem> {
    let length = text(request.headers(), &header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.parse().ok());
    let is_long = length.is_none_or(|length| length > LONG_BODY_BYTES);
    let _place = if is_long {
        desk.long_bodies.acquire().await.ok()
    } else {
        None
    };
    let Raw(body) = Raw::<MAX_BODY_BYTES>::from_request(request, &()).await?;
    Ok(body)
}
