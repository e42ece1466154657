//! The pipelines under `docs/ci/`, which teams copy into either repository.

use infra::compose::yaml;
use serde_json::Value;

fn pipeline(name: &str) -> Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci");
    yaml::parse(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// The node at this path of keys.
#[track_caller]
fn at<'a>(node: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(node, |node, key| {
        node.get(key).unwrap_or_else(|| panic!("no {key}"))
    })
}

#[cfg(unix)]
fn texts(node: &Value) -> Vec<&str> {
    node.as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn github_checks_out_each_repository_under_its_own_name() {
    let root = pipeline("verify.yml");
    let this = at(&root, &["env", "THIS_REPOSITORY"]).as_str();
    assert_eq!(this, Some("labeler"));
    for (name, job) in at(&root, &["jobs"]).as_object().unwrap() {
        let steps = at(job, &["steps"]).as_array().unwrap().iter();
        let checkouts: Vec<(Option<&str>, Option<&str>)> = steps
            .filter(|step| step.get("uses").and_then(Value::as_str) == Some("actions/checkout@v4"))
            .map(|step| {
                let with = at(step, &["with"]);
                let text = |key: &str| with.get(key).and_then(Value::as_str);
                (text("repository"), text("path"))
            })
            .collect();
        let sibling = "mvp-vision-ai-${{ env.THIS_REPOSITORY == 'labeler' && 'platform' || 'labeler' }}";
        assert_eq!(
            checkouts,
            [
                (None, Some("mvp-vision-ai-${{ env.THIS_REPOSITORY }}")),
                (Some("${{ env.SIBLING_REPOSITORY }}"), Some(sibling)),
                (Some("${{ env.MIGRATION_REPOSITORY }}"), Some("migration")),
            ],
            "{}",
            name
        );
    }
}

#[cfg(unix)]
#[test]
fn gitlab_lays_both_repositories_side_by_side_from_either() {
    let root = pipeline("verify.gitlab-ci.yml");
    let before = texts(at(&root, &[".verify", "before_script"])).join("\n");
    for this in ["labeler", "platform"] {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir_all(project.join("own")).unwrap();
        // `git clone` makes the folder that it is told last.
        let script = format!(
            "set -e\ngit() {{ for last; do :; done; mkdir \"$last\"; }}\n{before}\ncd ../migration\n"
        );
        let cmd = infra::Cmd::new("sh", "run the pipeline's first lines")
            .args(["-c", &script])
            .cwd(&project)
            .env("THIS_REPOSITORY", this)
            .env("CI_PROJECT_DIR", project.display().to_string())
            .env("MIGRATION_URL", "m")
            .env("SIBLING_URL", "s");
        infra::Runner::new(infra::Interrupt::default()).run(&cmd).unwrap();
        for name in ["labeler", "platform"] {
            let own = folder.path().join(format!("mvp-vision-ai-{name}/own"));
            assert_eq!(own.exists(), name == this, "{name} from {this}");
            assert!(own.parent().unwrap().is_dir());
        }
    }
    for job in ["verify-config", "verify-databases"] {
        let script = texts(at(&root, &[job, "script"])).join("\n");
        assert!(script.contains("cargo xtask verify --scope"), "{script}");
        assert!(!script.contains("git clone"), "{script}");
    }
}
