//! The reorder buffer of one device, so that all that judge by event time agree on the order.
//!
//! The watermark is the newest event time seen minus the lateness bound. A row older than the
//! watermark is *late*: it is counted and dropped, for what it belongs to has been scored. A
//! row leaves the buffer once the watermark has passed it, oldest first. Any order of arrival
//! in which no row comes more than the bound after a newer one therefore leaves in one and the
//! same order. Values of one instant are one row, however many messages brought them; when a
//! signal comes twice for one instant the first value counts.
//!
//! One wrong clock must not silence a device. A row more than `JUMP_MICROS` (or a hundred
//! sampling intervals) ahead is set aside until `JUMP_CONFIRMATIONS` such rows agree;
//! `JUMP_REFUTATIONS` ordinary rows refute it. `RESYNC_ROWS` rows in a row that lie as far
//! *behind* mean that the clock was set back: the buffer then starts over.
//!
//! Values lie in one pool of rows of `width` numbers (NaN = not measured), so a row in order
//! costs no allocation.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Most rows that wait. At one row a millisecond this is one second; a faster device has
/// its oldest rows released early, which shortens its lateness bound and nothing else.
const MAX_WAITING: usize = 1_024;
/// A jump in time beyond this needs confirmation: an hour is longer than any network holds a
/// message back and shorter than any clock error that would matter (time zone, wrong year).
const JUMP_MICROS: i64 = 3_600_000_000;
/// The same in sampling intervals, for devices that measure once an hour or once a day.
const JUMP_INTERVALS: f64 = 100.0;
/// Rows of different times that make a jump ahead believable: one may be a glitch, two a
/// redelivered glitch.
const JUMP_CONFIRMATIONS: usize = 3;
/// Ordinary rows after which an unconfirmed jump is dropped.
const JUMP_REFUTATIONS: u32 = 16;
/// Rows in a row far behind the watermark after which the device's clock is believed. Longer
/// than the redelivery of a full receive window, so that repeats never turn time back.
const RESYNC_ROWS: u32 = 1_000;

/// Rows of one device in event time order. See the module documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reorder {
    newest: i64,
    released: i64,
    waiting: VecDeque<Waiting>,
    ahead: Vec<Waiting>,
    refuted: u32,
    behind: u32,
    width: usize,
    pool: Vec<f64>,
    free: Vec<u32>,
    /// Rows that came too late.
    pub late: u64,
    /// Rows whose time was not believed.
    pub implausible: u64,
    /// Values that came twice for one instant.
    pub duplicates: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Waiting {
    at: i64,
    row: u32,
}

/// What became of a row that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It waits; its values go to this row of the pool.
    Waits(u32),
    /// It came too late.
    Late,
    /// The device's clock was set back: time starts over with this row.
    Restarts(u32),
}

