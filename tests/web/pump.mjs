// A pump as numbers: a load cycle that all signals follow, noise from a seeded generator, and
// a bearing that wears. The same seed gives the same rows on every machine.

const STEP_MS = 10_000;
const CYCLE_ROWS = 180;

function generator(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Rows `from..to` of the life of a pump; `wear(row)` is 0 for a good bearing, `stuck(row)` whether the discharge pressure repeats itself. */
export function pump({ from, to, start, seed = 1, wear = () => 0, stuck = () => false }) {
  const noise = generator(seed * 7919 + from);
  const rows = [];
  let pressure = '6.2000';
  for (let row = from; row < to; row++) {
    const load = Math.sin((2 * Math.PI * row) / CYCLE_ROWS);
    const worn = wear(row);
    const measured = (6.2 - 0.2 * load + 0.03 * noise()).toFixed(4);
    if (!stuck(row)) pressure = measured;
    rows.push({
      time: new Date(start + row * STEP_MS).toISOString(),
      flow_l_min: (420 + 18 * load + 2 * noise()).toFixed(3),
      discharge_pressure_bar: pressure,
      motor_current_a: (38 + 1.5 * load + 0.2 * noise()).toFixed(4),
      vibration_mm_s: (2.1 + 0.12 * load + 0.05 * noise() + 0.25 * worn).toFixed(4),
      acceleration_g: (0.6 + 0.03 * load + 0.02 * noise() + 0.5 * worn).toFixed(4),
      bearing_temperature_c: (58 + 2 * load + 0.3 * noise() + 0.4 * worn).toFixed(4),
    });
  }
  return rows;
}
