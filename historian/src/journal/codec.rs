//! One group commit as bytes.
//!
//! The journal carries every reading, so a record is columns copied in bulk: no tag, length
//! or branch per value. Times are stored as unsigned distances from the smallest one and all
//! integer columns in the narrowest of 0, 1, 2, 4 or 8 bytes that holds their range, which
//! brings a row of three values to about 34 bytes, 24 of them the values. Width 0 means that
//! every entry is zero and nothing is stored. Everything is little-endian:
//!
//! ```text
//! magic "BWJR" | version u8 | devices u32 | signals u32 | rows u32 | values u32 | events u32 (bytes)
//!              | waveforms u32 (version 2)
//! devices, then signals: length u8, text
//! device      width u8, entries            index into devices, per row
//! row length  base i64, width u8, entries  number of values, per row
//! measured at base i64, width u8, entries  microseconds since 1970, per row
//! received at base i64, width u8, entries
//! signal      width u8, entries            index into signals, per value
//! values      f64 each
//! waveforms   version 2; each: device, signal, axis, unit (length u8, text; empty for none),
//!             measured at i64, received at i64, samples a second f64, samples u32, f32 each
//! events      JSON array; rare, and readable with nothing but a text editor
//! ```
//!
//! The checksum lies beside the blob, over its offset, the running total of readings and the
//! bytes, so that a blob under a wrong offset is noticed too.
//!
//! Version 1 had no waveforms; it is still read. A version above [`VERSION`] is refused by name.

use telemetry::{
    Columns, DeviceId, Event, JournalRecord, ReadingBatch, SignalName, Timestamp, Unit, Waveform,
};

const MAGIC: [u8; 4] = *b"BWJR";
const VERSION: u8 = 2;
/// The first version with waveforms.
const WITH_WAVEFORMS: u8 = 2;

/// Checksum of a stored record together with where it belongs.
pub(crate) fn checksum(offset: u64, total_readings: u64, blob: &[u8]) -> u32 {
    let place = crc32c::crc32c(&offset.to_le_bytes());
    let place = crc32c::crc32c_append(place, &total_readings.to_le_bytes());
    crc32c::crc32c_append(place, blob)
}

/// Writes readings, waveforms and events of a record into `out`, which is cleared first. Dead letters
/// have a table of their own.
pub(crate) fn encode(record: &JournalRecord, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let columns = record.readings.columns();
    let events = if record.events.is_empty() {
        Vec::new()
    } else {
        serde_json::to_vec(&record.events)?
    };
    out.clear();
    let samples: usize = record
        .waveforms
        .iter()
        .map(|w| 300 + w.samples.len() * 4)
        .sum();
    let columns_bytes = columns.device.len() * 24 + columns.value.len() * 12;
    out.reserve(64 + columns_bytes + samples + events.len());
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    let counts = [
        columns.devices.len(),
        columns.signals.len(),
        columns.device.len(),
        columns.value.len(),
        events.len(),
        record.waveforms.len(),
    ];
    for count in counts {
        out.extend_from_slice(&(count as u32).to_le_bytes());
    }
    for name in columns.devices.iter().map(DeviceId::as_str) {
        put_name(out, name);
    }
    for name in columns.signals.iter().map(SignalName::as_str) {
        put_name(out, name);
    }
    put_indices(out, &columns.device, columns.devices.len());
    let starts = std::iter::once(0).chain(columns.end.iter().copied());
    let lengths: Vec<i64> = columns
        .end
        .iter()
        .zip(starts)
        .map(|(&end, start)| i64::from(end) - i64::from(start))
        .collect();
    put_ranged(out, lengths.iter().copied());
    put_ranged(out, columns.measured_at.iter().map(|at| at.as_micros()));
    put_ranged(out, columns.received_at.iter().map(|at| at.as_micros()));
    put_indices(out, &columns.signal, columns.signals.len());
    put_fixed(out, columns.value.iter().map(|value| value.to_le_bytes()));
    for waveform in &record.waveforms {
        put_waveform(out, waveform);
    }
    out.extend_from_slice(&events);
    Ok(())
}

