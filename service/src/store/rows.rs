//! Between rows and values. Whatever cannot be read back is an error that names the row.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::{Row, sqlite::SqliteRow};
use telemetry::{
    AssetId, CredentialId, DeviceId, FailureMode, Outcome, SignalLimits, Timestamp, WorkOrderClosed,
};

use super::{
    credentials::quota,
    registry::{DeviceEntry, StoredCredential},
};
use crate::{
    Asset, Backtest, BacktestState, CredentialKind, Customer, CustomerRef, Device, DeviceSignal,
    EndOnRecord, EndedOrder, Engineer, Found, LogEntry, Name, NewBacktest, Note, OrderCosts,
    Prices, ServiceError, Site, SiteRef, WorkOrder, WorkOrderKind, WorkOrderStatus,
    onboard::KnownAsset, work_order::order_id,
};

/// Reads the columns of one row.
struct Reader<'a> {
    row: &'a SqliteRow,
    name: &'static str,
}

impl<'a> Reader<'a> {
    fn get<T>(&self, column: &'static str) -> Result<T, ServiceError>
    where
        T: sqlx::Type<sqlx::Sqlite> + sqlx::Decode<'a, sqlx::Sqlite>,
    {
        self.row
            .try_get(column)
            .map_err(|source| ServiceError::Database {
                doing: format!("reading {column} of {}", self.name),
                source,
            })
    }

    fn unreadable(&self, column: &'static str, value: &str) -> ServiceError {
        ServiceError::Unreadable {
            row: self.name.to_owned(),
            column,
            value: value.chars().take(80).collect(),
        }
    }

    fn word<T: FromStr>(&self, column: &'static str) -> Result<T, ServiceError> {
        let text: &str = self.get(column)?;
        text.parse().map_err(|_| self.unreadable(column, text))
    }

    fn maybe_word<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, ServiceError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| self.unreadable(column, text)))
            .transpose()
    }

    fn unit(&self, column: &'static str) -> Result<Option<telemetry::Unit>, ServiceError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| telemetry::Unit::parse(text).map_err(|_| self.unreadable(column, text)))
            .transpose()
    }

    fn named<T>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ServiceError> {
        let text: &str = self.get(column)?;
        parse(text).ok_or_else(|| self.unreadable(column, text))
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, ServiceError> {
        Ok(Timestamp::from_micros(self.get(column)?))
    }

    fn maybe_time(&self, column: &'static str) -> Result<Option<Timestamp>, ServiceError> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_micros))
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, ServiceError> {
        let text: &str = self.get(column)?;
        serde_json::from_str(text).map_err(|_| self.unreadable(column, text))
    }

    fn maybe_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, ServiceError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|_| self.unreadable(column, text)))
            .transpose()
    }
}

/// A row of `customers`.
pub(super) fn customer(row: &SqliteRow) -> Result<Customer, ServiceError> {
    let read = Reader {
        row,
        name: "a customer",
    };
    Ok(Customer {
        id: read.word("id")?,
        name: read.word("name")?,
        created_at: read.time("created_at")?,
    })
}

/// A row of `sites`.
pub(super) fn site(row: &SqliteRow) -> Result<Site, ServiceError> {
    let read = Reader {
        row,
        name: "a site",
    };
    Ok(Site {
        id: read.word("id")?,
        customer: read.word("customer")?,
        name: read.word("name")?,
        time_zone: read.word("time_zone")?,
        created_at: read.time("created_at")?,
    })
}

/// A row of `engineers`.
pub(super) fn engineer(row: &SqliteRow) -> Result<Engineer, ServiceError> {
    let read = Reader {
        row,
        name: "an engineer",
    };
    Ok(Engineer {
        id: read.word("id")?,
        name: read.word("name")?,
        skills: read.json("skills")?,
    })
}

/// A row of `devices`.
pub(super) fn device(row: &SqliteRow) -> Result<Device, ServiceError> {
    let read = Reader {
        row,
        name: "a device",
    };
    Ok(Device {
        id: read.word("id")?,
        asset: read.maybe_word("asset")?,
        registered_at: read.time("registered_at")?,
    })
}

/// What a row of `devices` declares, without the asset and the signals.
pub(super) fn device_terms(row: &SqliteRow) -> Result<(DeviceId, DeviceEntry), ServiceError> {
    let read = Reader {
        row,
        name: "a device",
    };
    let entry = DeviceEntry {
        quota: quota(read.get("quota_messages")?, read.get("quota_bytes")?).unwrap_or_default(),
        topic_prefix: read.maybe_word("topic_prefix")?,
        ..DeviceEntry::default()
    };
    Ok((read.word("id")?, entry))
}

