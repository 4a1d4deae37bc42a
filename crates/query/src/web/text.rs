//! `/format_query` and `/parse_query`: queries as text.

use rutile_api::{Data, Failed, Reply, Result, tree};
use rutile_promql::{Expr, parse_expr};

use super::{Asked, Web};

fn parsed(web: &Web, asked: &Asked) -> Result<Expr> {
    let parser = &web.0.querier.config.engine.parser;
    parse_expr(asked.params.get("query"), parser).map_err(|error| Failed::parameter("query", error))
}

/// `/format_query`
pub(super) fn format(web: &Web, asked: &Asked) -> Result<Reply> {
    Ok(Reply::new(Data::json(&parsed(web, asked)?.pretty())))
}

/// `/parse_query`
pub(super) fn parse(web: &Web, asked: &Asked) -> Result<Reply> {
    Ok(Reply::new(Data::json(&tree::of(&parsed(web, asked)?))))
}