fn put_waveform(out: &mut Vec<u8>, waveform: &Waveform) {
    put_name(out, waveform.device.as_str());
    put_name(out, waveform.signal.as_str());
    put_name(out, axis_of(waveform));
    put_name(out, waveform.unit.map_or("", Unit::symbol));
    out.extend_from_slice(&waveform.measured_at.as_micros().to_le_bytes());
    out.extend_from_slice(&waveform.received_at.as_micros().to_le_bytes());
    out.extend_from_slice(&waveform.sample_rate_hz.to_le_bytes());
    out.extend_from_slice(&(waveform.samples.len() as u32).to_le_bytes());
    put_fixed(
        out,
        waveform.samples.iter().map(|sample| sample.to_le_bytes()),
    );
}

/// The axis as it is stored: no text for none, and never longer than is allowed.
pub(crate) fn axis_of(waveform: &Waveform) -> &str {
    let axis = waveform.axis.as_deref().unwrap_or("");
    let mut end = axis.len().min(Waveform::MAX_AXIS_BYTES);
    while !axis.is_char_boundary(end) {
        end -= 1;
    }
    &axis[..end]
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    // Ids are at most 64 bytes long, axes and units shorter.
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

/// Appends fixed-width entries; the shape of the loop lets the compiler turn it into a copy.
fn put_fixed<const N: usize>(out: &mut Vec<u8>, entries: impl ExactSizeIterator<Item = [u8; N]>) {
    let start = out.len();
    out.resize(start + entries.len() * N, 0);
    let (slots, _) = out[start..].as_chunks_mut::<N>();
    for (slot, entry) in slots.iter_mut().zip(entries) {
        *slot = entry;
    }
}

fn put_indices(out: &mut Vec<u8>, indices: &[u32], names: usize) {
    put_narrow(
        out,
        (names as u64).saturating_sub(1),
        indices.iter().map(|&index| u64::from(index)),
    );
}

fn put_ranged(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = i64> + Clone) {
    let (least, most) = values
        .clone()
        .fold((i64::MAX, i64::MIN), |(least, most), value| {
            (least.min(value), most.max(value))
        });
    let base = if values.len() == 0 { 0 } else { least };
    let range = most.wrapping_sub(base) as u64;
    out.extend_from_slice(&base.to_le_bytes());
    put_narrow(
        out,
        if values.len() == 0 { 0 } else { range },
        values.map(|value| value.wrapping_sub(base) as u64),
    );
}

fn put_narrow(out: &mut Vec<u8>, most: u64, entries: impl ExactSizeIterator<Item = u64>) {
    match most {
        0 => out.push(0),
        1..=0xff => {
            out.push(1);
            put_fixed(out, entries.map(|entry| (entry as u8).to_le_bytes()));
        }
        0x100..=0xffff => {
            out.push(2);
            put_fixed(out, entries.map(|entry| (entry as u16).to_le_bytes()));
        }
        0x1_0000..=0xffff_ffff => {
            out.push(4);
            put_fixed(out, entries.map(|entry| (entry as u32).to_le_bytes()));
        }
        _ => {
            out.push(8);
            put_fixed(out, entries.map(u64::to_le_bytes));
        }
    }
}

/// Reads what [`encode`] wrote. Never panics, whatever the bytes are.
pub(crate) fn decode(blob: &[u8]) -> Result<JournalRecord, String> {
    let mut bytes = Bytes(blob);
    if bytes.array::<4>()? != MAGIC {
        return Err("it does not begin as a record".into());
    }
    let [version] = bytes.array()?;
    if version == 0 || version > VERSION {
        return Err(format!(
            "its layout is {version}, and this program knows up to {VERSION}; a later version has written it"
        ));
    }
    let devices = bytes.count()?;
    let signals = bytes.count()?;
    let rows = bytes.count()?;
    let values = bytes.count()?;
    let event_bytes = bytes.count()?;
    let waveforms = if version >= WITH_WAVEFORMS {
        bytes.count()?
    } else {
        0
    };
    // Columns of width 0 take no bytes, so the counts are held against what must be there
    // before anything is allocated for them: eight bytes a value, one value a row.
    if values.saturating_mul(8) > blob.len() || rows > values {
        return Err("it claims more readings than it holds".into());
    }
    let devices = bytes.names(devices, |name| DeviceId::new(name).ok())?;
    let signals = bytes.names(signals, |name| SignalName::new(name).ok())?;
    let device = bytes.narrow(rows, |entry| entry as u32)?;
    let mut end = 0_u64;
    let lengths = bytes.ranged(rows)?;
    let ends = lengths.into_iter().map(|length| {
        end = end.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        u32::try_from(end).unwrap_or(u32::MAX)
    });
    let columns = Columns {
        devices,
        signals,
        device,
        end: ends.collect(),
        measured_at: times(bytes.ranged(rows)?),
        received_at: times(bytes.ranged(rows)?),
        signal: bytes.narrow(values, |entry| entry as u32)?,
        value: bytes.fixed(values, f64::from_le_bytes)?,
    };
    let waveforms = bytes.waveforms(waveforms)?;
    let events = bytes.take(event_bytes)?;
    if !bytes.0.is_empty() {
        return Err("bytes are left over".into());
    }
    let events: Vec<Event> = if events.is_empty() {
        Vec::new()
    } else {
        serde_json::from_slice(events).map_err(|error| error.to_string())?
    };
    Ok(JournalRecord {
        readings: ReadingBatch::from_columns(columns).map_err(|error| error.to_string())?,
        waveforms,
        events,
        dead_letters: Vec::new(),
    })
}

fn times(micros: Vec<i64>) -> Vec<Timestamp> {
    micros.into_iter().map(Timestamp::from_micros).collect()
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it is cut short")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn count(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn names<T>(
        &mut self,
        count: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, String> {
        // Every name takes two bytes at least, which bounds what a wrong count can allocate.
        let mut names = Vec::with_capacity(count.min(self.0.len() / 2));
        for _ in 0..count {
            let [length] = self.array()?;
            let name = str::from_utf8(self.take(usize::from(length))?)
                .ok()
                .and_then(&parse)
                .ok_or("a name in it breaks the rule for names")?;
            names.push(name);
        }
        Ok(names)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let [length] = self.array()?;
        str::from_utf8(self.take(usize::from(length))?).map_err(|error| error.to_string())
    }

    fn waveforms(&mut self, count: usize) -> Result<Vec<Waveform>, String> {
        // A waveform takes 32 bytes at least, which bounds what a wrong count can allocate.
        let mut waveforms = Vec::with_capacity(count.min(self.0.len() / 32));
        for _ in 0..count {
            waveforms.push(self.waveform()?);
        }
        Ok(waveforms)
    }

    fn waveform(&mut self) -> Result<Waveform, String> {
        let device = DeviceId::new(self.text()?).map_err(|error| error.to_string())?;
        let signal = SignalName::new(self.text()?).map_err(|error| error.to_string())?;
        let axis = Some(self.text()?).filter(|axis| !axis.is_empty());
        let unit = Some(self.text()?).filter(|unit| !unit.is_empty());
        let unit = unit.map(Unit::parse).transpose();
        let measured_at = Timestamp::from_micros(i64::from_le_bytes(self.array()?));
        let received_at = Timestamp::from_micros(i64::from_le_bytes(self.array()?));
        let sample_rate_hz = f64::from_le_bytes(self.array()?);
        let samples = self.count()?;
        Ok(Waveform {
            device,
            signal,
            axis: axis.map(Into::into),
            measured_at,
            received_at,
            sample_rate_hz,
            unit: unit.map_err(|error| error.to_string())?,
            samples: self.fixed(samples, f32::from_le_bytes)?.into(),
        })
    }

    fn fixed<const N: usize, T>(
        &mut self,
        count: usize,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, String> {
        let (entries, _) = self.take(count.saturating_mul(N))?.as_chunks::<N>();
        Ok(entries.iter().map(|entry| read(*entry)).collect())
    }

    fn narrow<T: Clone>(
        &mut self,
        count: usize,
        make: impl Fn(u64) -> T,
    ) -> Result<Vec<T>, String> {
        let [width] = self.array()?;
        match width {
            0 => Ok(vec![make(0); count]),
            1 => self.fixed(count, |entry| make(u64::from(u8::from_le_bytes(entry)))),
            2 => self.fixed(count, |entry| make(u64::from(u16::from_le_bytes(entry)))),
            4 => self.fixed(count, |entry| make(u64::from(u32::from_le_bytes(entry)))),
            8 => self.fixed(count, |entry| make(u64::from_le_bytes(entry))),
            _ => Err(format!("a column in it has width {width}")),
        }
    }

    fn ranged(&mut self, count: usize) -> Result<Vec<i64>, String> {
        let base = i64::from_le_bytes(self.array()?);
        self.narrow(count, |entry| base.wrapping_add(entry as i64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use telemetry::Outcome;

    use super::*;

    fn event() -> Event {
        Event::WorkOrderClosed {
            asset: "pump-1".parse().unwrap(),
            case: None,
            work_order: "WO-000001".parse().unwrap(),
            outcome: Outcome::Confirmed,
            failure_mode: Some("bearing-wear".parse().unwrap()),
            part: Some("6309-2RS".to_owned()),
            at: Timestamp::from_secs(1),
        }
    }

    fn record() -> impl Strategy<Value = JournalRecord> {
        let time = prop_oneof![any::<i64>(), 0..1000_i64, Just(7)];
        let value = any::<f64>().prop_filter("finite", |value| value.is_finite());
        let values = prop::collection::vec(("[a-z]{1,2}", value), 1..5);
        let row = ("[a-z]{1,2}", time.clone(), time, values);
        let waveforms = prop::collection::vec(waveform(), 0..4);
        (prop::collection::vec(row, 0..300), 0..3_usize, waveforms).prop_map(
            |(rows, events, waveforms)| {
                let mut readings = ReadingBatch::new();
                for (device, measured, received, values) in rows {
                    let device = readings.device(&DeviceId::new(&device).unwrap());
                    for (signal, value) in values {
                        let signal = readings.signal(&SignalName::new(&signal).unwrap());
                        readings.push_value(signal, value);
                    }
                    let [measured, received] = [measured, received].map(Timestamp::from_micros);
                    readings.finish_row(device, measured, received);
                }
                JournalRecord {
                    readings,
                    waveforms,
                    events: vec![event(); events],
                    dead_letters: Vec::new(),
                }
            },
        )
    }

    fn waveform() -> impl Strategy<Value = Waveform> {
        let axis = prop::option::of("[a-zé]{1,9}");
        let unit = prop::option::of(prop::sample::select(Unit::ALL));
        let sample = any::<f32>().prop_filter("finite", |sample| sample.is_finite());
        let samples = prop::collection::vec(sample, 0..200);
        ("[a-z]{1,3}", axis, any::<i64>(), unit, samples).prop_map(
            |(name, axis, at, unit, samples)| Waveform {
                device: DeviceId::new(&name).unwrap(),
                signal: SignalName::new(&name).unwrap(),
                axis: axis.map(Into::into),
                measured_at: Timestamp::from_micros(at),
                received_at: Timestamp::from_micros(at / 2),
                sample_rate_hz: 25_600.0,
                unit,
                samples: samples.into(),
            },
        )
    }

    /// The same record in the layout before waveforms: the header lacks their number.
    fn encoded_as_version_1(record: &JournalRecord) -> Vec<u8> {
        let mut blob = encoded(record);
        blob[4] = 1;
        blob.drain(25..29);
        blob
    }

    fn encoded(record: &JournalRecord) -> Vec<u8> {
        let mut blob = Vec::new();
        encode(record, &mut blob).unwrap();
        blob
    }

    proptest! {
        #[test]
        fn a_record_comes_back_bit_for_bit(record in record()) {
            let back = decode(&encoded(&record)).unwrap();
            let bits = |record: &JournalRecord| -> Vec<u64> {
                record.readings.columns().value.iter().map(|value| value.to_bits()).collect()
            };
            prop_assert_eq!(bits(&back), bits(&record));
            prop_assert_eq!(back, record);
        }

        #[test]
        fn a_changed_byte_never_passes_the_checksum_and_never_panics(
            record in record(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
        ) {
            let mut blob = encoded(&record);
            let crc = checksum(5, 9, &blob);
            let at = at.index(blob.len());
            blob[at] ^= flip;
            prop_assert_ne!(checksum(5, 9, &blob), crc);
            let _ = decode(&blob);
        }

        #[test]
        fn a_record_of_version_1_is_still_read(record in record()) {
            let record = JournalRecord { waveforms: Vec::new(), ..record };
            prop_assert_eq!(decode(&encoded_as_version_1(&record)), Ok(record));
        }

        #[test]
        fn any_bytes_and_any_cut_are_an_error_or_a_record(
            record in record(), noise in prop::collection::vec(any::<u8>(), 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let blob = encoded(&record);
            prop_assert!(decode(&blob[..cut.index(blob.len())]).is_err());
            let mut forged = MAGIC.to_vec();
            forged.push(VERSION);
            forged.extend_from_slice(&noise);
            let _ = decode(&noise);
            let _ = decode(&forged);
        }
    }

    #[test]
    fn bytes_written_by_version_1_mean_what_they_meant() {
        // One row of device "p" with signals x = 1.5 and y = -2 at second 1, received at
        // second 2, byte by byte as the first release wrote it.
        let mut blob = b"BWJR\x01".to_vec();
        for count in [1_u32, 2, 1, 2, 0] {
            blob.extend_from_slice(&count.to_le_bytes());
        }
        blob.extend_from_slice(b"\x01p\x01x\x01y");
        blob.push(0);
        for base in [2_i64, 1_000_000, 2_000_000] {
            blob.extend_from_slice(&base.to_le_bytes());
            blob.push(0);
        }
        blob.extend_from_slice(&[1, 0, 1]);
        for value in [1.5_f64, -2.0] {
            blob.extend_from_slice(&value.to_le_bytes());
        }
        let record = decode(&blob).unwrap();
        let row = record.readings.rows().next().unwrap();
        assert_eq!((row.device.as_str(), row.values), ("p", &[1.5, -2.0][..]));
        assert_eq!(row.measured_at, Timestamp::from_secs(1));
        assert_eq!(row.received_at, Timestamp::from_secs(2));
        assert!(record.waveforms.is_empty());
    }

    #[test]
    fn a_record_of_a_later_version_is_refused_by_its_number() {
        let mut blob = encoded(&JournalRecord::default());
        blob[4] = VERSION + 1;
        let error = decode(&blob).unwrap_err();
        assert!(
            error.contains("layout is 3") && error.contains("later"),
            "{error}"
        );
    }

    #[test]
    fn a_checksum_belongs_to_one_offset_and_one_total() {
        let crc = checksum(5, 9, b"blob");
        assert_ne!(crc, checksum(6, 9, b"blob"));
        assert_ne!(crc, checksum(5, 8, b"blob"));
        // CRC-32C of "123456789" from RFC 3720, appendix B.4: 0xe3069283.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_row_of_three_values_takes_about_34_bytes() {
        let mut readings = ReadingBatch::new();
        let device = readings.device(&DeviceId::new("pump-1").unwrap());
        for row in 0..1000 {
            for signal in ["a_bar", "b_c", "c_mm_s"] {
                let signal = readings.signal(&SignalName::new(signal).unwrap());
                readings.push_value(signal, f64::from(row));
            }
            let at = Timestamp::from_millis(1_700_000_000_000 + i64::from(row));
            readings.finish_row(device, at, at);
        }
        let record = JournalRecord {
            readings,
            ..JournalRecord::default()
        };
        let bytes_a_row = encoded(&record).len() as f64 / 1000.0;
        assert!(bytes_a_row < 36.0, "{bytes_a_row}");
    }
}
