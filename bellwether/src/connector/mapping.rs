//! How another maintenance system is spoken to: one TOML file, see deploy/connectors.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use service::{WorkOrderStatus, delivery::DeliveryKind};
use telemetry::Outcome;

use super::{
    facts::NAMES,
    template::{Words, check, check_text},
};

/// The mappings that the program brings along.
const BUILTIN: [(&str, &str); 3] = [
    (
        "maximo",
        include_str!("../../../deploy/connectors/maximo.toml"),
    ),
    (
        "sap-pm",
        include_str!("../../../deploy/connectors/sap-pm.toml"),
    ),
    (
        "servicenow",
        include_str!("../../../deploy/connectors/servicenow.toml"),
    ),
];

/// How another system is told about orders and asked about them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    /// Which system and version of its API it was written for, for people.
    pub(crate) written_for: String,
    /// Headers of every request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The header that carries the key of a message. Left out where the system knows none; then
    /// `lookup` keeps a repeat from making a second order.
    #[serde(default)]
    pub(crate) idempotency_header: Option<String>,
    /// Makes an order. The answer names it.
    pub(crate) create: Call,
    /// Finds the order of a case before it is made again.
    #[serde(default)]
    pub(crate) lookup: Option<Ask>,
    /// Adds evidence.
    #[serde(default)]
    pub(crate) amend: Option<Call>,
    /// Says that the order is not wanted any more.
    #[serde(default)]
    pub(crate) withdraw: Option<Call>,
    /// Asks where the order stands.
    #[serde(default)]
    pub(crate) status: Option<StatusCall>,
    /// Tables of words, for `{{fact|table}}`.
    #[serde(default)]
    pub(crate) words: Words,
}

/// A request that says something.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// `POST`, `PUT` or `PATCH`.
    pub(crate) method: Method,
    /// Behind the base address.
    pub(crate) path: String,
    /// Further headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The JSON that is sent, as a template.
    pub(crate) body: Value,
    /// Where the answer names the order (RFC 6901).
    #[serde(default)]
    pub(crate) reference: Option<String>,
}

/// A request that asks something.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// Behind the base address; asked with GET.
    pub(crate) path: String,
    /// Where the answer names the order (RFC 6901); nothing there means that there is none.
    pub(crate) reference: String,
}

/// A request that asks where an order stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusCall {
    /// Behind the base address; asked with GET.
    pub(crate) path: String,
    /// Where the answer holds the word for it.
    pub(crate) status: String,
    /// What its words mean here. Others are shown and change nothing.
    pub(crate) words: BTreeMap<String, WorkOrderStatus>,
    /// Where the answer holds what was found.
    #[serde(default)]
    pub(crate) outcome: Option<String>,
    /// What those words mean here. An order that is done with another word waits for a person to
    /// say what was found.
    #[serde(default)]
    pub(crate) outcomes: BTreeMap<String, Outcome>,
}

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Post,
    Put,
    Patch,
}

impl Method {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

impl Mapping {
    /// Reads a mapping and refuses places that no order fills.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mapping: Self = toml::from_str(text)?;
        let words = &mapping.words;
        let calls = [
            ("create", Some(&mapping.create)),
            ("amend", mapping.amend.as_ref()),
            ("withdraw", mapping.withdraw.as_ref()),
        ];
        for (name, call) in calls {
            let Some(call) = call else { continue };
            let told = || -> Result<()> {
                path(&call.path, words)?;
                check(&call.body, NAMES, words)?;
                for text in call.headers.values() {
                    check_text(text, NAMES, words)?;
                }
                pointer(call.reference.as_deref())
            };
            told().with_context(|| format!("[{name}]"))?;
        }
        if mapping.create.reference.is_none() {
            bail!("[create] does not say where the answer names the order: reference");
        }
        if mapping.idempotency_header.is_none() && mapping.lookup.is_none() {
            bail!("a repeat could make a second order: give idempotency_header or [lookup]");
        }
        if let Some(ask) = &mapping.lookup {
            path(&ask.path, words).context("[lookup]")?;
            pointer(Some(&ask.reference)).context("[lookup]")?;
            if list_of(&ask.reference).is_none() {
                bail!(
                    "[lookup]: reference has to point into a list, as /items/0/id does: only an \
                     empty list says that there is no order"
                );
            }
        }
        if let Some(ask) = &mapping.status {
            path(&ask.path, words).context("[status]")?;
            pointer(Some(&ask.status)).context("[status]")?;
            pointer(ask.outcome.as_deref()).context("[status]")?;
        }
        Ok(mapping)
    }

