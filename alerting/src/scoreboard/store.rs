//! What was recalibrated, when and why, in the file of the cases.

use sqlx::{Row, SqlitePool, sqlite::SqliteRow};
use telemetry::{AlertSource, AssetModelId, Explanation, FailureMode, RuleId, Timestamp};

use super::{
    patience::Kind,
    recalibrate::{Decision, Lever, Rise},
};
use crate::{AlertingError, CaseDesk};

/// Most entries in one answer.
const MAX_LISTED: u32 = 1_000;

/// One move of a limit or of a wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalibration {
    /// Its number.
    pub id: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Whose alerts.
    pub source: AlertSource,
    /// On assets of this kind.
    pub asset_model: AssetModelId,
    /// What was moved.
    pub lever: Lever,
    /// What was in force before: a factor or days.
    pub from: f64,
    /// What is since.
    pub to: f64,
    /// Why.
    pub because: Explanation,
    /// Who made it: `recalibration`, or the person who took one back.
    pub by: String,
    /// Which one it takes back.
    pub reverts: Option<u64>,
    /// Whether it was taken back.
    pub reverted: bool,
}

/// What is in force, and since when outcomes count.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Whose alerts.
    pub source: AlertSource,
    /// On assets of this kind.
    pub asset_model: AssetModelId,
    /// What was moved.
    pub lever: Lever,
    /// A factor, 1 where the limit was written, or days, 0 where nothing waits.
    pub value: f64,
    /// When a person took a move back last: what orders found before does not count again.
    pub taken_back_at: Option<Timestamp>,
}

impl Setting {
    /// How long alerts of a kind that rose so wait for themselves to pass, days; 0 where nothing was learned.
    pub fn patience(settings: &[Self], kind: &Kind, how: Rise) -> f64 {
        let (source, asset_model, mode) = kind;
        let own = settings.iter().find(|one| {
            let is_of = matches!(&one.lever, Lever::Patience { failure_mode, rise }
                if failure_mode == mode && *rise == how);
            is_of && one.source == *source && one.asset_model == *asset_model
        });
        own.map_or(0.0, |one| one.value)
    }
}

/// The recalibrations of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recalibrations {
    write: SqlitePool,
    read: SqlitePool,
}

const LIST: &str = "SELECT r.*, EXISTS (SELECT 1 FROM recalibrations o WHERE o.reverts = r.id) \
     AS reverted FROM recalibrations r WHERE ?1 IS NULL OR r.rule = ?1 ORDER BY r.id DESC LIMIT ?2";

impl Recalibrations {
    /// Those in the file of these cases.
    pub fn of(cases: &CaseDesk) -> Self {
        let (write, read) = cases.pools();
        Self {
            write: write.clone(),
            read: read.clone(),
        }
    }

    /// Those of every source, newest first.
    ///
    /// # Errors
    /// [`AlertingError::Database`] and [`AlertingError::Unreadable`].
    pub async fn list(&self) -> Result<Vec<Recalibration>, AlertingError> {
        self.listed(None).await
    }

    /// Those of one rule, newest first.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn of_rule(&self, rule: &RuleId) -> Result<Vec<Recalibration>, AlertingError> {
        self.listed(Some(rule.as_str())).await
    }

    async fn listed(&self, rule: Option<&str>) -> Result<Vec<Recalibration>, AlertingError> {
        let rows = sqlx::query(LIST)
            .bind(rule)
            .bind(MAX_LISTED)
            .fetch_all(&self.read)
            .await;
        rows.map_err(failed)?.iter().map(recalibration).collect()
    }

    /// Everything that was ever moved, as it is in force.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn settings(&self) -> Result<Vec<Setting>, AlertingError> {
        let rows = sqlx::query(
            "SELECT r.rule, r.asset_model, r.failure_mode, r.abrupt, r.to_factor, \
             (SELECT max(o.at) FROM recalibrations o WHERE o.rule = r.rule \
              AND o.asset_model = r.asset_model AND o.failure_mode = r.failure_mode \
              AND o.abrupt = r.abrupt AND o.reverts IS NOT NULL) AS taken_back_at \
             FROM recalibrations r WHERE r.id = (SELECT max(o.id) FROM recalibrations o \
             WHERE o.rule = r.rule AND o.asset_model = r.asset_model \
             AND o.failure_mode = r.failure_mode AND o.abrupt = r.abrupt) \
             ORDER BY r.rule, r.asset_model, r.failure_mode, r.abrupt",
        )
        .fetch_all(&self.read)
        .await;
        let setting = |row: &SqliteRow| {
            let taken_back: Option<i64> = row.try_get("taken_back_at").map_err(failed)?;
            Ok(Setting {
                source: source_of(row)?,
                asset_model: model_of(row)?,
                lever: lever_of(row)?,
                value: row.try_get("to_factor").map_err(failed)?,
                taken_back_at: taken_back.map(Timestamp::from_micros),
            })
        };
        rows.map_err(failed)?.iter().map(setting).collect()
    }

    /// Notes a move that has been told to the journal.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn note(
        &self,
        decision: &Decision,
        by: &str,
        at: Timestamp,
        reverts: Option<u64>,
    ) -> Result<(), AlertingError> {
        sqlx::query(
            "INSERT INTO recalibrations (at, rule, asset_model, from_factor, to_factor, \
             because_en, because_zh, by, reverts, failure_mode, abrupt) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .bind(at.as_micros())
        .bind(decision.source.rule().map_or("", |rule| rule.as_str()))
        .bind(decision.asset_model.as_str())
        .bind(decision.from)
        .bind(decision.to)
        .bind(&decision.because.en)
        .bind(&decision.because.zh)
        .bind(crate::store::person(by)?)
        .bind(reverts.map(|id| id as i64))
        .bind(match &decision.lever {
            Lever::Limit => "",
            Lever::Patience { failure_mode, .. } => failure_mode.as_str(),
        })
        .bind(matches!(
            &decision.lever,
            Lever::Patience {
                rise: Rise::Abrupt,
                ..
            }
        ))
        .execute(&self.write)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// What takes a move back: the newest of its source and kind of machine; none when there is
    /// no such, or it is not the newest, or it takes one back itself.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn undo(&self, id: u64) -> Result<Option<Decision>, AlertingError> {
        let all = self.list().await?;
        let Some(known) = all.iter().find(|one| one.id == id) else {
            return Ok(None);
        };
        let newest = all.iter().find(|one| {
            (&one.source, &one.asset_model, &one.lever)
                == (&known.source, &known.asset_model, &known.lever)
        });
        if newest != Some(known) || known.reverts.is_some() {
            return Ok(None);
        }
        Ok(Some(Decision {
            source: known.source.clone(),
            asset_model: known.asset_model.clone(),
            lever: known.lever.clone(),
            from: known.to,
            to: known.from,
            because: undone(known),
        }))
    }
}

