//! What it costs to parse, edit and write a large file, beside what parsing it takes.
//!
//! `cargo bench -p backend-env` prints the median of several runs for 10,000 lines and for ten times as many. The
//! edit is read back twice by each of six readers, which is most of its time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use backend_env::{Document, Reader, file};

const RUNS: usize = 9;

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}

fn lines(count: usize) -> String {
    let line = |n: usize| match n % 5 {
        0 => format!("# section {n}\n"),
        1 => format!("KEY_{n}=value-{n}\n"),
        2 => format!("export KEY_{n}='a value with blanks {n}'\n"),
        3 => format!("KEY_{n}=\"quoted {n}\" # comment\n"),
        _ => format!("URL_{n}=postgres://user:secret@host:5432/db_{n}\n"),
    };
    (0..count).map(line).collect()
}

#[expect(clippy::print_stdout, reason = "a benchmark is there to print")]
fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join(".env");
    for count in [10_000, 100_000] {
        let text = lines(count);
        let key = format!("KEY_{}", count / 2 + 1);
        let parse = median(|| drop(black_box(Document::parse(text.as_str()))));
        let doc = Document::parse(text.as_str());
        let read = median(|| drop(black_box(doc.read(&key, Reader::Compose))));
        let set = |readers: &[Reader]| {
            median(|| {
                let mut doc = doc.clone();
                doc.set(&key, "another value", readers)
                    .expect("the value can be written");
                black_box(doc);
            })
        };
        let (one, every) = (set(&[Reader::Compose]), set(Reader::ALL));
        let write = median(|| {
            file::write_atomic(&path, text.as_bytes(), file::Permissions::Private)
                .expect("the file is written");
        });
        let all = median(|| {
            let mut file = file::open(&path).expect("the file is there");
            let mut doc = file.document();
            doc.set(&key, "another value", Reader::ALL)
                .expect("the value can be written");
            file.save(&doc).expect("the file is written");
            file.save(&Document::parse(text.as_str()))
                .expect("the file is written");
        });
        println!(
            "{count} lines, {} KiB; times as a multiple of parsing it ({parse:.1?}):",
            text.len() / 1024
        );
        for (what, time) in [
            ("read one key as compose does", read),
            ("set, verified for one reader", one),
            ("set, verified for all readers", every),
            ("write (synced, renamed)", write),
            ("open, set for all, save, save again", all),
        ] {
            println!(
                "  {what:<36} {:>6.2} x  {time:.1?}",
                time.as_secs_f64() / parse.as_secs_f64()
            );
        }
    }
}
