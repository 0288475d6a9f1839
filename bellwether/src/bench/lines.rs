//! The load of `bench historian` and `bench query`: line protocol, the same bytes for everybody.
//!
//! ```text
//! reading,device=press-17 temperature_c=61.234,pressure_bar=5.871,vibration_mm_s=2.310 1700000000000000000
//! ```
//!
//! Values move as those of machines do: a slow swing, noise of some last digits, three decimals.

use std::io::Write;

/// Signals of a device.
pub(super) const SIGNALS: [&str; 3] = ["temperature_c", "pressure_bar", "vibration_mm_s"];

/// 2023-11-14T22:13:20Z.
pub(super) const START_S: u64 = 1_700_000_000;

/// A small generator of noise (xorshift64*), because it runs beside what is measured.
#[derive(Debug, Clone)]
pub(super) struct Noise(u64);

impl Noise {
    /// Noise with a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform from 0 up to `below`.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }
}

/// A value in thousandths: level, swing over an hour and a half, noise.
fn thousandths(signal: usize, device: u64, at_s: u64, noise: &mut Noise) -> u64 {
    const LEVEL: [u64; 3] = [61_000, 5_800, 2_300];
    const SWING: [u64; 3] = [4_000, 300, 150];
    let level = LEVEL[signal % 3] + device % 97;
    let phase = (at_s + device * 37) % 5_400;
    let triangle = if phase < 2_700 { phase } else { 5_400 - phase };
    level + triangle * SWING[signal % 3] / 2_700 + noise.below(1 + SWING[signal % 3] / 8)
}

/// Request bodies of `lines` lines for each of `writers`: `values` values of `devices` devices, one
/// second apart. A device is one writer's, so that its lines go out in order, as devices send.
pub(super) fn bodies(values: u64, devices: u32, lines: u32, writers: u8) -> Vec<Vec<Vec<u8>>> {
    let rows = values / SIGNALS.len() as u64;
    let (devices, writers) = (u64::from(devices), usize::from(writers));
    let mut noise = Noise::new(rows);
    let mut all = vec![Vec::new(); writers];
    let mut open = vec![(Vec::new(), 0); writers];
    for row in 0..rows {
        let (device, at_s) = (row % devices, START_S + row / devices);
        let writer = (device % writers as u64) as usize;
        let (body, count) = &mut open[writer];
        write_line(body, device, at_s, &mut noise);
        *count += 1;
        if *count == lines {
            all[writer].push(std::mem::take(body));
            *count = 0;
        }
    }
    for (bodies, (body, count)) in all.iter_mut().zip(open) {
        if count > 0 {
            bodies.push(body);
        }
    }
    all
}

fn write_line(out: &mut Vec<u8>, device: u64, at_s: u64, noise: &mut Noise) {
    let values = [0, 1, 2].map(|signal| {
        let value = thousandths(signal, device, at_s, noise);
        (value / 1_000, value % 1_000)
    });
    let [a, b, c] = values;
    // Writing to memory cannot fail.
    let _ = writeln!(
        out,
        "reading,device=press-{device} {}={}.{:03},{}={}.{:03},{}={}.{:03} {at_s}000000000",
        SIGNALS[0], a.0, a.1, SIGNALS[1], b.0, b.1, SIGNALS[2], c.0, c.1,
    );
}

/// Body of one device with one signal at 1 Hz: seconds `from..to` after [`START_S`].
pub(super) fn one_hertz(device: &str, from: u64, to: u64, noise: &mut Noise) -> Vec<u8> {
    let mut body = Vec::with_capacity((to - from) as usize * 70);
    for second in from..to {
        let value = thousandths(0, 0, second, noise);
        let (whole, part) = (value / 1_000, value % 1_000);
        let at_s = START_S + second;
        let _ = writeln!(
            body,
            "reading,device={device} temperature_c={whole}.{part:03} {at_s}000000000"
        );
    }
    body
}

/// Body of a device with ten signals at 1 Hz: rows `from..to`.
pub(super) fn ten_signals(device: u64, from: u64, to: u64, noise: &mut Noise) -> Vec<u8> {
    let mut body = Vec::with_capacity((to - from) as usize * 200);
    for row in from..to {
        let _ = write!(body, "reading,device=rig-{device} ");
        for signal in 0..10 {
            let value = thousandths(signal, device, row, noise);
            let comma = if signal == 0 { "" } else { "," };
            let _ = write!(
                body,
                "{comma}s{signal}={}.{:03}",
                value / 1_000,
                value % 1_000
            );
        }
        let _ = writeln!(body, " {}000000000", START_S + row);
    }
    body
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_is_one_line_with_its_own_device_and_time() {
        let bodies = bodies(3_000, 7, 90, 2);
        let counts: Vec<_> = bodies.iter().map(Vec::len).collect();
        assert_eq!(counts, [7, 5], "572 and 428 lines in bodies of 90");
        let text = String::from_utf8(bodies.concat().concat()).unwrap();
        let keys: HashSet<_> = text
            .lines()
            .map(|line| {
                let parts: Vec<&str> = line.split(' ').collect();
                assert_eq!((parts.len(), parts[1].split(',').count()), (3, 3), "{line}");
                (parts[0], parts[2])
            })
            .collect();
        assert_eq!(keys.len(), 1_000);
        assert_eq!(
            text,
            String::from_utf8(super::bodies(3_000, 7, 90, 2).concat().concat()).unwrap()
        );
    }

    #[test]
    fn values_vary_and_have_three_decimals() {
        let body = String::from_utf8(one_hertz("a", 0, 500, &mut Noise::new(1))).unwrap();
        let values: HashSet<_> = body
            .lines()
            .filter_map(|line| line.split(['=', ' ']).nth(3))
            .collect();
        assert!(values.len() > 100, "{}", values.len());
        for value in values {
            assert_eq!(value.split_once('.').unwrap().1.len(), 3, "{value}");
        }
        let ten = String::from_utf8(ten_signals(3, 0, 2, &mut Noise::new(1))).unwrap();
        assert_eq!(
            ten.lines().next().unwrap().matches('=').count(),
            11,
            "{ten}"
        );
    }
}