fn undone(known: &Recalibration) -> Explanation {
    let (from, to) = (known.to, known.from);
    let (unit, what_zh, unit_zh) = match known.lever {
        Lever::Limit => ("", "系数", ""),
        Lever::Patience { .. } => (" days", "等待时间", " 天"),
    };
    Explanation {
        en: format!(
            "A person took the last move back: from {from:.2} to {to:.2}{unit}. What orders found \
             before does not count again."
        ),
        zh: format!(
            "人工撤销上一次调整：{what_zh}由 {from:.2} 恢复为 {to:.2}{unit_zh}。此前的工单结论不再计入。"
        ),
    }
}

fn failed(source: sqlx::Error) -> AlertingError {
    AlertingError::Database {
        doing: "reading or writing recalibrations".to_owned(),
        source,
    }
}

fn unreadable(column: &'static str, value: &str) -> AlertingError {
    AlertingError::Unreadable {
        row: "a recalibration".to_owned(),
        column,
        value: value.chars().take(80).collect(),
    }
}

fn source_of(row: &SqliteRow) -> Result<AlertSource, AlertingError> {
    let rule: String = row.try_get("rule").map_err(failed)?;
    if rule.is_empty() {
        return Ok(AlertSource::Model);
    }
    let rule = RuleId::new(&rule).map_err(|_| unreadable("rule", &rule))?;
    Ok(AlertSource::Rule { rule })
}

fn model_of(row: &SqliteRow) -> Result<AssetModelId, AlertingError> {
    let model: String = row.try_get("asset_model").map_err(failed)?;
    AssetModelId::new(&model).map_err(|_| unreadable("asset_model", &model))
}

fn lever_of(row: &SqliteRow) -> Result<Lever, AlertingError> {
    let mode: String = row.try_get("failure_mode").map_err(failed)?;
    if mode.is_empty() {
        return Ok(Lever::Limit);
    }
    let failure_mode = FailureMode::new(&mode).map_err(|_| unreadable("failure_mode", &mode))?;
    let is_abrupt: bool = row.try_get("abrupt").map_err(failed)?;
    let rise = if is_abrupt {
        Rise::Abrupt
    } else {
        Rise::Gradual
    };
    Ok(Lever::Patience { failure_mode, rise })
}

fn recalibration(row: &SqliteRow) -> Result<Recalibration, AlertingError> {
    let id: i64 = row.try_get("id").map_err(failed)?;
    let reverts: Option<i64> = row.try_get("reverts").map_err(failed)?;
    Ok(Recalibration {
        id: id as u64,
        at: Timestamp::from_micros(row.try_get("at").map_err(failed)?),
        source: source_of(row)?,
        asset_model: model_of(row)?,
        lever: lever_of(row)?,
        from: row.try_get("from_factor").map_err(failed)?,
        to: row.try_get("to_factor").map_err(failed)?,
        because: Explanation {
            en: row.try_get("because_en").map_err(failed)?,
            zh: row.try_get("because_zh").map_err(failed)?,
        },
        by: row.try_get("by").map_err(failed)?,
        reverts: reverts.map(|id| id as u64),
        reverted: row.try_get("reverted").map_err(failed)?,
    })
}
