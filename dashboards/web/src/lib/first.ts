// The first thing a newcomer can do: publish one reading by hand.

export function firstCommand(): string {
  return `mosquitto_pub -h ${window.location.hostname} -p 1883 -q 1 -t telemetry/pump-1 -m '{"bearing_temperature_c": 61.5, "discharge_pressure_bar": 5.2}'`;
}
