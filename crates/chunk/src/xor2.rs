//! Float samples with start timestamps, encoding 4. Read only: no Thanos peer understands it.
//!
//! One code says at once whether the timestamp and the value went on as before; stale markers have
//! codes of their own and leave alone what the next value is compared with.
//!
//! Source: Prometheus `tsdb/chunkenc/xor2.go`; see docs/formats/chunks.md.

use crate::bits::BitReader;
use crate::chunk::{Countdown, read_count, read_header};
use crate::encoding::Encoding;
use crate::error::Result;
use crate::start_time::StartTimes;
use crate::window::Window;

const HEADER_LEN: usize = 3;
const STALE_NAN: u64 = rutile_model::sample::STALE_NAN.to_bits();

/// Reads a chunk sample by sample, in order.
#[derive(Debug, Clone)]
pub struct Xor2Iter<'a> {
    reader: BitReader<'a>,
    samples: Countdown,
    starts: StartTimes,
    t: i64,
    t_delta: i64,
    value: u64,
    /// What the next value is compared with: the last one that was no stale marker.
    baseline: u64,
    window: Window,
}

impl<'a> Xor2Iter<'a> {
    /// Starts before the first sample.
    pub fn new(data: &'a [u8]) -> Result<Self> {
        let what = Encoding::Xor2.name();
        let [_, _, start_header] = read_header(data, what)?;
        Ok(Self {
            samples: Countdown::new(read_count(data, what)?),
            reader: BitReader::new(data, HEADER_LEN, what),
            starts: StartTimes::new(start_header),
            t: 0,
            t_delta: 0,
            value: 0,
            baseline: 0,
            window: Window::default(),
        })
    }

    /// Start timestamp (ms) of the sample that was read last; 0 if it has none.
    #[must_use]
    pub fn start_time(&self) -> i64 {
        self.starts.current()
    }

    fn read(&mut self, index: u16) -> Result<()> {
        let previous_t = self.t;
        match index {
            0 => {
                self.t = self.reader.read_varint()?;
                self.value = self.reader.read_bits(64)?;
                if self.value != STALE_NAN {
                    self.baseline = self.value;
                }
            }
            1 => {
                self.t_delta = self.reader.read_uvarint()?.cast_signed();
                self.t = self.t.wrapping_add(self.t_delta);
                self.read_value()?;
            }
            _ => self.read_later()?,
        }
        self.starts
            .read(&mut self.reader, index, self.t, previous_t)
    }

    #[inline]
    fn read_later(&mut self) -> Result<()> {
        let ones = self.reader.read_ones(5)?;
        let dod_width = match ones {
            2 => 13,
            3 => 20,
            4 => 64,
            _ => 0,
        };
        if dod_width > 0 {
            let bits = self.reader.read_bits(dod_width)?;
            // Real two's complement, unlike the code of encoding 1.
            let dod = (bits << (64 - dod_width)).cast_signed() >> (64 - dod_width);
            self.t_delta = self.t_delta.wrapping_add(dod);
        }
        self.t = self.t.wrapping_add(self.t_delta);
        match ones {
            0 => self.value = self.baseline,
            1 => {
                self.baseline = if self.reader.read_bit()? {
                    self.window.read_new(&mut self.reader, self.baseline)?
                } else {
                    self.window.read_reused(&mut self.reader, self.baseline)?
                };
                self.value = self.baseline;
            }
            5 => self.value = STALE_NAN,
            _ => self.read_value()?,
        }
        Ok(())
    }

    /// The value code behind a timestamp that did not go on as before.
    fn read_value(&mut self) -> Result<()> {
        match self.reader.read_ones(3)? {
            0 => {}
            1 => self.baseline = self.window.read_reused(&mut self.reader, self.baseline)?,
            2 => self.baseline = self.window.read_new(&mut self.reader, self.baseline)?,
            _ => {
                self.value = STALE_NAN;
                return Ok(());
            }
        }
        self.value = self.baseline;
        Ok(())
    }
}

impl Iterator for Xor2Iter<'_> {
    type Item = Result<(i64, f64)>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.samples.next()?;
        if let Err(error) = self.read(index) {
            self.samples.stop();
            return Some(Err(error));
        }
        Some(Ok((self.t, f64::from_bits(self.value))))
    }
}
