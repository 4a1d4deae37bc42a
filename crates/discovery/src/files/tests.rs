//! Lists on disk.

use std::fs;

use super::*;

async fn addresses(lists: &mut FileSd) -> Vec<String> {
    lists.read().await;
    lists.addresses().map(ToString::to_string).collect()
}

#[tokio::test]
async fn files_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut lists =
        FileSd::new(&[path("stores-*.yml"), path("one.json"), path("absent.yaml")]).unwrap();
    assert!(addresses(&mut lists).await.is_empty());

    fs::write(
        path("stores-a.yml"),
        "- targets: [a:1, 'dns+b:2']\n  labels: {x: y}\n",
    )
    .unwrap();
    fs::write(path("other.yml"), "- targets: [nobody:1]\n").unwrap();
    fs::write(
        path("one.json"),
        r#"[{"targets": ["c:3"]}, {"targets": []}]"#,
    )
    .unwrap();
    assert_eq!(addresses(&mut lists).await, ["c:3", "a:1", "dns+b:2"]);

    for wrong in ["- targets: [a", "- targetz: []", "- targets: [no-port]"] {
        fs::write(path("stores-a.yml"), wrong).unwrap();
        assert_eq!(
            addresses(&mut lists).await,
            ["c:3", "a:1", "dns+b:2"],
            "{wrong}"
        );
    }
    fs::write(path("stores-a.yml"), "- targets: [d:4]").unwrap();
    fs::remove_file(path("one.json")).unwrap();
    assert_eq!(addresses(&mut lists).await, ["d:4"]);
}

#[test]
fn patterns_that_are_refused() {
    for wrong in ["stores.txt", "stores", "a*/x.yml", "x*.y*.json", ""] {
        let error = FileSd::new(&[wrong.to_owned()]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("must end in .json, .yml or .yaml"),
            "{error}"
        );
    }
}
