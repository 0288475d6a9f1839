//! Bringing one batch to the server, whatever it takes.

use std::{ops::Range, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use telemetry::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    admin::{Admin, BucketOutcome},
    backoff::Backoff,
    lines::{Lines, split_fields},
    status::{InfluxMonitor, InfluxState, Refusal, Refusals},
    transport::{Transport, WriteFault, gzip},
};
use crate::sqlite::blocking;

/// How much of a refused line is kept.
const MAX_REFUSED_LINE: usize = 500;

/// The shutdown came before the batch was taken; it will be sent again.
#[derive(Debug)]
pub(crate) struct Stopped;

/// The way to one server.
pub(crate) struct Delivery {
    pub(crate) transport: Transport,
    pub(crate) admin: Admin,
    pub(crate) monitor: InfluxMonitor,
    pub(crate) refusals: Refusals,
    backoff: Backoff,
    rng: StdRng,
}

/// How an attempt ended.
enum Attempt {
    Taken,
    /// Something in it will never be taken.
    Refused(String),
    TooLarge,
}

impl Delivery {
    pub(crate) fn new(transport: Transport, admin: Admin, monitor: InfluxMonitor) -> Self {
        Self {
            transport,
            admin,
            monitor,
            refusals: Refusals::default(),
            backoff: Backoff::default(),
            rng: StdRng::from_rng(&mut rand::rng()),
        }
    }

