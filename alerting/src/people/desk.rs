//! What people do to cases beside acknowledging them: assign, comment, hand over.

use serde_json::json;
use telemetry::{CaseId, PersonId, Timestamp};

use crate::{
    AlertingError, Case, CaseDesk, CaseEventKind,
    desk::{Desk, Entry},
    store::person,
};

/// The longest comment in characters: about two printed pages, as for notes of orders.
const MAX_COMMENT_CHARS: usize = 4_000;

impl CaseDesk {
    /// Gives a case to somebody. Whoever had it before has it no longer.
    ///
    /// # Errors
    /// [`AlertingError::Invalid`] for a name that is empty or too long,
    /// [`AlertingError::NotFound`], [`AlertingError::Illegal`] for a closed case, and
    /// [`AlertingError::Database`].
    pub async fn assign(
        &self,
        case: &CaseId,
        to: &PersonId,
        by: &str,
        at: Timestamp,
    ) -> Result<Case, AlertingError> {
        let by = person(by)?;
        self.change(case, CaseEventKind::Assigned, |desk, batch| {
            let from = holder(desk, case);
            let entry =
                by_person(CaseEventKind::Assigned, by, at).with(json!({ "to": to, "from": from }));
            desk.step(case, entry, batch, |held| {
                held.case.assignee = Some(to.clone());
            })
        })
        .await
    }

    /// Hands a case on to somebody else, with what they have to know.
    ///
    /// # Errors
    /// As [`CaseDesk::assign`], and [`AlertingError::Invalid`] when nobody has the case, when the
    /// same person has it already, and for a note that is too long.
    pub async fn hand_over(
        &self,
        case: &CaseId,
        to: &PersonId,
        by: &str,
        note: &str,
        at: Timestamp,
    ) -> Result<Case, AlertingError> {
        let by = person(by)?;
        let note = text("note", note, 0)?;
        self.change(case, CaseEventKind::HandedOver, |desk, batch| {
            let from = holder(desk, case);
            match &from {
                None => return Err(invalid("to", "nobody has this case yet; assign it")),
                Some(from) if from == to => {
                    return Err(invalid("to", "this person has the case already"));
                }
                Some(_) => {}
            }
            let entry = by_person(CaseEventKind::HandedOver, by, at)
                .with(json!({ "to": to, "from": from, "note": note }));
            desk.step(case, entry, batch, |held| {
                held.case.assignee = Some(to.clone());
            })
        })
        .await
    }

    /// Writes a comment into the log of a case.
    ///
    /// # Errors
    /// As [`CaseDesk::assign`], and [`AlertingError::Invalid`] for a comment that is empty or too
    /// long.
    pub async fn comment(
        &self,
        case: &CaseId,
        by: &str,
        comment: &str,
        at: Timestamp,
    ) -> Result<Case, AlertingError> {
        let by = person(by)?;
        let comment = text("text", comment, 1)?;
        self.change(case, CaseEventKind::Commented, |desk, batch| {
            let entry =
                by_person(CaseEventKind::Commented, by, at).with(json!({ "text": comment }));
            desk.step(case, entry, batch, |_| ())
        })
        .await
    }

    /// Writes into the log of a case that the next step of its chain is told.
    ///
    /// # Errors
    /// As [`CaseDesk::assign`].
    pub(crate) async fn escalated(
        &self,
        case: &CaseId,
        detail: serde_json::Value,
        at: Timestamp,
    ) -> Result<Case, AlertingError> {
        self.change(case, CaseEventKind::Escalated, |desk, batch| {
            let entry = Entry::of(CaseEventKind::Escalated, at).with(detail);
            desk.step(case, entry, batch, |_| ())
        })
        .await
    }
}

fn holder(desk: &Desk, case: &CaseId) -> Option<PersonId> {
    desk.get(case)?.case.assignee.clone()
}

fn by_person(kind: CaseEventKind, by: &str, at: Timestamp) -> Entry {
    let mut entry = Entry::of(kind, at);
    entry.by = Some(by.to_owned());
    entry
}

fn invalid(field: &'static str, rule: &'static str) -> AlertingError {
    AlertingError::Invalid { field, rule }
}

/// What a person wrote: lines and tabs are theirs, other control characters are not.
fn text<'a>(field: &'static str, given: &'a str, least: usize) -> Result<&'a str, AlertingError> {
    let given = given.trim();
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let length = given.chars().count();
    if length < least || length > MAX_COMMENT_CHARS || !given.chars().all(is_plain) {
        return Err(invalid(
            field,
            "use at most 4000 characters without control characters, and not none",
        ));
    }
    Ok(given)
}
