//! Start timestamps: what encodings 4, 5 and 6 add to their forerunners.
//!
//! A header byte says whether the first sample has one and with which sample they begin to change;
//! from there on each sample is followed by its distance to the timestamp before it.

use crate::bits::BitReader;
use crate::error::Result;
use crate::varbit;

/// Reads the start timestamps of one chunk, in step with its samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartTimes {
    first_known: bool,
    /// Index of the first sample whose start time is written; 0 for none.
    change_on: u16,
    start: i64,
    /// Distance from the timestamp of the sample before to the start time.
    diff: i64,
}

impl StartTimes {
    pub(crate) fn new(header: u8) -> Self {
        Self {
            first_known: header & 0x80 != 0,
            change_on: u16::from(header & 0x7F),
            start: 0,
            diff: 0,
        }
    }

    /// Start time (ms) of the sample that was read last; 0 if it has none.
    pub(crate) fn current(&self) -> i64 {
        self.start
    }

    /// Reads what follows the sample with this index, timestamp `t` and predecessor `previous_t`.
    #[inline]
    pub(crate) fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        index: u16,
        t: i64,
        previous_t: i64,
    ) -> Result<()> {
        if index == 0 {
            if self.first_known {
                self.start = t.wrapping_sub(reader.read_varint()?);
            }
            return Ok(());
        }
        if self.change_on == 0 || index < self.change_on {
            return Ok(());
        }
        let read = varbit::read_int(reader)?;
        let before = if index == self.change_on {
            0
        } else {
            self.diff
        };
        self.diff = before.wrapping_add(read);
        self.start = previous_t.wrapping_sub(self.diff);
        Ok(())
    }
}