    /// Brings lines to the server in order. When this returns `Ok` each of them has been taken
    /// or is among the refusals.
    pub(crate) async fn deliver(
        &mut self,
        lines: &Lines,
        clock: &dyn Clock,
        shutdown: &CancellationToken,
    ) -> Result<(), Stopped> {
        // Parts still to be sent, the next one last.
        let mut parts: Vec<Range<usize>> = std::iter::once(0..lines.len()).collect();
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let text = lines.text(part.clone());
            match self.attempt(text, clock, shutdown).await? {
                Attempt::Taken => self.taken(lines.readings_in(part), clock.now()),
                Attempt::Refused(reason) if dropped_all(&reason, part.len()) => {
                    self.refuse(text, reason, lines.readings_in(part), clock.now());
                }
                Attempt::Refused(reason) if part.len() == 1 => {
                    self.deliver_fields(text, reason, clock, shutdown).await?;
                }
                Attempt::TooLarge if part.len() == 1 => {
                    let reason = "one line is too large for the server".to_owned();
                    self.refuse(text, reason, lines.readings_in(part), clock.now());
                }
                Attempt::Refused(_) | Attempt::TooLarge => {
                    let Range { start, end } = part;
                    let middle = start + (end - start) / 2;
                    parts.push(middle..end);
                    parts.push(start..middle);
                }
            }
        }
        Ok(())
    }

    /// A refused line, field by field.
    async fn deliver_fields(
        &mut self,
        line: &[u8],
        reason: String,
        clock: &dyn Clock,
        shutdown: &CancellationToken,
    ) -> Result<(), Stopped> {
        let fields = split_fields(line);
        if fields.len() <= 1 {
            self.refuse(line, reason, 1, clock.now());
            return Ok(());
        }
        for field in 0..fields.len() {
            let text = fields.text(field..field + 1);
            match self.attempt(text, clock, shutdown).await? {
                Attempt::Taken => self.taken(1, clock.now()),
                Attempt::Refused(reason) => self.refuse(text, reason, 1, clock.now()),
                Attempt::TooLarge => {
                    self.refuse(text, "too large for the server".to_owned(), 1, clock.now());
                }
            }
        }
        Ok(())
    }

    /// Sends one body until the server has taken or refused it.
    async fn attempt(
        &mut self,
        text: &[u8],
        clock: &dyn Clock,
        shutdown: &CancellationToken,
    ) -> Result<Attempt, Stopped> {
        let text = text.to_vec();
        let compressed = blocking(move || Ok(gzip(&text)))
            .await
            .map_err(|_| Stopped)?;
        loop {
            let written = tokio::select! {
                written = self.transport.write(compressed.clone()) => written,
                () = shutdown.cancelled() => return Err(Stopped),
            };
            let fault = match written {
                Ok(()) => {
                    self.backoff.reset();
                    return Ok(Attempt::Taken);
                }
                Err(WriteFault::Refused { message, .. }) => return Ok(Attempt::Refused(message)),
                Err(WriteFault::TooLarge) => return Ok(Attempt::TooLarge),
                Err(fault) => fault,
            };
            self.pause_after(&fault, clock.now(), shutdown).await?;
            if matches!(fault, WriteFault::NotFound(_)) {
                self.ensure_bucket(clock, shutdown).await?;
            }
        }
    }

    async fn pause_after(
        &mut self,
        fault: &WriteFault,
        now: Timestamp,
        shutdown: &CancellationToken,
    ) -> Result<(), Stopped> {
        let (state, asked) = match fault {
            WriteFault::Unauthorized { .. } => (InfluxState::Unauthorized, None),
            WriteFault::NotFound(_) => (InfluxState::NotFound, None),
            WriteFault::Later { after, .. } => (InfluxState::Retrying, *after),
            WriteFault::Refused { .. } | WriteFault::TooLarge => (InfluxState::Running, None),
        };
        self.failed(state, &fault.to_string(), now);
        self.pause(asked, shutdown).await
    }

    /// Notes a failure; said in the log when the state changes, not at every attempt.
    fn failed(&mut self, state: InfluxState, problem: &str, now: Timestamp) {
        self.monitor.update(|status| {
            if status.state != state {
                tracing::warn!(
                    problem,
                    ?state,
                    "InfluxDB takes nothing now; the journal keeps it"
                );
            }
            status.state = state;
            status.retries += 1;
            status.last_error = Some(problem.to_owned());
            status.last_error_at = Some(now);
        });
    }

    async fn pause(
        &mut self,
        asked: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<(), Stopped> {
        let pause = self.backoff.next(asked, &mut self.rng);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = shutdown.cancelled() => Err(Stopped),
        }
    }

    /// Looks after the bucket until the server has said something about it.
    pub(crate) async fn ensure_bucket(
        &mut self,
        clock: &dyn Clock,
        shutdown: &CancellationToken,
    ) -> Result<(), Stopped> {
        loop {
            let outcome = tokio::select! {
                outcome = self.admin.ensure_bucket() => outcome,
                () = shutdown.cancelled() => return Err(Stopped),
            };
            match outcome {
                BucketOutcome::Exists => {}
                BucketOutcome::Created => tracing::info!("the InfluxDB bucket was made"),
                BucketOutcome::NotOffered(reason) => {
                    tracing::info!(
                        reason,
                        "the InfluxDB bucket cannot be looked after; writing all the same"
                    );
                }
                BucketOutcome::NoOrganization => {
                    let problem = "the organisation does not exist";
                    self.failed(InfluxState::NotFound, problem, clock.now());
                }
                BucketOutcome::Later(problem) => {
                    self.failed(InfluxState::Retrying, &problem, clock.now());
                    self.pause(None, shutdown).await?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    fn taken(&mut self, readings: usize, now: Timestamp) {
        self.monitor.update(|status| {
            if status.state != InfluxState::Running {
                tracing::info!("InfluxDB takes readings");
            }
            status.state = InfluxState::Running;
            status.points_written += readings as u64;
            status.batches_written += 1;
            status.last_write_at = Some(now);
        });
    }

    /// Gives readings up: counted, listed, never silent.
    pub(crate) fn refuse(&mut self, text: &[u8], reason: String, readings: usize, now: Timestamp) {
        tracing::debug!(reason, readings, "InfluxDB refused readings for good");
        let text = String::from_utf8_lossy(text);
        let line = text.lines().next().unwrap_or_default();
        self.refusals.add(Refusal {
            at: now,
            line: line.chars().take(MAX_REFUSED_LINE).collect(),
            reason,
            readings: readings as u64,
        });
        self.publish_refusals();
    }

    pub(crate) fn publish_refusals(&self) {
        self.monitor.update(|status| {
            status.refused = self.refusals.count;
            status.refusals = self.refusals.listed.iter().cloned().collect();
        });
    }
}

/// Whether the server says that it dropped all `lines` of a batch because they are older than the
/// bucket's retention: then halving it would only ask the same again. Points dropped for another
/// reason may hold fields that can be kept.
fn dropped_all(reason: &str, lines: usize) -> bool {
    let Some((_, after)) = reason.rsplit_once("dropped") else {
        return false;
    };
    if !reason.contains("retention") {
        return false;
    }
    let digits: String = after
        .trim_start_matches([' ', '='])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse() == Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_dropped_whole_is_not_halved() {
        for (reason, lines, expected) in [
            (
                "partial write: points beyond retention policy dropped=3",
                3,
                true,
            ),
            (
                "partial write: points beyond retention policy dropped=3",
                4,
                false,
            ),
            ("partial write: field type conflict: … dropped=1", 1, false),
            ("unable to parse 'x': missing fields", 1, false),
            ("dropped", 0, false),
        ] {
            assert_eq!(dropped_all(reason, lines), expected, "{reason}");
        }
    }
}
