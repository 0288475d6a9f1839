//! One mail: plain text with the same as HTML, and the id of the message as its own, by which
//! mail programs recognise one that comes twice.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{channel::Channel, format, message::Message, words::Words};

/// The whole of a conversation with the server. The library's own limit is for one command, and
/// a server that is slow each time would hold a message for minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It cannot be written like this.
    #[error("the mail cannot be written: {0}")]
    Unwritable(String),
    /// The server cannot be spoken to like this.
    #[error("the mail server cannot be used: {0}")]
    Server(String),
    /// The server said no for good.
    #[error("the mail server refused it: {0}")]
    Refused(String),
    /// The server could not take it now, or is not there.
    #[error("the mail server did not take it: {0}")]
    Later(String),
    /// It took too long.
    #[error("the mail server took longer than {} s", PATIENCE.as_secs())]
    TimedOut,
}

impl MailError {
    /// Whether the same mail may be taken later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Later(_) | Self::TimedOut)
    }
}

/// Checks that a server can be spoken to at this address.
///
/// # Errors
/// [`MailError::Server`].
pub fn check_url(url: &str) -> Result<(), MailError> {
    transport(url).map(|_| ())
}

fn transport(url: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let built = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
        .map_err(|error| MailError::Server(error.to_string()))?;
    Ok(built.timeout(Some(PATIENCE)).build())
}

/// Checks that mail can be sent to or from this address.
///
/// # Errors
/// [`MailError::Unwritable`].
pub fn check_address(address: &str) -> Result<(), MailError> {
    mailbox(address).map(|_| ())
}

fn mailbox(address: &str) -> Result<Mailbox, MailError> {
    address
        .parse()
        .map_err(|_| MailError::Unwritable(format!("{address:?} is no mail address")))
}

/// Writes the mail.
///
/// # Errors
/// [`MailError::Unwritable`].
pub fn write(channel: &Channel, message: &Message, words: &Words) -> Result<Mail, MailError> {
    let unwritable = |what: String| MailError::Unwritable(what);
    let from = channel.from.as_deref().unwrap_or("bellwether@localhost");
    let to = message
        .address
        .as_deref()
        .ok_or_else(|| unwritable("the recipient has no mail address".to_owned()))?;
    let automatic = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    Mail::builder()
        .from(mailbox(from)?)
        .to(mailbox(to)?)
        .subject(&words.subject)
        .message_id(Some(format!("<{}@bellwether.invalid>", message.id)))
        // No answering machine answers to these (RFC 3834).
        .raw_header(automatic("Auto-Submitted", "auto-generated"))
        .raw_header(automatic("X-Bellwether-Message", message.id.as_str()))
        .multipart(MultiPart::alternative_plain_html(
            format::plain(words),
            format::html(words),
        ))
        .map_err(|error| unwritable(error.to_string()))
}

/// Sends a message by mail.
///
/// # Errors
/// [`MailError`].
pub async fn send(channel: &Channel, message: &Message, words: &Words) -> Result<(), MailError> {
    let mail = write(channel, message, words)?;
    let transport = transport(&channel.url)?;
    match tokio::time::timeout(PATIENCE, transport.send(mail)).await {
        Err(_) => Err(MailError::TimedOut),
        Ok(Ok(response)) if response.is_positive() => Ok(()),
        Ok(Ok(response)) => Err(MailError::Later(response.code().to_string())),
        Ok(Err(error)) if error.is_permanent() => Err(MailError::Refused(error.to_string())),
        Ok(Err(error)) => Err(MailError::Later(error.to_string())),
    }
}
