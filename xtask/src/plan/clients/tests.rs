//! The choice as a table: versions of both servers, programs that are here, and what is chosen.

use super::*;

const IMAGES: Sides = Sides {
    source_in_image: true,
    target_in_image: true,
};
const MACHINE: Sides = Sides {
    source_in_image: false,
    target_in_image: false,
};

fn image(name: &str) -> Clients {
    Clients::Image {
        image: name.to_owned(),
        run: String::new(),
    }
}

fn bin(name: &str) -> Clients {
    Clients::Machine {
        bin: Some(name.into()),
    }
}

/// `i15.20` is an image, `b15.20` a folder of this machine.
fn programs(names: &[&str]) -> Vec<ProgramsSeen> {
    let one = |name: &&str| {
        let (kind, number) = name.split_at(1);
        let (major, minor) = number.split_once('.').unwrap();
        let version = major.parse::<u32>().unwrap() * 10_000 + minor.parse::<u32>().unwrap();
        ProgramsSeen {
            clients: if kind == "i" { image(name) } else { bin(name) },
            name: (*name).to_owned(),
            version: Ok(version),
        }
    };
    names.iter().map(one).collect()
}

/// The names of what pg_dump and pg_restore are taken from.
fn chosen(source: u32, target: Option<u32>, sides: Sides, names: &[&str]) -> Result<(String, String), Why> {
    let clients = ClientsSeen::Different {
        source: Ok(source),
        target: target.map(Ok),
        programs: programs(names),
    };
    let name = |clients: Clients| clients.to_string().replace("image ", "");
    let own = if sides.target_in_image {
        image("own")
    } else {
        bin("own")
    };
    pick(&clients, sides, &own).map(|chosen| (name(chosen.dump), name(chosen.restore)))
}

#[test]
fn the_targets_programs_are_taken_when_new_enough_and_else_others_of_a_major_between() {
    let table = [
        (
            150_018,
            160_014,
            IMAGES,
            &["i16.14", "i15.18"][..],
            Some("i16.14"),
        ),
        (150_020, 160_014, IMAGES, &["i16.14", "i15.20"], Some("i15.20")),
        (150_018, 160_016, IMAGES, &["i16.16", "i15.18"], Some("i16.16")),
        (160_016, 160_014, IMAGES, &["i16.14", "i16.16"], Some("i16.16")),
        (150_020, 180_004, MACHINE, &["b18.4", "b15.20"], Some("b15.20")),
        (160_014, 180_004, MACHINE, &["b18.4", "b16.14"], Some("b18.4")),
        (
            150_020,
            180_004,
            MACHINE,
            &["b18.4", "b15.18", "b16.14", "b16.16"],
            Some("b16.16"),
        ),
        // What runs in an image cannot reach a server of this machine, and the other way round.
        (150_020, 160_014, MACHINE, &["b16.14", "i15.20"], None),
        (150_020, 160_014, IMAGES, &["i16.14", "i15.18", "b15.20"], None),
        (180_006, 200_001, MACHINE, &["b20.1", "b18.6"], None),
    ];
    for (source, target, sides, names, wanted) in table {
        let wanted = wanted
            .map(|name| (name.to_owned(), name.to_owned()))
            .ok_or(Why::NoneServes);
        assert_eq!(
            chosen(source, Some(target), sides, names),
            wanted,
            "{source} -> {target} {names:?}"
        );
    }
}

#[test]
fn between_an_image_and_this_machine_each_side_has_programs_of_its_own() {
    let out = Sides {
        source_in_image: true,
        target_in_image: false,
    };
    let both = |dump: &str, restore: &str| Ok((dump.to_owned(), restore.to_owned()));
    // pg_dump only has to be as new as the source.
    let names = ["b18.6", "i15.18"];
    assert_eq!(
        chosen(150_018, Some(180_006), out, &names),
        both("i15.18", "b18.6")
    );
    // pg_restore of 15 does not read what pg_dump of 16 wrote.
    let names = ["b15.20", "i16.16", "i15.20"];
    assert_eq!(
        chosen(150_020, Some(180_004), out, &names),
        both("i15.20", "b15.20")
    );
    assert_eq!(
        chosen(150_020, Some(160_016), out, &["b16.16", "i15.18"]),
        Err(Why::NoneServes)
    );
}

#[test]
fn a_target_whose_image_is_not_here_is_planned_with_and_asked_when_it_is_pulled() {
    let own = ("own".to_owned(), "own".to_owned());
    assert_eq!(chosen(150_020, None, IMAGES, &["i15.20"]), Ok(own));
}

#[test]
fn a_version_that_is_not_known_is_never_a_pass() {
    let clients = ClientsSeen::Different {
        source: Err("the server does not answer".to_owned()),
        target: Some(Ok(160_014)),
        programs: programs(&["i16.14"]),
    };
    let found = pick(&clients, IMAGES, &image("own"));
    assert_eq!(found, Err(Why::Unknown("the server does not answer".to_owned())));
}

#[test]
fn a_refusal_names_both_versions_every_program_and_what_to_do() {
    let settings: Settings = toml_edit::de::from_str(infra::MIGRATION_TOML).unwrap();
    let refused = |source, target, names: &[&str]| {
        let clients = ClientsSeen::Different {
            source: Ok(source),
            target: Some(Ok(target)),
            programs: programs(names),
        };
        refusal("id".to_owned(), "labeler", &clients, &settings, &Why::NoneServes).to_string()
    };
    let text = refused(150_020, 160_014, &["i16.14", "i15.18"]);
    for part in [
        "PostgreSQL 15.20",
        "PostgreSQL 16.14",
        "i16.14 (16.14), i15.18 (15.18)",
        "docker pull postgres:16-alpine",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = refused(180_006, 200_001, &["i20.1"]);
    assert!(
        text.contains("does not know which of the two releases is newer"),
        "{text}"
    );
    assert!(text.contains("20.1") && text.contains("18.6"), "{text}");
}
