use std::io::Write;

use clap::{FromArgMatches, Subcommand};
use rutile_model::{GoDuration, PromDuration};

use super::*;
use crate::flags::{CommonArgs, GrpcArgs, HttpArgs};

#[derive(Debug, Args)]
struct Flags {
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    grpc: GrpcArgs,
    #[command(flatten)]
    common: CommonArgs,
    #[arg(long = "cache-index-header", default_value_t = true)]
    cache: bool,
    #[arg(long = "web.disable")]
    web_disable: bool,
    #[arg(long)]
    selector: Vec<String>,
}

fn parse_flags(argv: &[&str]) -> Result<Flags, Answer> {
    let argv = std::iter::once(&"rutile-test")
        .chain(argv)
        .map(|a| (*a).to_owned())
        .collect();
    parse("rutile-test", "A test.", argv)
}

#[test]
fn defaults_are_those_of_the_reference() {
    let flags = parse_flags(&[]).unwrap();
    assert_eq!(flags.http.http_address, "0.0.0.0:10902");
    assert_eq!(flags.http.http_grace_period, PromDuration::from_ms(120_000));
    assert_eq!(flags.grpc.grpc_address, "0.0.0.0:10901");
    assert_eq!(
        flags.grpc.grpc_server_max_connection_age,
        GoDuration::from_ms(3_600_000)
    );
    assert_eq!(flags.grpc.grpc_grace_period, GoDuration::from_ms(120_000));
    assert!(flags.cache && !flags.web_disable && !flags.common.enable_auto_gomemlimit);
    assert_eq!(
        (
            flags.common.log.log_level.as_str(),
            flags.common.memory_limit
        ),
        ("info", None)
    );
    flags.grpc.validate().unwrap();
    flags.common.validate().unwrap();
}

#[test]
fn switches_have_a_no_form() {
    let check = |argv: &[&str], cache, web_disable| {
        let flags = parse_flags(argv).unwrap();
        assert_eq!(
            (flags.cache, flags.web_disable),
            (cache, web_disable),
            "{argv:?}"
        );
    };
    check(&["--no-cache-index-header"], false, false);
    check(&["--cache-index-header", "--web.disable"], true, true);
    check(&["--no-web.disable"], true, false);
    check(
        &["--cache-index-header=false", "--web.disable=true"],
        false,
        true,
    );
}

#[test]
fn values_come_after_a_space_or_an_equals_sign() {
    let flags = parse_flags(&[
        "--http-address",
        ":1",
        "--grpc-address=:2",
        "--grpc-grace-period=1h30m",
        "--selector=a",
        "--selector",
        "b",
        "--memory.limit=250MB",
    ]);
    let flags = flags.unwrap();
    assert_eq!(
        (
            flags.http.http_address.as_str(),
            flags.grpc.grpc_address.as_str()
        ),
        (":1", ":2")
    );
    assert_eq!(flags.grpc.grpc_grace_period, GoDuration::from_ms(5_400_000));
    assert_eq!(flags.selector, ["a", "b"]);
    assert_eq!(flags.common.memory_limit_bytes(None).unwrap(), 250 << 20);
}

#[test]
fn wrong_lines_end_with_code_2_and_a_hint() {
    let check = |argv: &[&str], hint: &str| {
        let answer = parse_flags(argv).unwrap_err();
        assert_eq!(answer.exit_code, 2, "{argv:?}");
        assert!(answer.text.contains(hint), "{argv:?}: {}", answer.text);
    };
    check(&["--http-adress=x"], "--http-address");
    check(&["--no-http-address"], "--no-http-address");
    check(&["--http-address"], "value");
    check(&["--http-address=a", "--http-address=b"], "multiple times");
    check(&["--log.level=loud"], "error, warn, info, debug");
    check(&["--grpc-grace-period=2 minutes"], "2 minutes");
    check(&["stray"], "stray");
    check(&["@/nowhere/at/all"], "@/nowhere/at/all");
}

