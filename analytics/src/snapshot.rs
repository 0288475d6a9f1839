//! The envelope of a saved state: four letters, the format, the state in postcard.
//!
//! The format number rises with every change of a type that is saved. A state of another
//! format is refused, never guessed at: the caller then learns the device anew or replays.

use serde::{Serialize, de::DeserializeOwned};

use crate::AnalyticsError;

const MAGIC: [u8; 4] = *b"BWAN";
const FORMAT: u16 = 8;
const HEADER: usize = 6;

pub(crate) fn encode<T: Serialize>(key: &str, state: &T) -> Result<Vec<u8>, AnalyticsError> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    postcard::to_extend(state, bytes).map_err(|source| AnalyticsError::StateUnwritable {
        key: key.to_owned(),
        source,
    })
}

pub(crate) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, AnalyticsError> {
    let format = match bytes.get(..HEADER) {
        Some([m0, m1, m2, m3, low, high]) if [*m0, *m1, *m2, *m3] == MAGIC => {
            u16::from_le_bytes([*low, *high])
        }
        _ => 0,
    };
    if format != FORMAT {
        return Err(AnalyticsError::StateFormat {
            key: key.to_owned(),
            found: format,
            expected: FORMAT,
        });
    }
    let unreadable = |problem: String| AnalyticsError::StateUnreadable {
        key: key.to_owned(),
        problem,
    };
    let (state, rest) = postcard::take_from_bytes(&bytes[HEADER..])
        .map_err(|error| unreadable(error.to_string()))?;
    if rest.is_empty() {
        Ok(state)
    } else {
        Err(unreadable(format!("{} bytes too many", rest.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_state_of_this_format_is_refused_with_its_reason() {
        let good = encode("pump-1", &vec![1_u64, 2]).unwrap();
        assert_eq!(decode::<Vec<u64>>("pump-1", &good).unwrap(), [1, 2]);
        let mut newer = good.clone();
        newer[4] = 9;
        let mut longer = good.clone();
        longer.push(0);
        for (bytes, says) in [
            (&b""[..], "format 0"),
            (b"not a state", "format 0"),
            (&newer, "format 9, this program reads format 8"),
            (&good[..good.len() - 1], "cannot be read"),
            (&longer, "1 bytes too many"),
        ] {
            let error = decode::<Vec<u64>>("pump-1", bytes).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("pump-1"), "{error}");
        }
    }
}
