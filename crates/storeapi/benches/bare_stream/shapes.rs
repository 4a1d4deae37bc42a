//! Made-up answers in the sizes of real ones.

use clap::ValueEnum;
use rutile_storeapi::{ChunkRef, FrameWriter, Frames, Result, thanos::chunk::Encoding};

/// Bytes of a chunk of 120 samples, about.
const CHUNK: usize = 416;
const FIRST_TIME: i64 = 1_767_225_600_000;
const CHUNK_TIME: i64 = 120 * 15_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// 30,000 series with 16 chunks each, 219 MB.
    Chunks,
    /// 300,000 label sets of about 250 bytes.
    Labels,
    /// The same in batches of 64.
    Batches,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Chunks, Self::Labels, Self::Batches];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chunks => "chunks",
            Self::Labels => "labels",
            Self::Batches => "batches",
        }
    }

    /// The answer, in the pieces in which a store hands it over.
    pub(crate) fn frames(self) -> Result<Vec<Frames>> {
        let (series, chunks, batch) = match self {
            Self::Chunks => (30_000, 16, 1),
            Self::Labels => (300_000, 0, 1),
            Self::Batches => (300_000, 0, 64),
        };
        let mut data = vec![0_u8; CHUNK + 251];
        for (byte, i) in data.iter_mut().zip(1_u32..) {
            *byte = i.wrapping_mul(2_654_435_761).to_be_bytes()[0];
        }
        let mut writer = FrameWriter::new(batch);
        let mut answer = Vec::new();
        for i in 0..series {
            let mut out = writer.series();
            labels(i, |name, value| {
                out.label(name.as_bytes(), value.as_bytes());
            });
            let mut time = FIRST_TIME;
            for j in 0..chunks {
                let chunk = &data[(i + j) % 251..][..CHUNK];
                let chunk = ChunkRef {
                    encoding: Encoding::Xor.into(),
                    data: chunk,
                    hash: 0,
                };
                out.raw(time, time + CHUNK_TIME - 1, chunk);
                time += CHUNK_TIME;
            }
            out.finish()?;
            if writer.is_full() {
                answer.push(writer.take());
            }
        }
        answer.push(writer.finish()?);
        Ok(answer)
    }
}

fn labels(i: usize, mut label: impl FnMut(&str, &str)) {
    label("__name__", "container_network_receive_bytes_total");
    label("cluster", "eu-west-1-production");
    label("container", "prometheus-config-reloader");
    label(
        "instance",
        &format!("10.0.{}.{}:9100", i / 250 % 250, i % 250),
    );
    label("job", "kubernetes-service-endpoints");
    label("namespace", &format!("team-{}", i / 1000));
    label("pod", &format!("prometheus-server-{i:08}"));
    label("replica", "prometheus-0");
}