/// A row of `device_signals`.
pub(super) fn device_signal(row: &SqliteRow) -> Result<(DeviceId, DeviceSignal), ServiceError> {
    let read = Reader {
        row,
        name: "a declared signal",
    };
    let signal = DeviceSignal {
        name: read.word("name")?,
        signal: read.maybe_word("signal")?,
        unit: read.unit("unit")?,
        limits: SignalLimits {
            min: read.get("min")?,
            max: read.get("max")?,
            max_rate_per_s: read.get("max_rate_per_s")?,
            stuck_after_s: read.get("stuck_after_s")?,
        },
    };
    Ok((read.word("device")?, signal))
}

/// A row of `device_credentials`.
pub(super) fn credential(
    row: &SqliteRow,
    id: CredentialId,
) -> Result<StoredCredential, ServiceError> {
    let read = Reader {
        row,
        name: "a credential",
    };
    let hash: Option<Vec<u8>> = read.get("sha256")?;
    let hash = hash
        .map(|bytes| {
            <[u8; 32]>::try_from(bytes).map_err(|_| read.unreadable("sha256", "of another length"))
        })
        .transpose()?;
    Ok(StoredCredential {
        id,
        device: read.word("device")?,
        kind: read.named("kind", CredentialKind::parse)?,
        sha256: hash,
        topic_prefix: read.maybe_word("topic_prefix")?,
        quota: quota(read.get("quota_messages")?, read.get("quota_bytes")?),
        created_at: read.time("created_at")?,
        last_used_at: read.maybe_time("last_used_at")?,
        revoked_at: read.maybe_time("revoked_at")?,
    })
}

/// A row of `assets` alone.
pub(super) fn known_asset(row: &SqliteRow) -> Result<(AssetId, KnownAsset), ServiceError> {
    let read = Reader {
        row,
        name: "an asset",
    };
    let asset = KnownAsset {
        name: read.word("name")?,
        model: read.word("model")?,
        site: Some(read.word("site")?),
    };
    Ok((read.word("id")?, asset))
}

/// A row of `assets` joined with its site, its customer and its devices as a JSON list.
pub(super) fn asset(row: &SqliteRow) -> Result<Asset, ServiceError> {
    let read = Reader {
        row,
        name: "an asset",
    };
    let mut devices: Vec<DeviceId> = read.json("devices")?;
    devices.sort_unstable();
    Ok(Asset {
        id: read.word("id")?,
        name: read.word("name")?,
        model: read.word("model")?,
        customer: CustomerRef {
            id: read.word("customer_id")?,
            name: read.word("customer_name")?,
        },
        site: SiteRef {
            id: read.word("site_id")?,
            name: read.word("site_name")?,
            time_zone: read.word("site_time_zone")?,
        },
        parent: read.maybe_word("parent")?,
        discovered: read.get("discovered")?,
        registered_at: read.time("registered_at")?,
        devices,
    })
}

/// A row of `work_orders` joined with the names of its asset and its engineer.
pub(super) fn work_order(row: &SqliteRow) -> Result<WorkOrder, ServiceError> {
    let read = Reader {
        row,
        name: "a work order",
    };
    Ok(WorkOrder {
        id: order_id(read.get("number")?),
        asset: read.word("asset")?,
        asset_name: read.word("asset_name")?,
        case: read.maybe_word("case_id")?,
        kind: read.named("kind", WorkOrderKind::parse)?,
        status: read.named("status", WorkOrderStatus::parse)?,
        severity: read.maybe_word("severity")?,
        failure_mode: read.maybe_word("failure_mode")?,
        opened_at: read.maybe_time("opened_at")?,
        signals: read.json("signals")?,
        signal: read.maybe_word("signal")?,
        priority: read.get("priority")?,
        due_from: read.maybe_time("due_from")?,
        due_by: read.maybe_time("due_by")?,
        plan: read.maybe_json("plan")?,
        costs: read.maybe_json("costs")?,
        date: read.maybe_json("date")?,
        engineer: read.maybe_word("engineer")?,
        engineer_name: read.maybe_word("engineer_name")?,
        scheduled_for: read.maybe_time("scheduled_for")?,
        outcome: read.maybe_word("outcome")?,
        found_mode: read.maybe_word("found_mode")?,
        part: read.maybe_word("part")?,
        done_at: read.maybe_time("done_at")?,
        note: read.word("note")?,
        created_at: read.time("created_at")?,
        updated_at: read.time("updated_at")?,
    })
}

