use std::path::Path;

use super::apt::{Family, Host, sources};
use super::recipe::Recipe;
use super::*;

const URIS: &str = "\
'http://mirror.test/debian/dists/bookworm/InRelease' mirror.test_debian_dists_bookworm_InRelease 0 \n\
'http://mirror.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n\
'http://mirror.test/debian/dists/bookworm/main/binary-all/Packages.xz' x 0 \n\
'http://mirror.test/debian/dists/bookworm-updates/main/binary-amd64/Packages.xz' x 0 \n\
'http://mirror.test/debian/dists/bookworm-backports/main/binary-amd64/Packages.xz' x 0 \n\
'http://mirror.test/debian-security/dists/bookworm-security/main/binary-amd64/Packages.xz' x 0 \n\
'https://vendor.test/node/dists/nodistro/main/binary-amd64/Packages.xz' x 0 \n\
'https://vendor.test/docker/dists/bookworm/stable/binary-amd64/Packages.xz' x 0 \n";

#[test]
fn the_mirrors_are_the_machines_own_and_only_the_suite_changes() {
    let got = sources(URIS, "bookworm", "trixie", Some(Path::new("/keys.gpg")));
    assert_eq!(
        got,
        "deb [signed-by=/keys.gpg] http://mirror.test/debian trixie main\n\
         deb [signed-by=/keys.gpg] http://mirror.test/debian trixie-updates main\n\
         deb [signed-by=/keys.gpg] http://mirror.test/debian-security trixie-security main\n"
    );
    assert_eq!(sources(URIS, "noble", "noble", None), "");
}

#[test]
fn the_distribution_is_read_from_os_release() {
    let check = |text: &str, expected: Option<(Family, &str)>| {
        let expected = expected.map(|(family, suite)| Host {
            family,
            suite: suite.to_owned(),
        });
        assert_eq!(Host::parse(text), expected, "{text}");
    };
    check(
        "ID=debian\nVERSION_CODENAME=bookworm\n",
        Some((Family::Debian, "bookworm")),
    );
    check(
        "ID=ubuntu\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n",
        Some((Family::Ubuntu, "noble")),
    );
    check(
        "ID=linuxmint\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=\"noble\"\n",
        Some((Family::Ubuntu, "noble")),
    );
    check("ID=fedora\nVERSION_ID=42\n", None);
    check("ID=alpine\nVERSION_CODENAME=x\n", None);
}

#[test]
fn stand_ins_exist_for_the_versions_that_packages_hold() {
    let check =
        |image: &str, expected: Option<Recipe>| assert_eq!(Recipe::of(image).ok(), expected, "{image}");
    check("postgres:16-alpine", Some(Recipe::Postgres { major: 16 }));
    check(
        "registry.test:5000/library/postgres:18",
        Some(Recipe::Postgres { major: 18 }),
    );
    check("redis:7-alpine", Some(Recipe::Redis));
    check("postgres:15-alpine", None);
    check("postgres", None);
    check("postgres@sha256:16ab", None);
    check("redis:8", None);
    check("minio/minio:7", None);
}

#[test]
fn an_unavailable_image_names_every_reason_and_a_hint() {
    let error = ImageError::Unavailable {
        what: "image postgres:15".to_owned(),
        pull: "no such host".to_owned(),
        problems: Recipe::of("postgres:15").err().into_iter().collect(),
    };
    let text = error.to_string();
    for part in [
        "image postgres:15",
        "no such host",
        "no stand-in",
        "hint: docker pull postgres:15",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn only_a_stand_in_is_announced() {
    let ensured = |stand_in| Ensured {
        image: "postgres:16".to_owned(),
        origin: Origin::Local,
        stand_in,
    };
    assert_eq!(ensured(false).notice(), None);
    let notice = ensured(true).notice().unwrap_or_default();
    assert!(
        notice.contains("stand-in") && notice.contains("no registry answered"),
        "{notice}"
    );
}

#[test]
fn a_stand_in_of_another_recipe_is_not_current() {
    let recipe = Recipe::of("redis:7");
    let digest = Recipe::Redis.digest();
    let current = |stand_in, recipe_label: &str| {
        Local {
            stand_in,
            recipe: recipe_label.to_owned(),
        }
        .is_current(&recipe)
    };
    assert!(current(true, &digest));
    assert!(!current(true, "older"));
    assert!(current(false, ""));
}
