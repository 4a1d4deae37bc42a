use super::*;

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "BUCKET" => "from-environment",
        "EMPTY" => "",
        "YAML" => "bucket: injected",
        "OCI_NAMESPACE" => "space",
        _ => return None,
    };
    Some(value.to_owned())
}

fn around() -> Surroundings<'static> {
    Surroundings {
        component: "test",
        environment: &environment,
    }
}

#[track_caller]
fn refuses(yaml: &str, parts: &[&str]) {
    let Err(error) = open(yaml, &around()) else {
        panic!("accepted:\n{yaml}")
    };
    let message = error.to_string();
    assert!(message.starts_with("objstore.config: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[track_caller]
fn accepts(yaml: &str) -> (Provider, String) {
    open(yaml, &around()).unwrap_or_else(|error| panic!("{error}:\n{yaml}"))
}

/// The settings that S3 YAML comes down to.
fn s3(config: &str) -> Result<s3::Settings, String> {
    parse::<s3::Config>(config)?.settings(&around())
}

#[test]
fn the_document_is_strict() {
    refuses("", &["`type` is missing", "FILESYSTEM, S3"]);
    refuses("type: tape", &["`type: tape` is unknown", "S3"]);
    refuses(
        "type: SWIFT\nconfig: {container_name: x}",
        &["SWIFT", "not supported yet"],
    );
    refuses(
        "type: FILESYSTEM\nconfigs: {}",
        &["line 2", "unknown key `configs`", "prefix"],
    );
    refuses(
        "type: FILESYSTEM\nconfig:\n  dir: /x",
        &["line 3", "`dir`", "allowed are directory"],
    );
    refuses(
        "type: FILESYSTEM\nconfig: {directory: a, directory: b}",
        &["directory"],
    );
    refuses("type: FILESYSTEM", &["`config.directory` must be set"]);
    refuses(
        "type: FILESYSTEM\nconfig: {directory: ''}",
        &["`config.directory` must be set"],
    );
    refuses(
        "type: FILESYSTEM\nprefix: a/../b\nconfig: {directory: x}",
        &["`prefix`"],
    );
    refuses("type: [", &["line 1"]);
    refuses(
        "type: FILESYSTEM\nconfig: {directory: $(GONE)}",
        &["$(GONE)"],
    );
    // Where a value is wrong, its line is not shown: it may hold a secret.
    let Err(error) = open(
        "type: S3\nconfig: {secret_key: [hunter2], insecure: 7q}",
        &around(),
    ) else {
        panic!("accepted")
    };
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn the_document_is_as_lenient_as_the_reference() {
    let documents = [
        "type: filesystem\nconfig:\n  directory: /x\n---\ntype: S3\nnonsense: [",
        "{\"type\": \"FileSystem\", \"config\": {\"directory\": \"/x\"}}",
        "type: FILESYSTEM\nprefix:\nconfig: &c\n  directory: /x\n",
    ];
    for document in documents {
        let (provider, prefix) = accepts(document);
        assert!(matches!(provider, Provider::Filesystem(_)));
        assert_eq!(prefix, "");
    }
    assert_eq!(
        accepts("type: FILESYSTEM\nprefix: //a/b/\nconfig: {directory: x}").1,
        "a/b"
    );
}

#[test]
fn s3_finds_its_endpoint() {
    let cases = [
        (
            "localhost:9000",
            "insecure: true",
            "http://localhost:9000",
            "us-east-1",
        ),
        ("minio.svc", "region: here", "https://minio.svc", "here"),
        (
            "minio.svc",
            "bucket_lookup_type: virtual-hosted",
            "https://b.minio.svc",
            "us-east-1",
        ),
        (
            "s3.amazonaws.com",
            "region: eu-west-1",
            "https://b.s3.dualstack.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        (
            "s3.eu-west-1.amazonaws.com",
            "disable_dualstack: true",
            "https://b.s3.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        (
            "s3-us-west-2.amazonaws.com",
            "bucket_lookup_type: path",
            "https://s3.dualstack.us-west-2.amazonaws.com",
            "us-west-2",
        ),
        (
            "s3.cn-north-1.amazonaws.com.cn",
            "",
            "https://b.s3.dualstack.cn-north-1.amazonaws.com.cn",
            "cn-north-1",
        ),
        (
            "vpce-1.s3.us-east-1.vpce.amazonaws.com",
            "",
            "https://b.vpce-1.s3.us-east-1.vpce.amazonaws.com",
            "us-east-1",
        ),
        (
            "storage.googleapis.com",
            "",
            "https://b.storage.googleapis.com",
            "us-east-1",
        ),
    ];
    for (endpoint, more, url, region) in cases {
        let yaml = format!("bucket: b\nendpoint: {endpoint}\naccess_key: 1\nsecret_key: 2\n{more}");
        let settings = s3(&yaml).unwrap();
        assert_eq!(
            (settings.endpoint.as_str(), settings.region.as_str()),
            (url, region),
            "{yaml}"
        );
    }
    let dotted =
        s3("bucket: a.b\nendpoint: s3.amazonaws.com\naccess_key: 1\nsecret_key: 2").unwrap();
    assert!(
        !dotted.virtual_hosted,
        "no certificate covers a bucket with dots"
    );
}

#[test]
fn s3_refuses_what_it_cannot_honour() {
    let base =
        "type: S3\nconfig:\n  bucket: b\n  endpoint: e\n  access_key: a\n  secret_key: s\n  ";
    let cases: [(&str, &[&str]); 11] = [
        (
            "signature_version2: true",
            &["signature_version2", "version 4"],
        ),
        ("list_objects_version: v1", &["list_objects_version: v1"]),
        ("trace: {enable: true}", &["trace.enable"]),
        ("disable_multipart: true", &["disable_multipart"]),
        ("bucket_lookup_type: dns", &["auto, virtual-hosted or path"]),
        ("aws_sdk_auth: true", &["aws_sdk_auth", "exclude"]),
        ("sse_config: {type: SSE-X}", &["SSE-S3, SSE-KMS or SSE-C"]),
        ("sse_config: {type: SSE-KMS}", &["sse_config.kms_key_id"]),
        (
            "sse_config: {type: SSE-KMS, kms_key_id: k, kms_encryption_context: {a: b}}",
            &["kms_encryption_context"],
        ),
        (
            "http_config: {tls_config: {server_name: x}}",
            &["server_name"],
        ),
        (
            "http_config: {tls_config: {ca_file: /absent/ca}}",
            &["ca_file: /absent/ca", "No such file"],
        ),
    ];
    for (line, parts) in cases {
        refuses(&format!("{base}{line}"), parts);
    }
    refuses(
        "type: S3\nconfig: {bucket: b, endpoint: 'https://e', access_key: a, secret_key: s}",
        &["without a scheme"],
    );
    refuses(
        "type: S3\nconfig: {bucket: b, endpoint: e, access_key: a}",
        &["must both be set"],
    );
    refuses(
        "type: S3\nconfig: {endpoint: e}",
        &["`config.bucket` must be set"],
    );
    refuses(
        "type: S3\nconfig: {bucket: b}",
        &["`config.endpoint` must be set"],
    );
    refuses(
        &format!("{base}http_config: {{idle_conn_timeouts: 1s}}"),
        &["idle_conn_timeouts", "idle_conn_timeout,"],
    );
}

#[test]
fn s3_takes_what_the_documentation_of_the_reference_shows() {
    accepts(
        r#"
type: S3
config:
  bucket: "b"
  endpoint: "minio:9000"
  region: ""
  disable_dualstack: false
  aws_sdk_auth: false
  access_key: 12345
  insecure: yes
  signature_version2: false
  secret_key: "s"
  session_token: ""
  put_user_metadata: {X-Amz-Storage-Class: STANDARD_IA, team: blue}
  http_config:
    idle_conn_timeout: 1m30s
    response_header_timeout: 2m
    insecure_skip_verify: false
    tls_handshake_timeout: 10s
    expect_continue_timeout: 1s
    max_idle_conns: 100
    max_idle_conns_per_host: 100
    max_conns_per_host: 0
    tls_config:
      ca_file: ""
      cert_file: ""
      key_file: ""
      server_name: ""
      insecure_skip_verify: false
    disable_compression: false
  trace:
    enable: false
  list_objects_version: ""
  bucket_lookup_type: auto
  send_content_md5: true
  disable_multipart: false
  part_size: 67108864
  sse_config:
    type: ""
    kms_key_id: ""
    kms_encryption_context: {}
    encryption_key: ""
  sts_endpoint: ""
  max_retries: 0
prefix: ""
"#,
    );
}

#[test]
fn compatible_types_find_their_s3_endpoint() {
    let check = |settings: Result<s3::Settings, String>, url: &str, bucket: &str, region: &str| {
        let settings = settings.unwrap();
        assert_eq!(settings.endpoint, url);
        assert_eq!(
            (settings.bucket.as_str(), settings.region.as_str()),
            (bucket, region),
            "{url}"
        );
    };
    let cos = |yaml: &str| parse::<compatible::Cos>(yaml).unwrap().settings();
    let keys = "secret_id: i\nsecret_key: s";
    check(
        cos(&format!(
            "bucket: b\napp_id: 125\nregion: ap-guangzhou\n{keys}"
        )),
        "https://b-125.cos.ap-guangzhou.myqcloud.com",
        "b",
        "ap-guangzhou",
    );
    check(
        cos(&format!(
            "endpoint: https://b-125.cos.ap-beijing.myqcloud.com\n{keys}"
        )),
        "https://b-125.cos.ap-beijing.myqcloud.com",
        "b-125",
        "ap-beijing",
    );
    let oss =
        "endpoint: oss-cn-hangzhou.aliyuncs.com\nbucket: b\naccess_key_id: i\naccess_key_secret: s";
    check(
        parse::<compatible::Oss>(oss).unwrap().settings(),
        "https://b.oss-cn-hangzhou.aliyuncs.com",
        "b",
        "oss-cn-hangzhou",
    );
    let keys = "bucket: b\naccess_key: i\nsecret_key: s";
    let obs = format!("{keys}\nendpoint: obs.cn-north-4.myhuaweicloud.com");
    check(
        parse::<compatible::Obs>(&obs).unwrap().settings(),
        "https://b.obs.cn-north-4.myhuaweicloud.com",
        "b",
        "cn-north-4",
    );
    let bos = format!("{keys}\nendpoint: bj.bcebos.com");
    check(
        parse::<compatible::Bos>(&bos).unwrap().settings(),
        "https://b.s3.bj.bcebos.com",
        "b",
        "bj",
    );
    refuses(
        "type: OCI\nconfig: {bucket: b, region: r}",
        &["S3 compatibility API", "AWS_ACCESS_KEY_ID"],
    );
    refuses(
        "type: ALIYUNOSS\nconfig: {bucket: b, endpoint: e, access_key_id: i}",
        &["access_key_secret"],
    );
    refuses(
        "type: BOS\nconfig: {bucket: b, endpoint: a/b, access_key: i, secret_key: s}",
        &["path"],
    );
}

#[test]
fn gcs_and_azure_say_what_is_wrong() {
    refuses("type: GCS", &["`config.bucket` must be set"]);
    refuses(
        "type: GCS\nconfig: {bucket: b, use_grpc: true}",
        &["use_grpc"],
    );
    refuses(
        "type: GCS\nconfig: {bucket: b, service_account: '{}'}",
        &["service_account"],
    );
    accepts("type: GCS\nconfig: {bucket: b, no_auth: true}");

    let azure =
        |more: &str| format!("type: AZURE\nconfig: {{storage_account: a, container: c{more}}}");
    refuses("type: AZURE\nconfig: {container: c}", &["storage_account"]);
    refuses("type: AZURE\nconfig: {storage_account: a}", &["container"]);
    refuses(
        &azure(", storage_create_container: true"),
        &["storage_create_container"],
    );
    refuses(&azure(", client_id: x"), &["must be set together"]);
    refuses(
        &azure(", user_assigned_id: x, storage_account_key: y"),
        &["only one"],
    );
    refuses(
        &azure(", storage_connection_string: nonsense"),
        &["name=value"],
    );
    refuses(
        &azure(", pipeline_config: {try_timeout: 1s}"),
        &["try_timeout"],
    );
    accepts(&azure(
        ", storage_account_key: a2V5, pipeline_config: {max_tries: 3}",
    ));

    let parsed = azure::Connection::parse(
        "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=a2V5==;EndpointSuffix=core.x",
    );
    let parsed = parsed.unwrap();
    assert_eq!(parsed.key.as_deref(), Some("a2V5=="));
    assert_eq!(parsed.endpoint.as_deref(), Some("https://me.blob.core.x"));
}
