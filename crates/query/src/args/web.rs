//! The HTTP side, and whom it serves.

use clap::Args;
use http::HeaderName;
use rutile_server::Failure;

use super::{invalid, refuse};
use crate::Tenancy;

/// Paths and headers.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Web")]
pub(crate) struct WebArgs {
    /// What stands before all paths [default: --web.external-prefix].
    #[arg(long = "web.route-prefix", default_value = "", value_name = "PREFIX")]
    route_prefix: String,
    /// Prefix of all links of the pages.
    #[arg(
        long = "web.external-prefix",
        default_value = "",
        value_name = "PREFIX"
    )]
    pub(crate) external_prefix: String,
    /// Request header that holds the prefix of all links.
    #[arg(long = "web.prefix-header", default_value = "", value_name = "HEADER")]
    pub(crate) prefix_header: String,
    /// No CORS headers.
    #[arg(long = "web.disable-cors")]
    pub(crate) disable_cors: bool,
    /// Base of the links of alerts [default: http://localhost and the port].
    #[arg(long = "alert.query-url", default_value = "", value_name = "URL")]
    pub(crate) alert_query_url: String,
}

/// Tenants.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tenants")]
pub(crate) struct TenancyArgs {
    /// The request header that names the tenant.
    #[arg(
        long = "query.tenant-header",
        default_value = "THANOS-TENANT",
        value_name = "HEADER"
    )]
    header: String,
    /// The tenant of requests that name none.
    #[arg(
        long = "query.default-tenant-id",
        default_value = "default-tenant",
        value_name = "NAME"
    )]
    default: String,
    /// The field of the client's certificate that names the tenant (not supported yet).
    #[arg(
        long = "query.tenant-certificate-field",
        default_value = "",
        value_parser = ["", "organization", "organizationalUnit", "commonName"]
    )]
    certificate_field: String,
    /// Every selector must match the tenant's label.
    #[arg(long = "query.enforce-tenancy")]
    enforce: bool,
    /// The name of that label.
    #[arg(
        long = "query.tenant-label-name",
        default_value = "tenant_id",
        value_name = "NAME"
    )]
    label: String,
}

impl WebArgs {
    /// What stands before all paths: empty, or `/prefix`.
    ///
    /// # Errors
    /// A failure for what is no path.
    pub(crate) fn route_prefix(&self) -> Result<String, Failure> {
        let (flag, prefix) = match self.route_prefix.as_str() {
            "" => ("--web.external-prefix", &self.external_prefix),
            _ => ("--web.route-prefix", &self.route_prefix),
        };
        let path = prefix.trim_matches('/');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !path.chars().all(is_plain) {
            return Err(invalid(format!(
                "{flag} {prefix} is no path: use letters, digits, - . _ ~ and /"
            )));
        }
        Ok(if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        })
    }
}

/// The name of a header must be one.
fn header(flag: &str, name: &str) -> Result<(), Failure> {
    match HeaderName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid(format!("{flag} {name:?} is no name of a header"))),
    }
}

impl TenancyArgs {
    /// How tenants are told apart.
    ///
    /// # Errors
    /// A failure for what is not supported.
    pub(crate) fn tenancy(&self) -> Result<Tenancy, Failure> {
        refuse(&[(
            "--query.tenant-certificate-field",
            !self.certificate_field.is_empty(),
        )])?;
        header("--query.tenant-header", &self.header)?;
        if self.enforce && self.label.is_empty() {
            return Err(invalid(
                "--query.enforce-tenancy needs the name of a label: set --query.tenant-label-name",
            ));
        }
        Ok(Tenancy {
            header: self.header.clone(),
            default: self.default.clone(),
            enforced_label: self.enforce.then(|| self.label.clone()),
        })
    }
}
