//! What is written within a transaction of somebody else.

use sqlx::SqliteConnection;
use telemetry::{CaseId, MessageId, Severity, Timestamp};

use super::TRIED_FOR;
use crate::{
    AlertingError,
    notify::{
        message::{Content, Kind, MAX_DIGEST_LINES, Message, message_id},
        rows,
    },
    people::Escalation,
    store::failed,
};

/// Writes a message; one that is there already stays as it is.
pub(in crate::notify) async fn insert(
    connection: &mut SqliteConnection,
    message: &Message,
) -> Result<(), AlertingError> {
    let doing = format!("writing notification {}", message.id);
    let json = serde_json::to_string(message).map_err(|error| AlertingError::Database {
        doing: doing.clone(),
        source: sqlx::Error::Encode(Box::new(error)),
    })?;
    let joins = matches!(message.kind, Kind::Opened | Kind::Risen | Kind::Escalated);
    let case = message.content.case().map(|facts| facts.case.to_string());
    sqlx::query(
        "INSERT OR IGNORE INTO notifications (id, kind, recipient, channel, case_id, part,
             severity, joins, message, state, claimed, attempts, created_at, next_at, deadline_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, 0, ?, ?, ?)",
    )
    .bind(message.id.as_str())
    .bind(message.kind.as_str())
    .bind(message.recipient.key())
    .bind(message.channel.as_str())
    .bind(case)
    .bind(message.content.group())
    .bind(message.content.severity().map(Severity::as_str))
    .bind(joins)
    .bind(json)
    .bind(message.at.as_micros())
    .bind(message.at.as_micros())
    .bind((message.at + TRIED_FOR).as_micros())
    .execute(connection)
    .await
    .map_err(failed(&doing))?;
    Ok(())
}

/// Claims a message: from now on it may have arrived.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    id: &MessageId,
    now: Timestamp,
) -> Result<(), AlertingError> {
    sqlx::query("UPDATE notifications SET claimed = 1, next_at = ? WHERE id = ?")
        .bind(now.as_micros())
        .bind(id.as_str())
        .execute(connection)
        .await
        .map_err(failed(&format!("claiming notification {id}")))?;
    Ok(())
}

/// Tells messages to one recipient together, and claims the digest.
pub(super) async fn gather(
    connection: &mut SqliteConnection,
    ids: &[MessageId],
    now: Timestamp,
) -> Result<(), AlertingError> {
    let doing = "gathering notifications";
    let (mut critical, mut first, mut sample) = (0, Vec::new(), None);
    for id in ids {
        let row = sqlx::query("SELECT * FROM notifications WHERE id = ?")
            .bind(id.as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(doing))?;
        let one = rows::sending(&row)?;
        if one.message.content.severity() == Some(Severity::Critical) {
            critical += 1;
        }
        // The most urgent come first in `ids`.
        if let (Content::Case { facts, .. }, true) =
            (&one.message.content, first.len() < MAX_DIGEST_LINES)
        {
            first.push((**facts).clone());
        }
        sample.get_or_insert(one.message);
    }
    let Some(sample) = sample else {
        return Ok(());
    };
    let (count, about) = (ids.len() as u64, ids[0].as_str());
    let id = message_id(about, "digest", &sample.recipient, &sample.channel);
    let digest = Message {
        id: id.clone(),
        kind: Kind::Digest,
        content: Content::Digest {
            count,
            critical,
            first,
        },
        at: now,
        ..sample
    };
    insert(connection, &digest).await?;
    claim(connection, &id, now).await?;
    for told in ids {
        sqlx::query("UPDATE notifications SET state = 'digested', digest = ? WHERE id = ?")
            .bind(id.as_str())
            .bind(told.as_str())
            .execute(&mut *connection)
            .await
            .map_err(failed(doing))?;
    }
    Ok(())
}

/// Writes where a case stands in its chain.
pub(in crate::notify) async fn put_escalation(
    connection: &mut SqliteConnection,
    case: &CaseId,
    state: &Escalation,
) -> Result<(), AlertingError> {
    let told: Vec<(u16, i64)> = state
        .told
        .iter()
        .map(|(step, at)| (*step, at.as_micros()))
        .collect();
    sqlx::query(
        "INSERT OR REPLACE INTO escalations (case_id, chain, since, acknowledged_at, resolved_at,
             closed, told) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(case.as_str())
    .bind(state.chain.as_str())
    .bind(state.since.as_micros())
    .bind(state.acknowledged_at.map(Timestamp::as_micros))
    .bind(state.resolved_at.map(Timestamp::as_micros))
    .bind(state.closed)
    .bind(serde_json::json!(told).to_string())
    .execute(connection)
    .await
    .map_err(failed(&format!("writing the escalation of case {case}")))?;
    Ok(())
}
