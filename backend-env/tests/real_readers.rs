//! The models and the edits against the programs they are about.
//!
//! `BACKEND_ENV_CASES` says how many files are made for each test (default 1000), `BACKEND_ENV_SEED` varies them. A
//! reader that is not on the machine is named on standard error and left out; `BACKEND_ENV_REQUIRE` lists those
//! that must be there (`python-dotenv 1.2.4,Compose 2`). `BACKEND_ENV_COMPOSE` names a Compose 2 that is no plugin of docker.

#![expect(clippy::unwrap_used, reason = "a helper of a test panics when the test fails")]

#[path = "support/oracle.rs"]
mod oracle;
#[path = "support/random.rs"]
mod random;

use backend_env::{Document, Environment, Reader, Reading};
use oracle::{Answer, Oracle, REAL};
use random::{FILE, Random, VALUE};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn random(stream: u64) -> Random {
    let seed = number("BACKEND_ENV_SEED", 1) as u64;
    eprintln!("BACKEND_ENV_SEED={seed}, stream {stream}");
    Random::new(seed * 1_000 + stream)
}

/// What the model says against what the reader said. `None` when they agree.
fn differs(doc: &Document, reader: Reader, answer: &Answer) -> Option<String> {
    let model = doc.read_all(reader, &Environment::empty());
    if let Some(rejection) = model.rejection() {
        return (!answer.rejected).then(|| format!("{reader} does not reject the file: {rejection:?}"));
    }
    let unknown = |key: &str| matches!(model.get(key), Reading::Unknown { .. });
    // Nothing is claimed about a file that is not understood.
    if answer.rejected && !unknown("no such key") {
        return Some(format!("{reader} rejects the file"));
    }
    // Compose takes `=x` for a variable without a name, which nobody can ask for.
    for (key, value) in answer.values.iter().filter(|(key, _)| !key.is_empty()) {
        let Ok(key) = std::str::from_utf8(key) else {
            continue;
        };
        if !unknown(key) && model.get(key).value() != value.as_deref() {
            return Some(format!(
                "{reader} reads {key} as {:?}",
                value.as_deref().map(String::from_utf8_lossy)
            ));
        }
    }
    let known = |key: &str| {
        answer
            .values
            .iter()
            .any(|(seen, value)| seen == key.as_bytes() && value.is_some())
    };
    let more = model
        .keys()
        .into_iter()
        .find(|(key, _)| model.get(key).value().is_some() && !known(key));
    more.map(|(key, _)| format!("{reader} does not set {key}"))
}

/// Files that are read by the model and by the program.
fn compare(reader: Reader, real: &'static str, files: &[Vec<u8>]) {
    let Some(oracle) = Oracle::find(real) else {
        return;
    };
    let answers = oracle.read(files);
    let mut wrong = Vec::new();
    for (file, answer) in files.iter().zip(&answers) {
        let doc = Document::parse(file.clone());
        if let Some(difference) = differs(&doc, reader, answer) {
            let got = doc.read_all(reader, &Environment::empty());
            let shown: Vec<_> = got
                .keys()
                .into_iter()
                .map(|(key, _)| format!("{key}={:?}", got.get(key).value().map(String::from_utf8_lossy)))
                .collect();
            wrong.push(format!(
                "{:?}\n    {difference}; the model: {shown:?}",
                String::from_utf8_lossy(file)
            ));
        }
    }
    eprintln!(
        "{reader}: {} files, {} read differently",
        files.len(),
        wrong.len()
    );
    wrong.sort_by_key(String::len);
    wrong.truncate(12);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn models_agree(reader: Reader, real: &'static str, stream: u64, cases: usize) {
    let mut random = random(stream);
    let pieces = [FILE, FILE, VALUE].concat();
    let files: Vec<Vec<u8>> = (0..cases)
        .map(|_| random.text(&pieces, 24).into_bytes())
        .collect();
    compare(reader, real, &files);
}

#[test]
fn the_model_of_python_dotenv_reads_as_it_does() {
    let cases = number("BACKEND_ENV_CASES", 1000);
    models_agree(Reader::PythonDotenv, "python-dotenv 1.2.4", 1, cases);
}

/// Compose refuses all files for one: it is asked once for each that it refuses.
#[test]
fn the_model_of_compose_reads_as_it_does() {
    let cases = number("BACKEND_ENV_CASES", 1000) / 10;
    models_agree(Reader::Compose, "Compose 2", 7, cases);
}

/// Ways a key may stand in a file before it is set.
const BEFORE: &[&str] = &[
    "K=old",
    "K='old'",
    "K=\"old\"",
    "export K=old",
    "K='old' # c",
    "K=old # c",
    "K=",
    "K=''",
    "  K=\"old\"\t# it",
    "K=one\nK=old",
    "# K=old",
    "K='a\nb'",
    "L=${K}\nK=old\nM=1",
    "",
];

/// Sets thousands of hostile values for a set of readers and reads each file with real ones.
fn values_come_back(readers: &[Reader], real: &[&'static str], stream: u64) {
    let mut random = random(stream);
    let mut files = Vec::new();
    let mut values = Vec::new();
    let mut refused = 0;
    let cases = number("BACKEND_ENV_CASES", 1000);
    for _ in 0..cases {
        let value = random.text(VALUE, 6);
        let mut doc = Document::parse(format!("A=1\n{}\nB='2'\n", random.pick(BEFORE)));
        match doc.set("K", &value, readers) {
            Ok(_) => {
                files.push(doc.as_bytes().to_vec());
                values.push(value);
            }
            Err(conflict) => {
                assert!(!conflict.readers().is_empty(), "{conflict}");
                refused += 1;
            }
        }
    }
    eprintln!("{} values written, {refused} refused", files.len());
    assert!(files.len() > cases / 10);
    for name in real {
        let Some(oracle) = Oracle::find(name) else {
            continue;
        };
        let mut misread = Vec::new();
        for ((file, value), answer) in files.iter().zip(&values).zip(oracle.read(&files)) {
            let got = |key: &str| {
                let found = answer.values.iter().find(|(seen, _)| seen == key.as_bytes());
                found.and_then(|(_, value)| value.clone())
            };
            let right = got("K").as_deref() == Some(value.as_bytes())
                && got("A").as_deref() == Some(b"1")
                && got("B").as_deref() == Some(b"2");
            if !right || answer.rejected {
                misread.push(format!("{:?} {:?}", value, String::from_utf8_lossy(file)));
            }
        }
        eprintln!(
            "{name}: {} files read back, {} misread",
            files.len(),
            misread.len()
        );
        assert!(misread.is_empty(), "{name}: {}", misread.join("\n"));
    }
}

#[test]
fn values_come_back_from_every_real_reader() {
    values_come_back(Reader::ALL, REAL, 11);
}

#[test]
fn values_come_back_from_one_reader_alone() {
    let python = ["python-dotenv 1.2.4", "pydantic-settings"];
    values_come_back(&[Reader::PythonDotenv], &python, 20);
    values_come_back(&[Reader::Compose], &["Compose 2"], 21);
}