/// A row of `work_order_log`.
pub(super) fn log_entry(row: &SqliteRow) -> Result<LogEntry, ServiceError> {
    let read = Reader {
        row,
        name: "the log of a work order",
    };
    let from: Option<&str> = read.get("from_status")?;
    Ok(LogEntry {
        at: read.time("at")?,
        by: read.word("actor")?,
        from: from.and_then(WorkOrderStatus::parse),
        to: read.named("to_status", WorkOrderStatus::parse)?,
        note: read.word("note")?,
    })
}

/// A row of `work_orders` whose order has ended, with the note of the last log entry.
pub(super) fn closed(row: &SqliteRow) -> Result<WorkOrderClosed, ServiceError> {
    let read = Reader {
        row,
        name: "an ended work order",
    };
    let outcome = read.maybe_word("outcome")?;
    let (said, expected) = (
        read.maybe_word("found_mode")?,
        read.maybe_word("failure_mode")?,
    );
    Ok(WorkOrderClosed {
        work_order: order_id(read.get("number")?),
        asset: read.word("asset")?,
        case: read.maybe_word("case_id")?,
        failure_mode: outcome.and_then(|outcome| Found::failure_mode(outcome, said, expected)),
        outcome,
        part: read
            .maybe_word::<Name>("part")?
            .map(|part| part.to_string()),
        at: read.time("updated_at")?,
        note: read.word::<Note>("closing_note")?.to_string(),
    })
}

/// An ended order joined with its asset and customer, for the savings ledger.
pub(super) fn ended_order(row: &SqliteRow) -> Result<EndedOrder, ServiceError> {
    let read = Reader {
        row,
        name: "an ended work order",
    };
    let outcome = read.word("outcome")?;
    let expected: Option<FailureMode> = read.maybe_word("failure_mode")?;
    let said = read.maybe_word("found_mode")?;
    Ok(EndedOrder {
        id: order_id(read.get("number")?),
        asset: read.word("asset")?,
        asset_name: read.word("asset_name")?,
        customer: read.word("customer")?,
        customer_name: read.word("customer_name")?,
        model: read.word("model")?,
        case: read.maybe_word("case_id")?,
        kind: read.named("kind", WorkOrderKind::parse)?,
        outcome,
        failure_mode: match outcome {
            Outcome::OtherFaultFound => said,
            _ => said.or(expected),
        },
        opened_at: read.time("opened_at")?,
        done_at: read.time("done_at")?,
        prices: read.maybe_json::<OrderCosts>("costs")?.map(|costs| Prices {
            planned: costs.planned,
            failure: costs.failure,
            inspection: costs.inspection,
            currency: costs.currency,
        }),
    })
}

/// A row of `backtests`.
pub(super) fn backtest(row: &SqliteRow) -> Result<Backtest, ServiceError> {
    let read = Reader {
        row,
        name: "a back-test",
    };
    let number: i64 = read.get("number")?;
    let readings: i64 = read.get("readings")?;
    Ok(Backtest {
        id: number.unsigned_abs(),
        asked: NewBacktest {
            rules: read.get("rules")?,
            from: read.time("span_from")?,
            to: read.time("span_to")?,
            rules_only: read.get("rules_only")?,
            by: read.word("actor")?,
        },
        state: read.named("state", BacktestState::parse)?,
        requested_at: read.time("requested_at")?,
        started_at: read.maybe_time("started_at")?,
        ended_at: read.maybe_time("ended_at")?,
        progress: read.get("progress")?,
        readings: readings.unsigned_abs(),
        problem: read.get("problem")?,
        result: read.get("result")?,
    })
}

/// An ended order or an imported failure.
pub(super) fn end_on_record(row: &SqliteRow) -> Result<EndOnRecord, ServiceError> {
    let read = Reader {
        row,
        name: "an end on record",
    };
    let kind: &str = read.get("kind")?;
    Ok(EndOnRecord {
        asset: read.word("asset")?,
        at: read.time("at")?,
        failure_mode: read.maybe_word("mode")?,
        failed: kind == "failure" || kind == WorkOrderKind::Corrective.as_str(),
        outcome: read.maybe_word("outcome")?,
    })
}
