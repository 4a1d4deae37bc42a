//! Asking a store gateway for everything, and what it answers.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use prost::Message;
use rutile_block::{BlockId, resolution};
use rutile_proto::hintspb::LabelNamesResponseHints;
use rutile_proto::thanos::{
    Aggr, AggrChunk, Chunk, LabelMatcher, LabelNamesRequest, Series, SeriesRequest, label_matcher,
    series_response,
};
use rutile_store::Store;
use rutile_storeapi::{RequestContext, StoreApi};

use crate::actor::Process;
use crate::cell::{Samples, add_samples, floats, stream_of};
use crate::cells::Cells;
use crate::scenario::CONTRACT;

/// A question for everything.
#[derive(Debug)]
pub(super) struct Question {
    /// The coarsest resolution that it allows, ms.
    pub(super) max_resolution: i64,
    /// Whether the client begins to read when the delays are over.
    pub(super) slow: bool,
    /// The cells that others served when it was asked.
    pub(super) others: Cells,
    /// The cells that were to stay when it was asked.
    pub(super) owed: Cells,
}

/// How often each sample is there: by stream and series, by time and value.
pub(super) type Held = BTreeMap<(String, String), BTreeMap<(i64, u64), usize>>;

/// An answer, and the blocks that were served then.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Raw samples by stream, if nothing else was asked for.
    pub(super) samples: BTreeMap<String, Samples>,
    /// The same, as often as each is there.
    pub(super) held: Held,
    /// By stream, series and time how many samples there were, and their sum.
    pub(super) counted: BTreeMap<(String, String), BTreeMap<i64, (f64, f64)>>,
    pub(super) blocks: Vec<BlockId>,
    pub(super) warnings: Vec<String>,
    /// What is wrong with the samples of a series.
    pub(super) twice: Option<String>,
}

/// Asks a store gateway for everything.
pub(super) async fn ask(
    process: &Process,
    store: &Store,
    question: &Question,
) -> Result<Answer, String> {
    let raw = question.max_resolution == resolution::RAW;
    let aggregates = if raw {
        vec![Aggr::Raw as i32]
    } else {
        vec![Aggr::Count as i32, Aggr::Sum as i32]
    };
    let request = SeriesRequest {
        min_time: i64::MIN,
        max_time: i64::MAX,
        matchers: vec![LabelMatcher {
            r#type: label_matcher::Type::Eq as i32,
            name: "__name__".to_owned(),
            value: "m".to_owned(),
        }],
        max_resolution_window: question.max_resolution,
        aggregates,
        ..SeriesRequest::default()
    };
    let context = RequestContext::default;
    let mut answer = Answer {
        blocks: blocks(store).await?,
        ..Answer::default()
    };
    let stream = store.gateway.series(context(), request).await;
    let stream = stream.map_err(|e| e.to_string())?;
    if question.slow {
        process.world.reach("S43");
        process.sleep(2 * CONTRACT.delete_delay_ms).await;
    }
    let frames: Vec<_> = stream.try_collect().await.map_err(|e| e.to_string())?;
    for frame in frames {
        for message in frame.decode().map_err(|e| e.to_string())? {
            match message.result {
                Some(series_response::Result::Series(series)) => answer.add(&series, raw)?,
                Some(series_response::Result::Warning(warning)) => answer.warnings.push(warning),
                _ => {}
            }
        }
    }
    Ok(answer)
}

/// The blocks that are served now. A call that reads the label names of all of them tells.
async fn blocks(store: &Store) -> Result<Vec<BlockId>, String> {
    let request = LabelNamesRequest {
        start: i64::MIN,
        end: i64::MAX,
        ..LabelNamesRequest::default()
    };
    let context = RequestContext::default();
    let names = store.gateway.label_names(context, request).await;
    let hints = names.map_err(|e| e.to_string())?.hints.unwrap_or_default();
    let hints = LabelNamesResponseHints::decode(&*hints.value).map_err(|e| e.to_string())?;
    let blocks = hints.queried_blocks.iter();
    let blocks = blocks.map(|block| block.id.parse::<BlockId>().map_err(|e| e.to_string()));
    blocks.collect()
}

impl Answer {
    fn add(&mut self, series: &Series, raw: bool) -> Result<(), String> {
        let label = |name: &str| {
            let label = series.labels.iter().find(|label| label.name == name);
            label.map(|label| label.value.as_str())
        };
        let stream = stream_of(label);
        let name = label("series").unwrap_or_default().to_owned();
        if raw {
            let held = (stream.clone(), name.clone());
            let held = self.held.entry(held).or_default();
            let samples = self.samples.entry(stream).or_default().entry(name);
            let samples = samples.or_default();
            for chunk in &series.chunks {
                let chunk = chunk.raw.as_ref().ok_or("a chunk without samples")?;
                for (t, value) in floats(&chunk.data)? {
                    *held.entry((t, value.to_bits())).or_default() += 1;
                }
                if let Err(error) = add_samples(&chunk.data, samples) {
                    self.twice.get_or_insert(error);
                }
            }
            return Ok(());
        }
        let counted = self.counted.entry((stream, name)).or_default();
        for chunk in &series.chunks {
            for (t, count, sum) in counts(chunk)? {
                let (counts, sums) = counted.entry(t).or_default();
                *counts += count;
                *sums += sum;
            }
        }
        Ok(())
    }
}

/// Time, number of samples and sum of each window, or sample.
fn counts(chunk: &AggrChunk) -> Result<Vec<(i64, f64, f64)>, String> {
    if let Some(raw) = &chunk.raw {
        let samples = floats(&raw.data)?.into_iter();
        return Ok(samples.map(|(t, value)| (t, 1.0, value)).collect());
    }
    let part = |part: &Option<Chunk>| floats(&part.as_ref().ok_or("an aggregate is missing")?.data);
    let (counts, sums) = (part(&chunk.count)?, part(&chunk.sum)?);
    if !counts
        .iter()
        .map(|(t, _)| t)
        .eq(sums.iter().map(|(t, _)| t))
    {
        return Err("the aggregates of a chunk have different times".to_owned());
    }
    let both = counts.into_iter().zip(sums);
    Ok(both.map(|((t, count), (_, sum))| (t, count, sum)).collect())
}
