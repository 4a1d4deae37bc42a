//! `/format_query` and `/parse_query`: queries as text; and names that are none.

use axum::http::Uri;
use percent_encoding::percent_decode_str;
use rutile_api::{Data, Failed, Reply, Result, tree};
use rutile_model::quote;
use rutile_promql::Query;

use super::{Asked, Web};

/// How many bytes of a wrong name are shown.
const SHOWN_BYTES: usize = 200;

/// The text as it is, whoever asks.
async fn parsed(web: &Web, asked: &Asked) -> Result<Query> {
    let querier = &web.0.querier;
    let parser = querier.config.engine.parser;
    let text = asked.params.get("query").to_owned();
    let query = querier.cpu.run(move || Query::parse(&text, &parser)).await;
    query.map_err(|error| Failed::parameter("query", error))
}

/// `/format_query`
pub(super) async fn format(web: Web, asked: Asked) -> Result<Reply> {
    let query = parsed(&web, &asked).await?;
    Ok(Reply::new(Data::json(&query.expr().pretty())))
}

/// `/parse_query`
pub(super) async fn parse(web: Web, asked: Asked) -> Result<Reply> {
    let query = parsed(&web, &asked).await?;
    Ok(Reply::new(Data::json(&tree::of(query.expr()))))
}

/// The name in `/label/<name>/values` is not UTF-8.
pub(super) fn invalid_label(uri: &Uri) -> Failed {
    let mut segments = uri.path().rsplit('/');
    let name = segments.nth(1).unwrap_or_default();
    let name: Vec<u8> = percent_decode_str(name).take(SHOWN_BYTES).collect();
    Failed::bad_data(format!("invalid label name: {}", quoted(&name)))
}

/// Bytes in quotes, as Go shows them: those that are no text as `\xff`.
fn quoted(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        let valid = quote(chunk.valid());
        let inside = valid
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        shown.push_str(inside.unwrap_or_default());
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    format!("\"{shown}\"")
}
