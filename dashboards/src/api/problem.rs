//! Every error of the API as a problem document (RFC 9457).
//!
//! A problem says what happened in `title`, what exactly and what to do in `detail`, and
//! where in a member of its own (`parameter`, `line`, `column`, `field`), so that a person
//! reads it and a program acts on it without parsing prose.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The prefix of problem types. They are names, not pages: nothing is fetched from them.
const TYPE_PREFIX: &str = "urn:bellwether:problem:";

/// A problem document (RFC 9457), sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem, such as `urn:bellwether:problem:not-found`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// What happened, the same for every problem of this kind.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// What exactly happened this time and what to do about it.
    #[schema(value_type = String)]
    pub detail: Box<str>,
    /// The query parameter, path parameter or header at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub parameter: Option<Box<str>>,
    /// The field of the body at fault, as a path such as `skills[2]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub field: Option<Box<str>>,
    /// The line of the body at fault, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column of the body at fault, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What was refused and why, where a body holds several things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Refused>>)]
    pub refused: Option<Box<Vec<Refused>>>,
    /// After how many seconds it may work, for the `Retry-After` header.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

/// Something that failed a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// Which check it failed, such as `out_of_range`.
    pub reason: String,
    /// What exactly was wrong, where, and what to do.
    pub detail: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $status:ident, $kind:literal, $title:literal;)+) => {
        impl Problem {
            $($(#[$doc])*
            pub fn $name(detail: impl Into<String>) -> Self {
                Self::new(StatusCode::$status, $kind, $title, &detail.into())
            })+
        }
    };
}

kinds! {
    /// The request cannot be understood.
    bad_request: BAD_REQUEST, "bad-request", "The request cannot be understood";
    /// The body is not the JSON that is expected.
    malformed_body: BAD_REQUEST, "malformed-body", "The body is not the JSON expected here";
    /// No credential, or none that is valid.
    unauthorized: UNAUTHORIZED, "unauthorized", "A valid credential is needed";
    /// The credential does not cover it.
    forbidden: FORBIDDEN, "forbidden", "The credential does not cover this";
    /// A value was understood and refused.
    invalid_value: UNPROCESSABLE_ENTITY, "invalid-value", "A value was refused";
    /// Nothing of the body passed its checks.
    nothing_accepted: UNPROCESSABLE_ENTITY, "nothing-accepted", "Nothing of the body was accepted";
    /// The idempotency key belongs to another request.
    key_reused: UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The idempotency key belongs to another request";
    /// More than the quota allows.
    too_many: TOO_MANY_REQUESTS, "too-many-requests", "More than the quota allows";
    /// The request comes from another site.
    cross_origin: FORBIDDEN, "cross-origin", "Changes from other sites are refused";
    /// There is no such thing.
    not_found: NOT_FOUND, "not-found", "There is no such thing";
    /// The path does not answer this method.
    method_not_allowed: METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not answer this method";
    /// The present state forbids it.
    conflict: CONFLICT, "conflict", "The present state forbids this";
    /// The body is too long.
    too_large: PAYLOAD_TOO_LARGE, "too-large", "The body is too long";
    /// The body is of a kind that is not taken.
    unsupported_media_type: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is of a kind that is not taken here";
    /// The Host header names somebody else.
    misdirected: MISDIRECTED_REQUEST, "misdirected-request", "The request is not for this server";
    /// Something broke here.
    internal: INTERNAL_SERVER_ERROR, "internal", "Something broke inside the server";
    /// It may work later.
    unavailable: SERVICE_UNAVAILABLE, "unavailable", "Not available now; try again";
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: &str) -> Self {
        Self {
            kind: format!("{TYPE_PREFIX}{kind}").into(),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            field: None,
            line: None,
            column: None,
            refused: None,
            retry_after_s: None,
        }
    }

    /// A parameter of the query or path that cannot be used.
    pub fn invalid_parameter(parameter: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-parameter",
            "A parameter cannot be used",
            &detail.into(),
        );
        problem.parameter = Some(parameter.into().into());
        problem
    }

    /// A thing that was asked for by id and is not there.
    pub fn no_such(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::not_found(format!("there is no {kind} {id}"))
    }

    /// The problem of a failure inside: logged whole, shown without its inner causes, which
    /// hold paths and statements that are nobody's business.
    pub fn from_failure(error: &(dyn std::error::Error + 'static), transient: bool) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        if transient {
            tracing::warn!(error = text, "request refused for now");
            return Self::unavailable(error.to_string());
        }
        tracing::error!(error = text, "request failed");
        Self::internal("the failure has been logged; the request may be repeated")
    }

    /// Names the field of the body at fault.
    #[must_use]
    pub fn at_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into().into());
        self
    }

    /// Says after how many seconds it may work.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"bellwether\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_only_the_members_it_has() {
        let problem = Problem::invalid_parameter("limit", "limit is 1 to 1000, not 0");
        insta::assert_json_snapshot!(problem, @r#"
        {
          "type": "urn:bellwether:problem:invalid-parameter",
          "title": "A parameter cannot be used",
          "status": 400,
          "detail": "limit is 1 to 1000, not 0",
          "parameter": "limit"
        }
        "#);
    }

    #[test]
    fn a_failure_inside_does_not_show_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read cases")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("/secret/path is gone"));
        let hidden = Problem::from_failure(&error, false);
        assert_eq!(hidden.status, 500);
        assert!(!hidden.detail.contains("secret"), "{hidden:?}");
        let later = Problem::from_failure(&error, true);
        assert_eq!((later.status, &*later.detail), (503, "cannot read cases"));
    }
}
