//! `[notify]`: who is told, when and how.

mod parse;
#[cfg(test)]
mod tests;

use alerting::{
    notify::{Channel, ChannelKind, Office, mail},
    people::{Chain, Directory, Language, Person, Rota, Target, chain::MAX_STEPS},
};
use serde::Serialize;
use telemetry::Severity;

use super::{
    ConfigError, Keys,
    layers::{Setting, Value},
    sections::word,
    values::FromValue,
};

/// The most people, channels, rotas or chains each; a plant has some dozens.
const MAX_ENTRIES: usize = 1_000;

/// `[notify]`: people, channels, rotas and chains.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Notify {
    /// `link`: where people reach the pages, such as `https://bellwether.plant.example`; without
    /// it messages hold no links.
    pub(crate) link: Option<String>,
    /// `source`: what signed webhooks name as the sender of their events.
    pub(crate) source: String,
    /// `[[notify.person]]`, `[[notify.rota]]`, `[[notify.chain]]` and `[[notify.channel]]`.
    pub(crate) office: Office,
}

const LANGUAGES: [(&str, Language); 2] = [("en", Language::En), ("zh", Language::Zh)];

impl Notify {
    pub(super) fn take(keys: &mut Keys) -> Result<Self, ConfigError> {
        let link = keys.checked("notify.link", |value| {
            let link = String::from_value(value)?;
            if link.starts_with("http://") || link.starts_with("https://") {
                return Ok(link);
            }
            Err("use an address that begins with http:// or https://".to_owned())
        })?;
        let source = keys.or("notify.source", "urn:bellwether".to_owned())?;
        let mut office = Office::default();
        for at in entries(keys, "channel") {
            let channel = channel(keys, &format!("notify.channel.{at}"))?;
            office.channels.0.insert(channel.id.clone(), channel);
        }
        for at in entries(keys, "person") {
            let person = person(keys, &format!("notify.person.{at}"), &office)?;
            office.directory.people.insert(person.id.clone(), person);
        }
        for at in entries(keys, "rota") {
            let rota = rota(keys, &format!("notify.rota.{at}"), &office.directory)?;
            office.directory.rotas.push(rota);
        }
        for at in entries(keys, "chain") {
            let chain = chain(keys, &format!("notify.chain.{at}"), &office)?;
            office.directory.chains.push(chain);
        }
        // Where nobody can be told, no chain goes on.
        if office.directory.chains.is_empty() && !office.directory.people.is_empty() {
            office.directory.chains = Chain::defaults();
        }
        Ok(Self {
            link: link.map(|(link, _)| link),
            source,
            office,
        })
    }
}

fn entries(keys: &Keys, list: &str) -> Vec<usize> {
    let mut positions = keys.positions(&format!("notify.{list}"));
    positions.truncate(MAX_ENTRIES);
    positions
}

/// Takes a key that has to be there and is read by `read`.
fn wanted<T>(
    keys: &mut Keys,
    table: &str,
    name: &str,
    problem: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let key = format!("{table}.{name}");
    let setting = keys.peek(&key);
    let text: String = keys.required(&format!("{table}."), &key, problem)?;
    read(&text).map_err(|problem| invalid(key, setting, problem))
}

/// Takes a key that may be there and is read by `read`.
fn maybe<T>(
    keys: &mut Keys,
    table: &str,
    name: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let found = keys.checked(&format!("{table}.{name}"), |value: &Value| {
        read(&String::from_value(value)?)
    })?;
    Ok(found.map(|(value, _)| value))
}

/// Takes a list, each entry read by `read`; empty when the key is not there.
fn list<T>(
    keys: &mut Keys,
    table: &str,
    name: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfigError> {
    let found = keys.checked(&format!("{table}.{name}"), |value: &Value| {
        let texts = Vec::<String>::from_value(value)?;
        texts.iter().map(|text| read(text)).collect()
    })?;
    Ok(found.map_or_else(Vec::new, |(values, _)| values))
}

fn invalid(key: String, setting: Option<Setting>, problem: String) -> ConfigError {
    match setting {
        Some(setting) => ConfigError::Invalid {
            key,
            setting: Box::new(setting),
            problem,
        },
        None => ConfigError::Invalid {
            key,
            setting: Box::new(Setting {
                value: Value::List(Vec::new()),
                source: super::Source::Flag("--set".to_owned()),
            }),
            problem,
        },
    }
}

/// Reads an id.
fn id<T: std::str::FromStr<Err = telemetry::InvalidId>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: telemetry::InvalidId| error.to_string())
}

/// `[[notify.channel]]`: `id`, `kind`, `url` and `secret` (better as `…__URL_FILE` and
/// `…__SECRET_FILE`), `from` for mail, `allow_private`, and `language` of a group that reads it.
fn channel(keys: &mut Keys, table: &str) -> Result<Channel, ConfigError> {
    let name = wanted(
        keys,
        table,
        "id",
        "a channel needs an id such as \"mail\"",
        id,
    )?;
    let kinds = ChannelKind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = word(keys, &format!("{table}.kind"), &kinds, ChannelKind::Webhook)?;
    let url = wanted(keys, table, "url", "a channel needs an address", |url| {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        match kind {
            ChannelKind::Smtp => mail::check_url(url).map_err(|error| {
                format!(
                    "{error}; use smtp://host:25, smtps://host:465 or smtp://host:587?tls=required"
                )
            })?,
            _ if !is_web => return Err("use https://".to_owned()),
            _ => {}
        }
        Ok(url.to_owned())
    })?;
    let plain = |text: &str| Ok(text.to_owned());
    Ok(Channel {
        id: name,
        kind,
        url,
        secret: maybe(keys, table, "secret", plain)?.filter(|secret: &String| !secret.is_empty()),
        from: maybe(keys, table, "from", address)?,
        allow_private: keys.or(&format!("{table}.allow_private"), false)?,
        language: word(keys, &format!("{table}.language"), &LANGUAGES, Language::En)?,
    })
}

