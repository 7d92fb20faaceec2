//! Units: OpenTelemetry writes them in UCUM, and Sentry knows durations, sizes and fractions by English names.

/// Returns Sentry's name for a unit. Sentry would ignore any other.
pub(super) fn of(ucum: &str) -> Option<&'static str> {
    Some(match ucum {
        "ns" => "nanosecond",
        "us" | "µs" => "microsecond",
        "ms" => "millisecond",
        "s" => "second",
        "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "wk" => "week",
        "bit" => "bit",
        "By" => "byte",
        "kBy" => "kilobyte",
        "KiBy" => "kibibyte",
        "MBy" => "megabyte",
        "MiBy" => "mebibyte",
        "GBy" => "gigabyte",
        "GiBy" => "gibibyte",
        "TBy" => "terabyte",
        "TiBy" => "tebibyte",
        "%" => "percent",
        _ => return None,
    })
}
