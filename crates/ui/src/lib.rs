//! The web page: its built files, embedded in the program, and the routes that serve them.
//!
//! The sources lie in `web/`; `make web` builds `dist`, which is committed, so that `cargo build` needs no Node.
//! Every address in the page, and every redirect here, is relative: behind a proxy that adds a prefix
//! (`--web.external-prefix`, `--web.prefix-header`) nothing needs to know it. Only the prefix that this program itself
//! puts before its routes (`--web.route-prefix`) is an argument.

mod asset;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use self::asset::{Asset, Lifetime};

/// The page itself. It names the other files.
const INDEX: &str = include_str!("../dist/index.html");
const FILES: [(&str, &[u8]); 5] = [
    ("favicon.svg", include_bytes!("../dist/favicon.svg")),
    ("licences.md", include_bytes!("../dist/licences.md")),
    ("page.css", include_bytes!("../dist/page.css")),
    ("page.js", include_bytes!("../dist/page.js")),
    ("theme.js", include_bytes!("../dist/theme.js")),
];
/// What the page says about the API while it is developed.
const DEVELOPMENT: &str = "data-serves=\"query stores\"";

/// A part of the HTTP API that the server has; the page shows what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `/api/v1/query` and what belongs to it.
    Query,
    /// `/api/v1/metadata`.
    Metadata,
    /// `/api/v1/stores`.
    Stores,
    /// `/api/v1/blocks`.
    Blocks,
    /// `/api/v1/blocks/plan`.
    Plan,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Metadata => "metadata",
            Self::Stores => "stores",
            Self::Blocks => "blocks",
            Self::Plan => "plan",
        }
    }
}

/// The routes of the page, for a server that has `parts`.
///
/// `prefix` is what stands before every route, such as `/thanos`; slashes around it do not matter. Where there is one,
/// `/` redirects to it. The API lies at `api/v1` beside the page, and is not served here. The reference's addresses
/// `/graph`, `/loaded` and `/global` redirect, parameters kept.
pub fn routes(prefix: &str, parts: &[Part]) -> Router {
    let name = prefix.trim_matches('/');
    let prefix = match name {
        "" => String::new(),
        name => format!("/{name}"),
    };
    let at = |path: &str| format!("{prefix}/{path}");
    let files = FILES.map(|(name, content)| {
        let asset = Asset::new(name, content.to_vec(), Lifetime::Forever);
        (name, with_digest(name, asset.digest()), asset)
    });
    let page = send(index(parts, &files));
    let mut router = Router::new().route(&at(""), page.clone());
    if let Some((_, last)) = prefix.rsplit_once('/') {
        router = router
            .route("/", redirect(format!("{name}/")))
            .route(&prefix, redirect(format!("{last}/")));
    }
    if parts.contains(&Part::Query) {
        router = router.route(&at("graph"), redirect("./".to_owned()));
    }
    if parts.contains(&Part::Stores) {
        router = router.route(&at("stores"), page.clone());
    }
    if parts.contains(&Part::Blocks) {
        router = router
            .route(&at("blocks"), page)
            .route(&at("loaded"), redirect("./blocks".to_owned()))
            .route(&at("global"), redirect("./blocks".to_owned()));
    }
    files.into_iter().fold(router, |router, (_, path, asset)| {
        router.route(&at(&path), send(asset))
    })
}

/// The page, with the parts of the API written into it, and the names under which browsers may keep the other files.
fn index(parts: &[Part], files: &[(&str, String, Asset)]) -> Asset {
    let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
    let serves = format!("data-serves=\"{}\"", names.join(" "));
    let text = files.iter().fold(
        INDEX.replace(DEVELOPMENT, &serves),
        |text, (name, path, _)| text.replace(&format!("\"./{name}\""), &format!("\"./{path}\"")),
    );
    Asset::new("index.html", text.into_bytes(), Lifetime::AskAgain)
}

/// `page.js` as `page-0123456789abcdef.js`.
fn with_digest(name: &str, digest: u64) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}-{digest:016x}.{extension}")
}

fn send(asset: Asset) -> MethodRouter {
    let answer =
        |State(asset): State<Arc<Asset>>, headers: HeaderMap| async move { asset.answer(&headers) };
    get(answer).with_state(Arc::new(asset))
}

/// To an address that is relative to the one that was asked for, with its parameters.
fn redirect(target: String) -> MethodRouter {
    get(async move |RawQuery(query): RawQuery| -> Response {
        let location = match query {
            Some(query) => format!("{target}?{query}"),
            None => target.clone(),
        };
        match HeaderValue::try_from(location) {
            Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    })
}

#[cfg(test)]
mod tests;