fn address(text: &str) -> Result<String, String> {
    mail::check_address(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// `[[notify.person]]`: `id`, `name`, `email`, `language`, `roles`, `sites`, `channel` and
/// `urgent_channel`.
fn person(keys: &mut Keys, table: &str, office: &Office) -> Result<Person, ConfigError> {
    let of_channel = |text: &str| {
        let id = id(text)?;
        match office.channels.get(&id) {
            Some(_) => Ok(id),
            None => Err("there is no [[notify.channel]] with this id".to_owned()),
        }
    };
    let setting = keys.peek(&format!("{table}.id"));
    let name = wanted(
        keys,
        table,
        "id",
        "a person needs an id such as \"wang-li\"",
        id,
    )?;
    let person = Person {
        name: maybe(keys, table, "name", |text| Ok(text.to_owned()))?
            .unwrap_or_else(|| telemetry::PersonId::to_string(&name)),
        id: name,
        roles: list(keys, table, "roles", |text| Ok(text.to_owned()))?,
        sites: list(keys, table, "sites", id)?,
        language: word(keys, &format!("{table}.language"), &LANGUAGES, Language::En)?,
        email: maybe(keys, table, "email", address)?,
        channel: wanted(keys, table, "channel", "say how they are told", of_channel)?,
        urgent_channel: maybe(keys, table, "urgent_channel", of_channel)?,
    };
    let is_mail = |id| office.channels.get(id).map(|one| one.kind) == Some(ChannelKind::Smtp);
    let by_mail = is_mail(&person.channel) || person.urgent_channel.as_ref().is_some_and(is_mail);
    if person.email.is_none() && by_mail {
        let problem = "this person is told by mail and has no email".to_owned();
        return Err(invalid(format!("{table}.id"), setting, problem));
    }
    Ok(person)
}

/// `[[notify.rota]]`: `id`, `time_zone`, `first_turn`, `days`, `members`, `sites`, `overrides`.
fn rota(keys: &mut Keys, table: &str, directory: &Directory) -> Result<Rota, ConfigError> {
    let known = |text: &str| known_person(text, directory);
    let setting = keys.peek(&format!("{table}.id"));
    let name = wanted(
        keys,
        table,
        "id",
        "a rota needs an id such as \"plant\"",
        id,
    )?;
    let time_zone = maybe(keys, table, "time_zone", parse::zone)?.unwrap_or(chrono_tz::Tz::UTC);
    let rota = Rota {
        id: name,
        time_zone,
        first_turn: wanted(
            keys,
            table,
            "first_turn",
            "say when the first turn begins, such as \"2026-01-05T08:00\"",
            parse::wall,
        )?,
        days: keys.ranged(&format!("{table}.days"), 7, 1..=366)? as u16,
        members: list(keys, table, "members", known)?,
        sites: list(keys, table, "sites", id)?,
        overrides: list(keys, table, "overrides", |text| {
            parse::stand_in(text, time_zone, known)
        })?,
    };
    if rota.members.is_empty() {
        let problem = "a rota needs members".to_owned();
        return Err(invalid(format!("{table}.members"), setting, problem));
    }
    Ok(rota)
}

fn known_person(text: &str, directory: &Directory) -> Result<telemetry::PersonId, String> {
    let id = id(text)?;
    if directory.people.contains_key(&id) {
        return Ok(id);
    }
    Err(format!(
        "there is no [[notify.person]] with the id {text:?}"
    ))
}

/// `[[notify.chain]]`: `id`, `severity`, `sites`, `steps`.
fn chain(keys: &mut Keys, table: &str, office: &Office) -> Result<Chain, ConfigError> {
    let severities = [
        ("watch", Severity::Watch),
        ("warning", Severity::Warning),
        ("critical", Severity::Critical),
    ];
    let setting = keys.peek(&format!("{table}.id"));
    let chain = Chain {
        id: wanted(
            keys,
            table,
            "id",
            "a chain needs an id such as \"urgent\"",
            id,
        )?,
        severity: word(
            keys,
            &format!("{table}.severity"),
            &severities,
            Severity::Warning,
        )?,
        sites: list(keys, table, "sites", id)?,
        steps: list(keys, table, "steps", |text| {
            let step = parse::step(text)?;
            match &step.to {
                Target::Person(id) if !office.directory.people.contains_key(id) => {
                    Err(format!("there is no [[notify.person]] with the id {id}"))
                }
                Target::Channel(id) if office.channels.get(id).is_none() => {
                    Err(format!("there is no [[notify.channel]] with the id {id}"))
                }
                Target::Rota(Some(id)) if office.directory.rota(id).is_none() => {
                    Err(format!("there is no [[notify.rota]] with the id {id}"))
                }
                _ => Ok(step),
            }
        })?,
    };
    if chain.steps.is_empty() || chain.steps.len() > MAX_STEPS {
        let problem = format!("a chain has 1 to {MAX_STEPS} steps");
        return Err(invalid(format!("{table}.steps"), setting, problem));
    }
    Ok(chain)
}
