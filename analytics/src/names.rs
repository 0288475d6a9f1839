//! Numbers for signal names, so that the hot path compares integers.

use rustc_hash::FxHashMap;
use telemetry::SignalName;

/// Most names a fleet tells apart. A plant has some hundreds; this bounds the memory against
/// devices that invent names (64 bytes each at most).
const MAX_NAMES: usize = 100_000;
/// The number of a name beyond the bound: it has no name back and is looked at by nobody.
const NOBODY: u32 = u32::MAX;

/// Signal names by number, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_name: FxHashMap<SignalName, u32>,
    names: Vec<SignalName>,
}

impl Names {
    /// The number of a name; a new one gets the next number.
    pub(crate) fn number(&mut self, name: &SignalName) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        if self.names.len() >= MAX_NAMES {
            return NOBODY;
        }
        let number = self.names.len() as u32;
        self.names.push(name.clone());
        self.by_name.insert(name.clone(), number);
        number
    }

    /// The name of a number.
    pub(crate) fn name(&self, number: u32) -> Option<&SignalName> {
        self.names.get(number as usize)
    }
}
