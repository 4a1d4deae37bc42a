//! Parts of dates, in UTC by the proleptic Gregorian calendar.

use rutile_model::Labels;

use crate::ast::FunctionId;

use super::{CallContext, column};
use crate::engine::column::{Operand, Row};

/// Days of four hundred years.
const ERA_DAYS: u64 = 146_097;
/// As Go does, days are counted from March 1st of a year so early that they are never negative.
const FIRST_YEAR: i64 = -292_277_022_400;
/// From that day to the Unix epoch, in seconds.
const EPOCH: i64 = (-FIRST_YEAR / 400 * ERA_DAYS as i64 + 306 + 719_162) * DAY;
const DAY: i64 = 86_400;

/// A second of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    year: i64,
    /// From 1.
    month: u64,
    /// From 1.
    day: u64,
    /// From 1.
    day_of_year: u64,
    /// From Sunday, which is 0.
    weekday: u64,
    second_of_day: u64,
}

/// What tells a part of a date.
pub(super) fn part(id: FunctionId) -> Option<fn(Date) -> f64> {
    Some(match id {
        FunctionId::Minute => |date| (date.second_of_day / 60 % 60) as f64,
        FunctionId::Hour => |date| (date.second_of_day / 3600) as f64,
        FunctionId::DayOfWeek => |date| date.weekday as f64,
        FunctionId::DayOfMonth => |date| date.day as f64,
        FunctionId::DayOfYear => |date| date.day_of_year as f64,
        FunctionId::DaysInMonth => |date| date.days_in_month() as f64,
        FunctionId::Month => |date| date.month as f64,
        FunctionId::Year => |date| date.year as f64,
        _ => return None,
    })
}

/// The part of the dates that a vector holds as seconds; without a vector, of the steps.
pub(super) fn apply(
    context: &CallContext<'_>,
    rows: Option<Vec<Row>>,
    part: fn(Date) -> f64,
) -> Operand {
    if let Some(rows) = rows {
        return context.map_floats(rows, |_, value| Some(part(Date::at(seconds(value)))));
    }
    let floats = context.steps.times().map(|ms| part(Date::at(ms / 1000)));
    Operand::Vector(vec![Row::new(Labels::empty(), column(floats.collect()))])
}

/// What amd64 makes of a float that is to be an integer: the smallest one for what does not fit.
fn seconds(value: f64) -> i64 {
    if value >= -(2.0_f64.powi(63)) && value < 2.0_f64.powi(63) {
        value as i64
    } else {
        i64::MIN
    }
}

impl Date {
    /// The date of a Unix time.
    fn at(unix: i64) -> Self {
        // Times that are too large wrap around, as in Go.
        let seconds = unix.wrapping_add(EPOCH).cast_unsigned();
        let (days, second_of_day) = (seconds / DAY as u64, seconds % DAY as u64);
        let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months from March on have 30.6 days, rounded.
        let month = (5 * from_march + 2) / 153;
        let day = from_march - (153 * month + 2) / 5 + 1;
        let year = FIRST_YEAR + (era * 400 + year_of_era) as i64;
        let mut date = Self {
            year,
            month: month + 3,
            day,
            day_of_year: 0,
            weekday: (days + 3) % 7,
            second_of_day,
        };
        if month >= 10 {
            date.year += 1;
            date.month = month - 9;
            date.day_of_year = from_march - 305;
        } else {
            date.day_of_year = from_march + 60 + u64::from(date.is_leap_year());
        }
        date
    }

    fn is_leap_year(&self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }

    fn days_in_month(&self) -> u64 {
        match self.month {
            2 => 28 + u64::from(self.is_leap_year()),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_go() {
        // Year, month, day, day of the year, weekday, days in the month, hour, minute: Go's `time`.
        for (value, want) in [
            (0.0, [1970, 1, 1, 1, 4, 31, 0, 0]),
            (951_782_399.0, [2000, 2, 28, 59, 1, 29, 23, 59]),
            (951_868_800.9, [2000, 3, 1, 61, 3, 31, 0, 0]),
            (-0.5, [1970, 1, 1, 1, 4, 31, 0, 0]),
            (-1.0, [1969, 12, 31, 365, 3, 31, 23, 59]),
            (1_735_603_200.0, [2024, 12, 31, 366, 2, 31, 0, 0]),
            (-62_167_219_200.0, [0, 1, 1, 1, 6, 31, 0, 0]),
        ] {
            let date = Date::at(seconds(value));
            let got = [
                FunctionId::Year,
                FunctionId::Month,
                FunctionId::DayOfMonth,
                FunctionId::DayOfYear,
                FunctionId::DayOfWeek,
                FunctionId::DaysInMonth,
                FunctionId::Hour,
                FunctionId::Minute,
            ]
            .map(|id| part(id).map(|part| part(date) as i64).unwrap());
            assert_eq!(got, want, "{value}");
        }
    }
}
