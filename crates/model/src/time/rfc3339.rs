//! RFC 3339 timestamps to and from milliseconds, by the proleptic Gregorian calendar.

use crate::{Error, quote::quote};

const DAY_MS: i64 = 86_400_000;

/// Reads `2026-01-02T03:04:05Z`, with any number of digits of a second and any offset
/// (`.123456789+02:00`), of the years 0000 to 9999. What is finer than a millisecond is cut off.
///
/// # Errors
///
/// The text is not such a timestamp or names a day or hour that does not exist.
pub fn parse_rfc3339(text: &str) -> crate::Result<i64> {
    parse(text).ok_or_else(|| {
        Error::invalid(format!(
            "not a timestamp: {}: write it as 2026-01-02T03:04:05Z or 2026-01-02T03:04:05.678+01:00",
            quote(text)
        ))
    })
}

fn parse(text: &str) -> Option<i64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let &[
        y3,
        y2,
        y1,
        y0,
        b'-',
        m1,
        m0,
        b'-',
        d1,
        d0,
        b'T',
        h1,
        h0,
        b':',
        i1,
        i0,
        b':',
        s1,
        s0,
    ] = date_time.as_bytes()
    else {
        return None;
    };
    let year = number(&[y3, y2, y1, y0], 0, 9999)?;
    let month = number(&[m1, m0], 1, 12)?;
    let day = number(&[d1, d0], 1, days_in(year, month))?;
    let (hour, minute) = (number(&[h1, h0], 0, 23)?, number(&[i1, i0], 0, 59)?);
    let second = number(&[s1, s0], 0, 59)?;

    let (ms, offset) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let end = fraction
                .find(|c: char| !c.is_ascii_digit())
                .filter(|end| *end > 0)?;
            let (digits, offset) = fraction.split_at(end);
            let ms = digits.bytes().chain([b'0'; 3]).take(3);
            (
                ms.fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0')),
                offset,
            )
        }
    };
    let seconds = (hour * 60 + minute) * 60 + second - offset_seconds(offset)?;
    Some(days_from_epoch(year, month, day) * DAY_MS + seconds * 1000 + ms)
}

fn offset_seconds(text: &str) -> Option<i64> {
    match text.as_bytes() {
        b"Z" => Some(0),
        &[sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let seconds = (number(&[h1, h0], 0, 23)? * 60 + number(&[m1, m0], 0, 59)?) * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8], min: i64, max: i64) -> Option<i64> {
    let mut number = 0;
    for digit in digits {
        number = number * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (min..=max).contains(&number).then_some(number)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Years are counted from March, so that the leap day is the last one; 400 of them have 146,097
/// days; months from March on have 30.6 days when rounded; March 1st 0000 is day -719,468.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_epoch`]: year, month, day.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

/// Writes a timestamp in UTC, with as many digits of a second as it has: `2026-01-02T03:04:05.67Z`.
/// Years beyond 9999 have more than four digits and are not read back.
#[must_use]
pub fn format_rfc3339(at_ms: i64) -> String {
    let (year, month, day) = date_of(at_ms.div_euclid(DAY_MS));
    let ms = at_ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if ms % 1_000 != 0 {
        text += format!(".{:03}", ms % 1_000).trim_end_matches('0');
    }
    text + "Z"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
            ("2000-02-29T12:00:00.123456789Z", 951_825_600_123),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("2026-01-01T02:30:00+02:30", 1_767_225_600_000),
            ("2025-12-31T23:00:00.5-01:00", 1_767_225_600_500),
        ] {
            assert_eq!(parse_rfc3339(text), Ok(ms), "{text}");
        }
        assert_eq!(format_rfc3339(951_825_600_120), "2000-02-29T12:00:00.12Z");
        assert_eq!(format_rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_rfc3339(i64::MAX), "292278994-08-17T07:12:55.807Z");
    }

    #[test]
    fn refuses_what_does_not_exist() {
        for text in [
            "",
            "2026-01-01",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00",
            "2026-01-01t00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+24:00",
            "2026-1-01T00:00:00Z",
            "20260-01-01T00:00:00Z",
            "2026-01-01T00:00:0ßZ",
            "2026-01-01T00:00:00Z ",
        ] {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            prop_assert_eq!(parse_rfc3339(&format_rfc3339(ms)), Ok(ms));
        }

        #[test]
        fn days_are_consecutive(days in -4_000_000_i64..4_000_000) {
            let (year, month, day) = date_of(days);
            prop_assert_eq!(days_from_epoch(year, month, day), days);
            prop_assert!((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day));
        }
    }
}
