//! Models and promotions as rows.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use telemetry::{AssetModelId, Timestamp};

use super::{ModelCard, NewModel, Promotion, checksum_of};
use crate::error::{During, HistorianError};

/// Writes a model as the next version of its kind, or finds the version it is already.
pub(super) fn put(tx: &Transaction<'_>, new: NewModel) -> Result<ModelCard, HistorianError> {
    const ACTION: &str = "keep a model";
    let checksum = checksum_of(&new.bytes);
    let known: Option<u32> = tx
        .query_row(
            "SELECT version FROM models WHERE asset_model = ? AND checksum = ?",
            params![new.asset_model.as_str(), checksum],
            |row| row.get(0),
        )
        .optional()
        .during(ACTION)?;
    if let Some(version) = known
        && let Some(card) = get(tx, &new.asset_model, version)?
    {
        return Ok(card);
    }
    let version: u32 = tx
        .query_row(
            "SELECT coalesce(max(version), 0) + 1 FROM models WHERE asset_model = ?",
            [new.asset_model.as_str()],
            |row| row.get(0),
        )
        .during(ACTION)?;
    let card = ModelCard {
        asset_model: new.asset_model,
        version,
        checksum,
        bytes: new.bytes.len() as u64,
        trained_at: new.trained_at,
        provenance: new.provenance,
        features: new.features,
        metrics: new.metrics,
        calibration: new.calibration,
    };
    tx.execute(
        "INSERT OR IGNORE INTO model_files (checksum, bytes) VALUES (?, ?)",
        params![card.checksum, new.bytes],
    )
    .during(ACTION)?;
    let text = serde_json::to_string(&card).map_err(|source| HistorianError::Encode {
        what: "the card of a model",
        source,
    })?;
    tx.execute(
        "INSERT INTO models (asset_model, version, checksum, card) VALUES (?, ?, ?, ?)",
        params![card.asset_model.as_str(), version, card.checksum, text],
    )
    .during(ACTION)?;
    Ok(card)
}

/// One version of a kind.
pub(super) fn get(
    connection: &Connection,
    asset_model: &AssetModelId,
    version: u32,
) -> Result<Option<ModelCard>, HistorianError> {
    let found: Option<String> = connection
        .query_row(
            "SELECT card FROM models WHERE asset_model = ? AND version = ?",
            params![asset_model.as_str(), version],
            |row| row.get(0),
        )
        .optional()
        .during("read the card of a model")?;
    found.map(|text| card(&text, version)).transpose()
}

/// The versions of a kind, or of all, newest first.
pub(super) fn list(
    connection: &Connection,
    asset_model: Option<&AssetModelId>,
    limit: u32,
) -> Result<Vec<ModelCard>, HistorianError> {
    const ACTION: &str = "list models";
    let mut statement = connection
        .prepare(
            "SELECT card, version FROM models WHERE ?1 IS NULL OR asset_model = ?1
             ORDER BY asset_model, version DESC LIMIT ?2",
        )
        .during(ACTION)?;
    let rows = statement
        .query_map(
            params![asset_model.map(AssetModelId::as_str), limit],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)),
        )
        .during(ACTION)?;
    let mut cards = Vec::new();
    for row in rows {
        let (text, version) = row.during(ACTION)?;
        cards.push(card(&text, version)?);
    }
    Ok(cards)
}

fn card(text: &str, version: u32) -> Result<ModelCard, HistorianError> {
    serde_json::from_str(text).map_err(|error| HistorianError::Corrupt {
        what: "card of model version",
        id: u64::from(version),
        reason: error.to_string(),
    })
}

/// The promotions of a kind, or of all, newest first.
pub(super) fn promotions(
    connection: &Connection,
    asset_model: Option<&AssetModelId>,
    limit: u32,
) -> Result<Vec<Promotion>, HistorianError> {
    const ACTION: &str = "list promotions";
    let mut statement = connection
        .prepare(
            "SELECT asset_model, version, checksum, at, by, note FROM promotions
             WHERE ?1 IS NULL OR asset_model = ?1 ORDER BY number DESC LIMIT ?2",
        )
        .during(ACTION)?;
    let rows = statement
        .query_map(
            params![asset_model.map(AssetModelId::as_str), limit],
            promotion,
        )
        .during(ACTION)?;
    rows.collect::<Result<_, _>>().during(ACTION)
}

fn promotion(row: &Row<'_>) -> rusqlite::Result<Promotion> {
    Ok(Promotion {
        asset_model: id(row, 0)?,
        version: row.get(1)?,
        checksum: row.get(2)?,
        at: Timestamp::from_micros(row.get(3)?),
        by: row.get(4)?,
        note: row.get(5)?,
    })
}

/// A kind of machine in a column.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<AssetModelId> {
    let text: String = row.get(column)?;
    AssetModelId::new(&text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}
