use super::*;

fn check(min: &str, max: &str, delay: Option<&str>, ignore: bool) -> Result<(), String> {
    let uploads = Uploads {
        list: "/data/./thanos.shipper.json".into(),
        ignore_unequal_block_size: ignore,
    };
    let flags = Flags {
        min_block_duration: min.parse().ok(),
        max_block_duration: max.parse().ok(),
        delay_compact_file: delay.map(str::to_owned),
    };
    let checked = uploads.check(&flags, "http://p");
    checked.map_err(|failure| failure.to_string())
}

#[test]
fn prometheus_must_not_compact_what_is_not_uploaded() {
    check("2h", "2h", None, false).unwrap();
    check("1h", "1h", None, false).unwrap();
    check("2h", "1d12h", None, true).unwrap();
    check("2h", "1d12h", Some("/data/x/../thanos.shipper.json"), false).unwrap();
    let refused = |error: String, texts: &[&str]| {
        for text in texts {
            assert!(error.contains(text), "{text:?} in {error}");
        }
    };
    let error = check("2h", "1d12h", None, false).unwrap_err();
    refused(
        error,
        &["http://p", "1d12h", "--storage.tsdb.max-block-duration=2h"],
    );
    let error = check("2h", "2h", Some("/else/list.json"), false).unwrap_err();
    refused(error, &["/else/list.json", "--shipper.meta-file-name"]);
}

#[test]
fn there_must_be_external_labels() {
    external_labels(&Labels::from([("a", "b")]), "http://p").unwrap();
    let error = external_labels(&Labels::empty(), "http://p").unwrap_err();
    assert!(
        error.to_string().contains("global.external_labels"),
        "{error}"
    );
}

#[tokio::test]
async fn the_data_folder_must_be_writable() {
    let files = CpuPool::inline();
    let folder = tempfile::tempdir().unwrap();
    data_folder(folder.path(), &files).await.unwrap();
    let left = std::fs::read_dir(folder.path().join("thanos")).unwrap();
    assert_eq!(left.count(), 0);

    let told = async |path: &Path| data_folder(path, &files).await.unwrap_err().to_string();
    // No user can write below a file.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thanos"), "").unwrap();
    let text = told(folder.path()).await;
    assert!(text.contains("--tsdb.path="), "{text}");
    assert!(text.contains("run it as the user of Prometheus"), "{text}");

    let missing = folder.path().join("missing");
    let text = told(&missing).await;
    assert!(text.contains("is no folder"), "{text}");
    assert!(!missing.try_exists().unwrap(), "a typo makes no folder");
}
