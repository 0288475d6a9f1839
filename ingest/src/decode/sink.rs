//! Where the decoders put what they find.

use telemetry::{
    DeadLetterReason as Reason, DeviceId, Event, ReadingBatch, SignalName, Timestamp, Waveform,
};

use super::{
    Message,
    cache::{Devices, Door, Run, Scratch},
    refuse::{Refusals, quote},
    sparkplug::Command,
};
use crate::check::{Noted, Told, ToldUnit};

/// What a decoder works with: the message, where its parts go, and whom to ask about devices.
pub(super) struct Sink<'m> {
    /// The message, unpacked.
    pub(super) message: Message<'m>,
    pub(super) batch: &'m mut ReadingBatch,
    pub(super) waveforms: &'m mut Vec<Waveform>,
    pub(super) events: &'m mut Vec<Event>,
    /// What is stored all the same, besides what the checks of the rows note.
    pub(super) noted: &'m mut Noted,
    pub(super) refusals: &'m mut Refusals,
    pub(super) commands: &'m mut Vec<Command>,
    pub(super) devices: &'m mut Devices,
    pub(super) scratch: &'m mut Scratch,
    pub(super) door: Door<'m>,
    /// Not so when a dead letter is taken again: then nothing but readings comes of it.
    pub(super) live: bool,
}

impl Sink<'_> {
    /// Reads the unpacked payload.
    pub(super) fn read<R>(&mut self, payload: &[u8], read: impl FnOnce(&mut Sink<'_>) -> R) -> R {
        let message = Message {
            payload,
            ..self.message
        };
        read(&mut Sink {
            message,
            batch: &mut *self.batch,
            waveforms: &mut *self.waveforms,
            events: &mut *self.events,
            noted: &mut *self.noted,
            refusals: &mut *self.refusals,
            commands: &mut *self.commands,
            devices: &mut *self.devices,
            scratch: &mut *self.scratch,
            door: self.door,
            live: self.live,
        })
    }

    /// Whether a device may come in; rows that are finished from now on are its.
    pub(super) fn enter(&mut self, place: u32) -> bool {
        if !self.devices.enter(place, self.door, self.refusals) {
            return false;
        }
        if self
            .scratch
            .runs
            .last()
            .is_none_or(|run| run.device != place)
        {
            let row = self.batch.row_count();
            self.scratch.runs.push(Run { row, device: place });
        }
        true
    }

    /// The dictionary position of a signal; refuses a name that breaks the rules.
    pub(super) fn signal(&mut self, name: &str) -> Option<u32> {
        if let Some(known) = self.batch.find_signal(name) {
            return Some(known);
        }
        match SignalName::new(name) {
            Ok(signal) => Some(self.batch.signal(&signal)),
            Err(invalid) => {
                self.refusals
                    .add(Reason::InvalidSignal, || invalid.to_string());
                None
            }
        }
    }

    /// Adds a value to the row under construction, with the unit it came with.
    pub(super) fn push(&mut self, signal: u32, value: f64, unit: Option<&str>) {
        tell(self.scratch, self.batch, unit);
        self.batch.push_value(signal, value);
    }

    /// Closes the row of a device that came in.
    pub(super) fn finish_row(&mut self, device: &DeviceId, measured_at: Timestamp) {
        let device = self.batch.device(device);
        self.batch
            .finish_row(device, measured_at, self.message.received_at);
    }

    /// Takes back every row after the first `rows`, and everything refused so far.
    pub(super) fn take_back(&mut self, rows: usize) {
        self.batch.truncate_rows(rows);
        let values = self.batch.reading_count();
        self.scratch.told.retain(|told| told.value < values);
        self.refusals.clear();
    }

    /// Refuses a part of the message.
    pub(super) fn refuse(&mut self, reason: Reason, detail: impl FnOnce() -> String) {
        self.refusals.add(reason, detail);
    }
}

/// Notes the unit of the value that is pushed next.
pub(super) fn tell(scratch: &mut Scratch, batch: &ReadingBatch, unit: Option<&str>) {
    if let Some(unit) = unit {
        scratch.told.push(Told {
            value: batch.reading_count(),
            unit: ToldUnit::read(unit),
        });
    }
}

/// A time in the unit of a count, when it lies in the calendar.
pub(super) fn micros(at: i64) -> Result<Timestamp, String> {
    let at = Timestamp::from_micros(at);
    if at.is_in_calendar() {
        Ok(at)
    } else {
        Err("lies outside the years 1 to 9999".into())
    }
}

/// The time in a property or a header: milliseconds or an RFC 3339 text.
pub(super) fn time_text(text: &str) -> Result<Timestamp, String> {
    if let Ok(millis) = text.trim().parse::<f64>()
        && millis.is_finite()
    {
        // `as` saturates, and what is out of range is out of the calendar too.
        return micros((millis * 1_000.0).round() as i64);
    }
    match Timestamp::parse(text) {
        Ok(at) if at.is_in_calendar() => Ok(at),
        _ => Err(format!("{} is no time", quote(text))),
    }
}

impl<'m> Message<'m> {
    /// What the sender said under a name; the first counts.
    pub(super) fn property(&self, name: &str) -> Option<&'m str> {
        self.properties
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