    /// The mapping of a name, or of a file.
    ///
    /// # Errors
    /// When there is no such file, or it is no mapping.
    pub(crate) fn load(name: &str) -> Result<Self> {
        if let Some((_, text)) = BUILTIN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text);
        }
        let text = std::fs::read_to_string(name).with_context(|| {
            let known = BUILTIN.map(|(known, _)| known).join(", ");
            format!("{name} is neither one of {known} nor a file that can be read")
        })?;
        Self::parse(&text).with_context(|| format!("mapping {name}"))
    }

    /// The request for a kind of message; none where the system is not told.
    pub(crate) fn call(&self, kind: DeliveryKind) -> Option<&Call> {
        match kind {
            DeliveryKind::Create => Some(&self.create),
            DeliveryKind::Amend => self.amend.as_ref(),
            DeliveryKind::Withdraw => self.withdraw.as_ref(),
        }
    }
}

fn path(path: &str, words: &Words) -> Result<()> {
    if !path.starts_with('/') {
        bail!("path {path:?} must begin with a slash");
    }
    check_text(path, NAMES, words)
}

fn pointer(pointer: Option<&str>) -> Result<()> {
    match pointer {
        Some(pointer) if !pointer.starts_with('/') => {
            bail!("{pointer:?} does not point into JSON; begin with a slash as in \"/result/id\"")
        }
        _ => Ok(()),
    }
}

/// What a pointer leads to, as text; none for null, an empty text, and what is not there.
pub(crate) fn at(answer: &Value, pointer: &str) -> Option<String> {
    match answer.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// What a look-up found: the reference, or none where the list it points into is there and empty.
///
/// # Errors
/// When the answer is not of this shape: it says nothing about the order then, and least of all
/// that there is none.
pub(crate) fn found(answer: &Value, pointer: &str) -> Result<Option<String>> {
    let list = list_of(pointer).and_then(|list| answer.pointer(list)?.as_array());
    match (at(answer, pointer), list) {
        (Some(reference), _) => Ok(Some(reference)),
        (None, Some(list)) if list.is_empty() => Ok(None),
        _ => bail!("the answer to the look-up has nothing at {pointer}"),
    }
}

/// The part of a pointer before its first index.
fn list_of(pointer: &str) -> Option<&str> {
    let mut end = 0;
    for part in pointer.split('/').skip(1) {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(&pointer[..end]);
        }
        end += 1 + part.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_list_says_that_there_is_no_order() {
        for (answer, expected) in [
            (r#"{"d":{"results":[{"id":"7"}]}}"#, Some(Some("7"))),
            (r#"{"d":{"results":[]}}"#, Some(None)),
            (r#"{"d":{"results":[{"name":"7"}]}}"#, None),
            (r#"{"error":"try again"}"#, None),
            ("{}", None),
            (r#"{"d":{"results":null}}"#, None),
        ] {
            let answer: Value = serde_json::from_str(answer).unwrap();
            let told = found(&answer, "/d/results/0/id").ok();
            assert_eq!(told, expected.map(|id| id.map(str::to_owned)), "{answer}");
        }
        let list: Value = serde_json::from_str("[]").unwrap();
        assert_eq!(found(&list, "/0/id").unwrap(), None);
        assert_eq!(list_of("/items/id"), None);
    }

    #[test]
    fn the_mappings_the_program_brings_along_are_whole() {
        for (name, _) in BUILTIN {
            let mapping = Mapping::load(name).unwrap();
            assert!(mapping.withdraw.is_some(), "{name}");
            let status = mapping.status.unwrap();
            assert!(
                status
                    .words
                    .values()
                    .any(|word| *word == WorkOrderStatus::Completed),
                "{name}"
            );
            assert!(
                status
                    .words
                    .values()
                    .any(|word| *word == WorkOrderStatus::Cancelled),
                "{name}"
            );
        }
    }

    #[test]
    fn a_mapping_that_could_make_two_orders_or_knows_no_such_fact_is_refused() {
        let good = "written_for = \"x\"\nidempotency_header = \"idempotency-key\"\n\
                    [create]\nmethod = \"POST\"\npath = \"/o\"\nreference = \"/id\"\n\
                    body = { t = \"{{title_en}}\" }\n";
        assert!(Mapping::parse(good).is_ok());
        for (from, to, said) in [
            (
                "idempotency_header = \"idempotency-key\"\n",
                "",
                "second order",
            ),
            ("{{title_en}}", "{{titel}}", "no fact"),
            ("reference = \"/id\"\n", "", "names the order"),
            ("\"/id\"", "\"id\"", "begin with a slash"),
            ("\"/o\"", "\"https://elsewhere/o\"", "begin with a slash"),
            ("\"POST\"", "\"GET\"", "unknown variant"),
        ] {
            let refused = format!("{:#}", Mapping::parse(&good.replace(from, to)).unwrap_err());
            assert!(refused.contains(said), "{refused}");
        }
    }
}
