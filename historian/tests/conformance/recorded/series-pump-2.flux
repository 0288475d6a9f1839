data = from(bucket: "conformance") |> range(start: time(v: -9223372036854774000), stop: time(v: 9223372036854774000)) |> filter(fn: (r) => r._measurement == "reading" and r.device == "pump-2")
data |> count() |> yield(name: "count")
data |> first() |> yield(name: "first")
data |> last() |> yield(name: "last")
