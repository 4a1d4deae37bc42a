//! Whose request it is, and what that means for what it may see.

use axum::http::HeaderMap;
use rutile_api::{Failed, Result};
use rutile_model::Matcher;
use rutile_promql::{ParserOptions, Query};
use rutile_storeapi::DEFAULT_TENANT;

/// The header by which Thanos components tell each other the tenant.
const THANOS_HEADER: &str = "THANOS-TENANT";

/// How tenants are told apart.
#[derive(Debug, Clone)]
pub struct Tenancy {
    /// The request header that names the tenant.
    pub header: String,
    /// The tenant of requests that name none.
    pub default: String,
    /// The label that every selector must match, if tenants see their own data only.
    pub enforced_label: Option<String>,
}

impl Default for Tenancy {
    fn default() -> Self {
        Self {
            header: THANOS_HEADER.to_owned(),
            default: DEFAULT_TENANT.to_owned(),
            enforced_label: None,
        }
    }
}

impl Tenancy {
    /// The tenant of a request.
    ///
    /// # Errors
    /// `BadData` for a name that could be a path.
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> Result<String> {
        let header = |name: &str| {
            headers
                .get(name)?
                .to_str()
                .ok()
                .filter(|value| !value.is_empty())
        };
        let tenant = header(&self.header)
            .or_else(|| header(THANOS_HEADER))
            .unwrap_or(&self.default);
        if matches!(tenant, "" | "." | "..") || tenant.contains('/') {
            return Err(Failed::bad_data(format!(
                "tenant name {tenant:?} is not valid: it must be no path"
            )));
        }
        Ok(tenant.to_owned())
    }

    /// What a tenant may see of a query: all its selectors match the tenant's label.
    ///
    /// # Errors
    /// `BadData` for what is no query.
    pub(crate) fn query(&self, text: &str, tenant: &str, options: &ParserOptions) -> Result<Query> {
        let query = Query::parse(text, options);
        let query = match &self.enforced_label {
            Some(label) => query.and_then(|query| {
                let matcher = Matcher::equal(label.as_str(), tenant);
                query.restricted(&matcher, options)
            }),
            None => query,
        };
        query.map_err(|error| Failed::parameter("query", error))
    }

    /// What a tenant may see of selectors; without any of them, of everything.
    pub(crate) fn restrict_selectors(
        &self,
        mut sets: Vec<Vec<Matcher>>,
        tenant: &str,
    ) -> Vec<Vec<Matcher>> {
        if let Some(label) = &self.enforced_label {
            if sets.is_empty() {
                sets.push(Vec::new());
            }
            for set in &mut sets {
                set.push(Matcher::equal(label.as_str(), tenant));
            }
        }
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enforced() -> Tenancy {
        Tenancy {
            enforced_label: Some("tenant_id".to_owned()),
            ..Tenancy::default()
        }
    }

    #[test]
    fn every_selector_is_restricted() {
        let check = |query: &str, expected: &str| {
            let restricted = enforced().query(query, "a", &ParserOptions::all());
            let restricted = restricted.unwrap();
            assert_eq!(restricted.text(), expected);
            assert_eq!(restricted.expr().to_string(), expected);
        };
        check(
            "sum(rate(up{job=\"x\"}[5m])) / on () {__name__=\"y\"} or z offset 1m",
            "sum(rate(up{job=\"x\",tenant_id=\"a\"}[5m])) / on () {__name__=\"y\",tenant_id=\"a\"} or z{tenant_id=\"a\"} offset 1m",
        );
        check(
            "max_over_time(up[1h:1m])",
            "max_over_time(up{tenant_id=\"a\"}[1h:1m])",
        );
        check("up{tenant_id=\"b\"}", "up{tenant_id=\"a\",tenant_id=\"b\"}");
        check("1 + 1", "1 + 1");
        let options = ParserOptions::all();
        assert!(enforced().query("up{", "a", &options).is_err());
        let own = Tenancy::default().query(" up", "a", &options).unwrap();
        assert_eq!(own.text(), " up", "as it was");
    }

    #[test]
    fn a_request_without_selectors_sees_its_own_data_only() {
        let sets = enforced().restrict_selectors(Vec::new(), "a");
        assert_eq!(sets, [vec![Matcher::equal("tenant_id", "a")]]);
        assert!(
            Tenancy::default()
                .restrict_selectors(Vec::new(), "a")
                .is_empty()
        );
    }

    #[test]
    fn tenants_come_from_headers() {
        let tenancy = Tenancy {
            header: "X-Scope".to_owned(),
            ..Tenancy::default()
        };
        let mut headers = HeaderMap::new();
        assert_eq!(tenancy.tenant(&headers).unwrap(), "default-tenant");
        headers.insert("thanos-tenant", "b".parse().unwrap());
        assert_eq!(tenancy.tenant(&headers).unwrap(), "b");
        headers.insert("x-scope", "c".parse().unwrap());
        assert_eq!(tenancy.tenant(&headers).unwrap(), "c");
        for wrong in ["..", "a/b", "."] {
            headers.insert("x-scope", wrong.parse().unwrap());
            assert!(tenancy.tenant(&headers).is_err(), "{wrong}");
        }
    }
}