impl Default for Reorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Reorder {
    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            newest: i64::MIN,
            released: i64::MIN,
            waiting: VecDeque::new(),
            ahead: Vec::new(),
            refuted: 0,
            behind: 0,
            width: 0,
            pool: Vec::new(),
            free: Vec::new(),
            late: 0,
            implausible: 0,
            duplicates: 0,
        }
    }

    /// The newest event time that is believed; none before the first row.
    pub fn newest(&self) -> Option<i64> {
        (self.newest != i64::MIN).then_some(self.newest)
    }

    /// Makes room for signals that were not seen before.
    pub fn widen(&mut self, width: usize) {
        if width <= self.width {
            return;
        }
        let rows = self.pool.len().checked_div(self.width).unwrap_or(0);
        let mut pool = vec![f64::NAN; rows * width];
        for row in 0..rows {
            let old = &self.pool[row * self.width..(row + 1) * self.width];
            pool[row * width..row * width + self.width].copy_from_slice(old);
        }
        self.pool = pool;
        self.width = width;
    }

    /// Rows there is a place for; without a slot nothing can be counted but what is held.
    fn rows(&self) -> usize {
        let held = self.waiting.iter().chain(&self.ahead).map(|w| w.row);
        let held = held.chain(self.free.iter().copied()).max();
        let held = held.map_or(0, |row| row as usize + 1);
        self.pool.len().checked_div(self.width).unwrap_or(held)
    }

    /// Gives every row other slots: `places` says for each where its value is now, none where it
    /// has no value yet.
    pub fn rearrange(&mut self, places: &[Option<usize>]) {
        let rows = self.rows();
        let mut pool = Vec::with_capacity(rows * places.len());
        for row in 0..rows {
            let old = &self.pool[row * self.width..(row + 1) * self.width];
            let value = |place: &Option<usize>| place.map_or(f64::NAN, |place| old[place]);
            pool.extend(places.iter().map(value));
        }
        self.pool = pool;
        self.width = places.len();
    }

    /// Takes a place for a row measured at `at`. `interval` is the usual time between rows of
    /// the device in microseconds, 0 when it is not known.
    pub fn arrive(&mut self, at: i64, lateness: i64, interval: f64) -> Arrival {
        let jump = JUMP_MICROS.max((interval * JUMP_INTERVALS) as i64);
        if self.newest == i64::MIN {
            self.newest = at;
        }
        let watermark = self.newest.saturating_sub(lateness);
        if at < watermark || at <= self.released {
            return self.arrive_late(at, watermark.saturating_sub(jump));
        }
        self.behind = 0;
        if at > self.newest.saturating_add(jump) {
            return self.arrive_ahead(at);
        }
        if !self.ahead.is_empty() {
            self.refuted += 1;
            if self.refuted >= JUMP_REFUTATIONS {
                self.implausible += self.ahead.len() as u64;
                self.free.extend(self.ahead.drain(..).map(|w| w.row));
            }
        }
        self.newest = self.newest.max(at);
        Arrival::Waits(self.place(at))
    }

    fn arrive_late(&mut self, at: i64, far_behind: i64) -> Arrival {
        if at >= far_behind {
            self.behind = 0;
            self.late += 1;
            return Arrival::Late;
        }
        self.behind += 1;
        if self.behind < RESYNC_ROWS {
            self.late += 1;
            return Arrival::Late;
        }
        self.free.extend(self.waiting.drain(..).map(|w| w.row));
        self.free.extend(self.ahead.drain(..).map(|w| w.row));
        (self.newest, self.released, self.behind) = (at, i64::MIN, 0);
        Arrival::Restarts(self.place(at))
    }

    fn arrive_ahead(&mut self, at: i64) -> Arrival {
        let row = match self.ahead.binary_search_by_key(&at, |w| w.at) {
            Ok(found) => self.ahead[found].row,
            Err(gap) => {
                let row = self.new_row();
                self.ahead.insert(gap, Waiting { at, row });
                row
            }
        };
        self.refuted = 0;
        if self.ahead.len() >= JUMP_CONFIRMATIONS {
            self.waiting.extend(self.ahead.drain(..));
            self.newest = self.waiting.back().map_or(at, |w| w.at);
        }
        Arrival::Waits(row)
    }

    fn place(&mut self, at: i64) -> u32 {
        if self.waiting.back().is_none_or(|last| last.at < at) {
            let row = self.new_row();
            self.waiting.push_back(Waiting { at, row });
            return row;
        }
        match self.waiting.binary_search_by_key(&at, |w| w.at) {
            Ok(found) => self.waiting[found].row,
            Err(gap) => {
                let row = self.new_row();
                self.waiting.insert(gap, Waiting { at, row });
                row
            }
        }
    }

    fn new_row(&mut self) -> u32 {
        if let Some(row) = self.free.pop() {
            let from = row as usize * self.width;
            self.pool[from..from + self.width].fill(f64::NAN);
            return row;
        }
        let row = self.pool.len().checked_div(self.width).unwrap_or(0);
        self.pool.resize(self.pool.len() + self.width, f64::NAN);
        row as u32
    }

    /// Sets a value of a row that waits.
    pub fn set(&mut self, row: u32, slot: usize, value: f64) {
        let cell = &mut self.pool[row as usize * self.width + slot];
        if cell.is_nan() {
            *cell = value;
        } else {
            self.duplicates += 1;
        }
    }

    /// The oldest row if the watermark has passed it; hand it back with [`Self::release`].
    pub fn pop(&mut self, lateness: i64) -> Option<(i64, u32)> {
        let oldest = self.waiting.front()?;
        let passed = oldest.at < self.newest.saturating_sub(lateness);
        if !passed && self.waiting.len() <= MAX_WAITING {
            return None;
        }
        let Waiting { at, row } = self.waiting.pop_front()?;
        self.released = at;
        Some((at, row))
    }

    /// The values of a popped row by slot; NaN where nothing was measured.
    pub fn values(&self, row: u32) -> &[f64] {
        &self.pool[row as usize * self.width..(row as usize + 1) * self.width]
    }

    /// Whether every row that is referred to lies in the pool.
    pub fn is_consistent(&self, width: usize) -> bool {
        let rows = self.pool.len().checked_div(width).unwrap_or(0);
        let held = self.waiting.iter().chain(&self.ahead).map(|w| w.row);
        self.width == width
            && self.pool.len() == rows * width
            && held
                .chain(self.free.iter().copied())
                .all(|row| (row as usize) < rows)
    }

    /// Gives the space of a popped row back.
    pub fn release(&mut self, row: u32) {
        self.free.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    /// Feeds rows of one signal and returns the times that leave the buffer.
    fn feed(buffer: &mut Reorder, times: &[i64]) -> Vec<i64> {
        buffer.widen(1);
        let mut out = Vec::new();
        for &at in times {
            if let Arrival::Waits(row) | Arrival::Restarts(row) = buffer.arrive(at, 2 * S, 1e6) {
                buffer.set(row, 0, at as f64);
            }
            while let Some((at, row)) = buffer.pop(2 * S) {
                assert_eq!(buffer.values(row)[0].to_bits(), (at as f64).to_bits());
                buffer.release(row);
                out.push(at);
            }
        }
        out
    }

    #[test]
    fn rows_leave_in_event_time_once_the_watermark_has_passed_them() {
        for (arrivals, leave, late) in [
            (vec![1, 2, 3, 4, 5, 6], vec![1, 2, 3], 0),
            (vec![2, 1, 3, 5, 4, 6], vec![1, 2, 3], 0),
            (vec![1, 1, 2, 2, 6], vec![1, 2], 0),
            (vec![6, 4, 3, 5, 9], vec![4, 5, 6], 1),
        ] {
            let mut buffer = Reorder::new();
            let arrivals: Vec<i64> = arrivals.iter().map(|t| t * S).collect();
            let leave: Vec<i64> = leave.iter().map(|t| t * S).collect();
            assert_eq!(feed(&mut buffer, &arrivals), leave, "{arrivals:?}");
            assert_eq!(buffer.late, late, "{arrivals:?}");
        }
    }

    #[test]
    fn one_row_from_the_future_does_not_silence_a_device() {
        let mut buffer = Reorder::new();
        let mut times: Vec<i64> = (0..100).map(|t| t * S).collect();
        times.insert(50, 1_000_000 * S);
        assert_eq!(feed(&mut buffer, &times).len(), 97);
        assert_eq!((buffer.implausible, buffer.late), (1, 0));
    }

    #[test]
    fn a_pause_of_a_day_is_believed_after_three_rows() {
        let mut buffer = Reorder::new();
        let day = 86_400;
        let times: Vec<i64> = (0..10).chain(day..day + 10).map(|t| t * S).collect();
        let out = feed(&mut buffer, &times);
        assert_eq!(out, times[..17]);
        assert_eq!((buffer.implausible, buffer.late), (0, 0));
    }

    #[test]
    fn a_clock_set_back_is_believed_after_a_thousand_rows() {
        let mut buffer = Reorder::new();
        let ahead = feed(&mut buffer, &[2_000_000 * S]);
        assert!(ahead.is_empty());
        let times: Vec<i64> = (0..1_010).map(|t| t * S).collect();
        assert_eq!(feed(&mut buffer, &times), times[999..1_007]);
        assert_eq!(buffer.late, 999);
    }

    #[test]
    fn a_flood_within_the_bound_does_not_grow_the_buffer_without_end() {
        let mut buffer = Reorder::new();
        let times: Vec<i64> = (0..5_000).collect();
        assert_eq!(feed(&mut buffer, &times).len(), 5_000 - MAX_WAITING);
        assert!(buffer.pool.len() <= MAX_WAITING + 1);
    }
}
