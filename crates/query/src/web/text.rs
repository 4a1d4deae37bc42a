//! `/format_query` and `/parse_query`: queries as text.

use rutile_api::{Data, Failed, Reply, Result, tree};
use rutile_promql::Query;

use super::{Asked, Web};

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
