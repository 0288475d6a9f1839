//! The short texts of `[notify]`: times by the clock of a plant, who stands in, steps of a chain.

use alerting::people::{Override, Step, Target, Unless, rota::at_wall};
use chrono::NaiveDateTime;
use chrono_tz::Tz;
use telemetry::PersonId;

use super::{super::parse_duration, id};

/// Reads a time zone of the IANA database.
pub(super) fn zone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no time zone; use a name such as Asia/Shanghai"))
}

/// Reads a time by a clock on the wall.
pub(super) fn wall(text: &str) -> Result<NaiveDateTime, String> {
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .ok_or_else(|| format!("{text:?} is no time such as 2026-01-05T08:00"))
}

/// Reads who stands in: `2026-12-24T08:00/2026-12-27T08:00 wang-li`, by the clock of the rota.
pub(super) fn stand_in(
    text: &str,
    zone: Tz,
    person: impl Fn(&str) -> Result<PersonId, String>,
) -> Result<Override, String> {
    let wrong = || format!("{text:?} is not of the form 2026-12-24T08:00/2026-12-27T08:00 person");
    let (span, who) = text.split_once(' ').ok_or_else(wrong)?;
    let (from, until) = span.split_once('/').ok_or_else(wrong)?;
    let (from, until) = (at_wall(zone, wall(from)?), at_wall(zone, wall(until)?));
    if until <= from {
        return Err(format!("{text:?} ends before it begins"));
    }
    Ok(Override {
        id: None,
        person: person(who.trim())?,
        from,
        until,
        by: None,
    })
}

/// Reads a step: a duration, `unacknowledged` (the default) or `unresolved`, and who is told:
/// `on_call`, `rota:ID`, `role:NAME`, `person:ID`, `channel:ID` or `assignee`.
pub(super) fn step(text: &str) -> Result<Step, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (after, unless, to) = match words.as_slice() {
        [after, to] => (*after, "unacknowledged", *to),
        [after, unless, to] => (*after, *unless, *to),
        _ => {
            return Err(format!(
                "{text:?} is no step such as \"2h unacknowledged role:regional_manager\""
            ));
        }
    };
    let unless = match unless {
        "unacknowledged" => Unless::Acknowledged,
        "unresolved" => Unless::Resolved,
        other => return Err(format!("{other:?}: use unacknowledged or unresolved")),
    };
    let to = match to.split_once(':') {
        None if to == "on_call" => Target::Rota(None),
        None if to == "assignee" => Target::Assignee,
        Some(("rota", name)) => Target::Rota(Some(id(name)?)),
        Some(("role", name)) if !name.is_empty() => Target::Role(name.to_owned()),
        Some(("person", name)) => Target::Person(id(name)?),
        Some(("channel", name)) => Target::Channel(id(name)?),
        _ => {
            return Err(format!(
                "{to:?}: use on_call, assignee, rota:ID, role:NAME, person:ID or channel:ID"
            ));
        }
    };
    Ok(Step {
        after: parse_duration(after)?,
        unless,
        to,
    })
}