#[test]
fn help_and_version_end_with_code_0() {
    for flag in ["--help", "-h", "--help-long"] {
        let answer = parse_flags(&[flag]).unwrap_err();
        assert_eq!(answer.exit_code, 0);
        assert!(answer.text.starts_with("A test.\n"), "{}", answer.text);
        assert!(answer.text.contains("--grpc-address"), "{}", answer.text);
    }
    let page = parse_flags(&["--help-man"]).unwrap_err();
    assert_eq!(page.exit_code, 0);
    for part in [
        ".TH rutile-test 1",
        ".SH OPTIONS",
        "grpc\\-address",
        "A test.",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let answer = parse_flags(&["--version"]).unwrap_err();
    assert_eq!(answer.exit_code, 0);
    assert!(
        answer.text.starts_with("rutile-test version "),
        "{}",
        answer.text
    );
}

#[test]
fn files_of_arguments_are_expanded() {
    let mut inner = tempfile::NamedTempFile::new().unwrap();
    writeln!(inner, "--selector\nfrom inner file").unwrap();
    let mut outer = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        outer,
        "# comment\n\n--web.disable\n@{}",
        inner.path().display()
    )
    .unwrap();
    let at = format!("@{}", outer.path().display());
    let flags = parse_flags(&["--selector=a", &at, "--selector=b"]).unwrap();
    assert!(flags.web_disable);
    assert_eq!(flags.selector, ["a", "from inner file", "b"]);

    let mut endless = tempfile::NamedTempFile::new().unwrap();
    let at = format!("@{}", endless.path().display());
    writeln!(endless, "{at}").unwrap();
    let answer = parse_flags(&[&at]).unwrap_err();
    assert!(
        answer.exit_code == 2 && answer.text.contains("does @"),
        "{}",
        answer.text
    );
}

#[test]
fn what_is_not_supported_or_makes_no_sense_is_refused_by_name() {
    let check = |argv: &[&str], message: &str| {
        let flags = parse_flags(argv).unwrap();
        let results = [flags.grpc.validate(), flags.common.validate()];
        let failure = results.into_iter().find_map(Result::err).unwrap();
        assert_eq!(failure.to_string(), message);
        assert_eq!(failure.exit_code(), 2);
    };
    let tls = "--grpc-server-tls-cert and --grpc-server-tls-key go together: set both or none";
    check(&["--grpc-server-tls-cert=x"], tls);
    check(&["--grpc-server-tls-key=x"], tls);
    check(
        &["--grpc-server-tls-client-ca=x"],
        "--grpc-server-tls-client-ca needs TLS: set --grpc-server-tls-cert and --grpc-server-tls-key",
    );
    check(
        &["--grpc-server-tls-curves=CurveP521"],
        "--grpc-server-tls-ciphers, --grpc-server-tls-curves: none of the chosen curves is there: \
         use CurveP256, CurveP384, X25519",
    );
    let ratio = "--auto-gomemlimit.ratio is 2: it must be more than 0 and at most 1";
    check(&["--auto-gomemlimit.ratio=2"], ratio);
}

#[test]
fn switches_of_subcommands_have_a_no_form_too() {
    #[derive(Debug, Subcommand)]
    enum Tool {
        List {
            #[arg(long, default_value_t = true)]
            recursive: bool,
        },
    }
    let command = Tool::augment_subcommands(Command::new("tools"));
    let argv = ["tools", "list", "--no-recursive"]
        .map(str::to_owned)
        .to_vec();
    let matches = parse_command(command, argv).unwrap();
    let Tool::List { recursive } = Tool::from_arg_matches(&matches).unwrap();
    assert!(!recursive);
}

#[test]
fn values_are_shown_but_not_secrets() {
    #[derive(Debug, Args)]
    struct Secret {
        #[arg(long = "objstore.config", default_value = "")]
        config: String,
        #[command(flatten)]
        flags: Flags,
    }
    let shown = |argv: &[&str]| {
        let argv = ["rutile-test"]
            .iter()
            .chain(argv)
            .map(|arg| (*arg).to_owned());
        parse_and_show::<Secret>("rutile-test", "A test.", argv.collect())
            .unwrap()
            .1
    };
    let values = shown(&[
        "--selector=a",
        "--selector",
        "b",
        "--no-cache-index-header",
        "--objstore.config=key: x",
    ]);
    assert_eq!(values["selector"], "a,b");
    assert_eq!(values["cache-index-header"], "false");
    assert_eq!(values["http-address"], "0.0.0.0:10902");
    assert_eq!(values["objstore.config"], "<REDACTED>");
    assert_eq!(shown(&[])["objstore.config"], "");
}
