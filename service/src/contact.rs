//! Where a customer is told of a planned visit.

use telemetry::CustomerId;

use crate::ServiceError;

/// The longest mail address, in bytes (RFC 5321, section 4.5.3.1.3, without the brackets).
const MAX_EMAIL_BYTES: usize = 254;

/// The language in which a customer is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactLanguage {
    /// English.
    #[default]
    En,
    /// 简体中文.
    Zh,
}

impl ContactLanguage {
    /// The word in storage and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::En, Self::Zh]
            .into_iter()
            .find(|language| language.as_str() == text)
    }
}

/// How a customer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The customer.
    pub customer: CustomerId,
    /// Where mail reaches them; none when they do not want any.
    pub email: Option<String>,
    /// In which language they are written to.
    pub language: ContactLanguage,
}

/// Checks the shape of a mail address: something before and after one `@`, without spaces. Whether
/// it exists only a mail can tell.
///
/// # Errors
/// [`ServiceError::Invalid`].
pub(crate) fn check_email(text: &str) -> Result<(), ServiceError> {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',');
    let parts = text.split_once('@');
    let has_parts = parts
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if has_parts && text.len() <= MAX_EMAIL_BYTES && text.chars().all(is_plain) {
        return Ok(());
    }
    Err(ServiceError::Invalid {
        field: "contact_email",
        problem: "use a mail address such as maintenance@example.com".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses_have_the_shape_of_one() {
        let longest = format!("{}@example.com", "a".repeat(242));
        let too_long = format!("{}@example.com", "a".repeat(243));
        for (text, good) in [
            ("maintenance@example.com", true),
            ("维护@例子.中国", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("example.com", false),
            ("@example.com", false),
            ("a@", false),
            ("a@b@c", false),
            ("a b@example.com", false),
            ("a@example.com\r\nBcc: b@example.com", false),
            ("A <a@example.com>", false),
        ] {
            assert_eq!(check_email(text).is_ok(), good, "{text:?}");
        }
    }
}
