//! Device ids from names that other protocols allow and an id does not.

use telemetry::DeviceId;

/// The longest readable part before the digits that keep long names apart.
const MAX_READABLE_BYTES: usize = 47;

/// A device id made of some names, joined by dots. Names that fit are taken as they are; else
/// what an id cannot hold becomes a hyphen, and 16 digits of a hash of the names follow, so
/// that two devices never become one.
pub(super) fn device_id(names: &[&str]) -> Result<DeviceId, String> {
    let joined = names.join(".");
    let dotted = names.len() > 1 && names.iter().any(|name| name.contains('.'));
    if !dotted && let Ok(id) = DeviceId::new(&joined) {
        return Ok(id);
    }
    let readable: String = joined
        .chars()
        .map(|c| match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '-',
        })
        .take(MAX_READABLE_BYTES)
        .collect();
    let id = format!("{readable}-{:016x}", fnv1a(names));
    DeviceId::new(&id).map_err(|invalid| invalid.to_string())
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo), over the names with a byte between them that no UTF-8
/// text holds. Stored ids depend on it: it must never change.
fn fnv1a(names: &[&str]) -> u64 {
    let bytes = names
        .iter()
        .flat_map(|name| name.bytes().chain(std::iter::once(0xff)));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_stay_and_others_stay_apart() {
        let id = |names: &[&str]| device_id(names).unwrap().to_string();
        assert_eq!(id(&["plant", "edge1", "pump-7"]), "plant.edge1.pump-7");
        let pairs = [
            (id(&["a.b", "c"]), id(&["a", "b.c"])),
            (id(&["a b"]), id(&["a-b"])),
            (id(&["a b"]), id(&["a+b"])),
            (
                id(&["x".repeat(70).as_str()]),
                id(&["x".repeat(71).as_str()]),
            ),
        ];
        for (one, other) in pairs {
            assert_ne!(one, other);
        }
        assert!(id(&["Werk Süd", "Linie 1"]).starts_with("Werk-S-d.Linie-1-"));
        assert!(device_id(&["ä".repeat(300).as_str()]).is_ok());
    }
}
