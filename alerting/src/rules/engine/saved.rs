//! The state of the rules as bytes, and back.

use serde::{Deserialize, Serialize};
use telemetry::{AssetModelId, Assignment, DeviceId, RuleId};

use super::{Engine, InForce, Kept, SNAPSHOT_PREFIX, UNWATCHED};
use crate::rules::{RulesError, parse_one};

const BOOK_KEY: &str = "rules//book";
const CLOCK_KEY: &str = "rules//clock";
/// The keys of the states that all devices share: the rules in force, and the time.
pub const SHARED_KEYS: [&str; 2] = [BOOK_KEY, CLOCK_KEY];
/// The format of saved states; rises with every change of a type that is saved.
const FORMAT: u8 = 1;

/// The key under which the state of a device is saved.
pub fn state_key(device: &DeviceId) -> String {
    format!("{SNAPSHOT_PREFIX}{device}")
}

/// The rules as they are saved: by their text.
#[derive(Serialize, Deserialize)]
struct SavedBook {
    rules: Vec<(RuleId, u32, String)>,
    factors: Vec<(RuleId, AssetModelId, f64)>,
}

impl Engine {
    /// The states that changed since the last call, each with its key for [`Self::restore`].
    ///
    /// # Errors
    /// [`RulesError::StateUnwritable`], naming the device.
    pub fn take_dirty(&mut self) -> Result<Vec<(String, Vec<u8>)>, RulesError> {
        let mut saved = Vec::new();
        if self.book_dirty {
            let rules = self.book.rules.iter();
            let rules =
                rules.map(|(id, known)| (id.clone(), known.version, known.written.text.clone()));
            let factors = self.book.factors.iter();
            let factors = factors.map(|((rule, model), f)| (rule.clone(), model.clone(), *f));
            let book = SavedBook {
                rules: rules.collect(),
                factors: factors.collect(),
            };
            saved.push((BOOK_KEY.to_owned(), encode(BOOK_KEY, &book)?));
        }
        if self.clock_dirty {
            saved.push((CLOCK_KEY.to_owned(), encode(CLOCK_KEY, &self.clock)?));
        }
        for device in self.devices.iter().filter(|device| device.is_dirty) {
            if device.plan.watches.is_empty() {
                continue;
            }
            let key = state_key(&device.kept.device);
            let bytes = encode(&key, &device.kept)?;
            saved.push((key, bytes));
        }
        (self.book_dirty, self.clock_dirty) = (false, false);
        for device in &mut self.devices {
            device.is_dirty = false;
        }
        Ok(saved)
    }

    /// Puts a saved state back, before any record is applied. When all are back,
    /// [`Self::resume`] continues.
    ///
    /// # Errors
    /// [`RulesError::StateUnreadable`] for bytes that [`Self::take_dirty`] did not write.
    pub fn restore(&mut self, key: &str, bytes: &[u8]) -> Result<(), RulesError> {
        match key {
            BOOK_KEY => self.restore_book(decode(key, bytes)?),
            CLOCK_KEY => self.clock = decode(key, bytes)?,
            _ => {
                let kept: Kept = decode(key, bytes)?;
                if !kept.is_consistent() {
                    return Err(RulesError::StateUnreadable {
                        key: key.to_owned(),
                    });
                }
                self.restored.insert(kept.device.clone(), kept);
            }
        }
        Ok(())
    }

    /// Watches every device that was put back. What the rules said of a device that is no longer
    /// assigned is forgotten.
    pub fn resume(&mut self, assign: &mut dyn FnMut(&DeviceId) -> Option<Assignment>) {
        let mut devices: Vec<DeviceId> = self.restored.keys().cloned().collect();
        devices.sort_unstable();
        for device in devices {
            if let Some(place) = assign(&device) {
                // A model that has changed since is told with the next row.
                let number = self.watch(&device, place, &mut Vec::new());
                if number != UNWATCHED {
                    self.arm(number);
                }
            }
        }
        self.restored.clear();
    }

    fn restore_book(&mut self, saved: SavedBook) {
        for (id, version, text) in saved.rules {
            if let Ok(written) = parse_one(&text) {
                self.book.rules.insert(id, InForce { version, written });
            } else {
                tracing::error!(rule = %id, version, "a rule in force can no longer be read and is passed over");
            }
        }
        let factors = saved.factors.into_iter();
        self.book.factors = factors.map(|(rule, model, f)| ((rule, model), f)).collect();
        self.rewrite(&mut Vec::new());
        self.book_dirty = false;
    }
}

fn encode<T: Serialize>(key: &str, state: &T) -> Result<Vec<u8>, RulesError> {
    postcard::to_extend(state, vec![FORMAT]).map_err(|source| RulesError::StateUnwritable {
        key: key.to_owned(),
        source,
    })
}

fn decode<T: for<'de> Deserialize<'de>>(key: &str, bytes: &[u8]) -> Result<T, RulesError> {
    let state = match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).ok(),
        _ => None,
    };
    state.ok_or_else(|| RulesError::StateUnreadable {
        key: key.to_owned(),
    })
}
