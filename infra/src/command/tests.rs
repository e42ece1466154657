use super::*;
use crate::interrupt::Interrupt;

#[test]
fn a_command_prints_as_a_line_to_paste_with_its_secrets_masked() {
    let cmd = Cmd::new("psql", "ask")
        .env("PGAPPNAME", "xtask")
        .secret_env("PGPASSWORD", &Secret::new("it's"))
        .args(["-c", "select 'a b'"]);
    assert_eq!(
        cmd.to_string(),
        r"PGAPPNAME=xtask PGPASSWORD=*** psql -c 'select '\''a b'\'''"
    );
    assert!(!format!("{cmd:?}").contains("it's"));
}

#[test]
fn a_missing_program_is_named() {
    let error = Runner::default()
        .run(&Cmd::new("no-such-program-here", "try"))
        .unwrap_err();
    assert!(matches!(error, CommandError::NotFound { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_failure_carries_the_last_lines_and_no_secret() {
    let cmd = Cmd::new("sh", "complain")
        .args(["-c", "echo \"bad password $P\" >&2; exit 7"])
        .secret_env("P", &Secret::new("s3cr3t!"));
    let text = Runner::default().run(&cmd).unwrap_err().to_string();
    assert!(
        text.contains("exit code 7") && text.contains("bad password ***"),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn a_limit_ends_the_child_with_everything_it_started() {
    let cmd = Cmd::new("sh", "wait")
        .args(["-c", "sleep 600 & wait"])
        .limit(std::time::Duration::from_millis(50));
    assert!(matches!(
        Runner::default().run(&cmd),
        Err(CommandError::TimedOut { .. })
    ));
}

#[test]
fn a_command_of_another_account_prints_with_the_switch() {
    let account = Some(Account { uid: 105, gid: 109 });
    let cmd = Cmd::new("pg_ctl", "start the server")
        .arg("start")
        .account(account);
    let line = cmd.clone().env("LC_ALL", "C").to_string();
    let switch = match cfg!(target_os = "linux") {
        true => "setpriv --reuid 105 --regid 109 --clear-groups",
        false => "sudo -u '#105' -g '#109'",
    };
    assert_eq!(line, format!("{switch} env LC_ALL=C pg_ctl start"));
    assert_eq!(cmd.to_string(), format!("{switch} pg_ctl start"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_streaming_child() {
    let interrupt = Interrupt::default();
    let runner = Runner::new(interrupt.clone());
    let cmd = Cmd::new("sh", "wait").args(["-c", "echo started; exec sleep 600"]);
    let error = runner.stream(&cmd, |_| interrupt.set()).unwrap_err();
    assert!(error.is_interrupt(), "{error}");
}

#[cfg(unix)]
#[test]
fn a_long_output_streams_line_by_line_and_its_log_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("step.log");
    let runner = Runner::default().with_log(&log).unwrap();
    let mut lines = 0;
    runner
        .stream(&Cmd::new("seq", "count").arg("5000"), |_| lines += 1)
        .unwrap();
    assert_eq!(lines, 5000);
    assert_eq!(
        std::fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("$ seq 5000") && text.contains("ended with exit code 0"),
        "{text}"
    );
}

#[cfg(unix)]
#[test]
fn data_streams_untouched_and_stays_out_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("step.log");
    let runner = Runner::default().with_log(&log).unwrap();
    runner.learn(&Secret::new("known-s3cret"));
    let data = [
        "1\tpassword=unheard-of",
        "2\thttps://u:unheard-of@h/",
        "3\tknown-s3cret",
    ];
    let file = dir.path().join("rows");
    crate::files::write_private(&file, data.join("\n").as_bytes()).unwrap();
    let script = "cat \"$0\"; echo the password is known-s3cret >&2; exit 3";
    let cmd = Cmd::new("sh", "read rows").args(["-c", script]).arg(&file);
    let mut lines = Vec::new();
    let error = runner
        .stream_data(&cmd, |line| lines.push(line.to_owned()))
        .unwrap_err();
    assert_eq!(lines, data);
    let said = error.tail();
    assert!(
        said.contains("the password is") && !said.contains("unheard-of"),
        "{said}"
    );
    assert!(!said.contains("known-s3cret"), "{said}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("the password is") && !log.contains("unheard-of"),
        "{log}"
    );
}

#[cfg(unix)]
#[test]
fn a_child_beside_us_answers_line_by_line() {
    let mut child = Runner::default().spawn(&Cmd::new("cat", "echo"), None).unwrap();
    child.write_line("hello").unwrap();
    assert_eq!(child.read_line().unwrap().as_deref(), Some("hello"));
    assert_eq!(child.finish(std::time::Duration::from_secs(10)), Some(0));
}

#[cfg(unix)]
#[test]
fn the_last_value_of_a_variable_wins_and_a_set_one_beats_its_removal() {
    let cmd = Cmd::new("sh", "print")
        .args(["-c", "echo $A"])
        .env_remove("A")
        .env("A", "first")
        .secret_env("A", &Secret::new("last"));
    assert_eq!(Runner::default().run(&cmd).unwrap().stdout_text(), "last\n");
}

#[cfg(unix)]
#[test]
fn an_answer_counts_when_its_program_has_ended_whatever_it_left_behind() {
    let left = |script: &str| {
        let cmd = Cmd::new("sh", "ask").args(["-c", script]);
        Runner::default().answer(&cmd.limit(std::time::Duration::from_secs(30)))
    };
    let started = std::time::Instant::now();
    assert_eq!(left("sleep 40 & printf word").unwrap().stdout_text(), "word");
    let failed = left("sleep 40 & echo no key >&2; exit 3")
        .unwrap_err()
        .to_string();
    assert!(
        failed.contains("exit code 3") && failed.contains("no key"),
        "{failed}"
    );
    assert!(
        started.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    // The whole of it, when it ends by itself.
    assert_eq!(left("seq 20000").unwrap().stdout.len(), 108_894);
}

#[cfg(unix)]
#[test]
fn a_statement_that_a_program_quotes_keeps_its_password_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("step.log");
    let runner = Runner::default().with_log(&log).unwrap();
    let cmd = Cmd::new("sh", "complain").args([
        "-c",
        "printf \"Command was: CREATE USER MAPPING FOR x SERVER y OPTIONS (\\n    password 'unheard-of'\\n);\\n\" >&2; exit 1",
    ]);
    let error = runner.run(&cmd).unwrap_err().to_string();
    assert!(error.contains("password '***'"), "{error}");
    let streamed = runner
        .stream(&cmd, |line| assert!(!line.contains("unheard-of")))
        .unwrap_err();
    let log = std::fs::read_to_string(&log).unwrap();
    // The command itself is ours, and holds no secret but in this test.
    let log: Vec<&str> = log.lines().filter(|line| !line.contains("$ sh")).collect();
    for text in [
        error.split_once('\n').unwrap().1.split_once("  |").unwrap().1,
        streamed.tail(),
        &log.join("\n"),
    ] {
        assert!(
            text.contains("USER MAPPING") && !text.contains("unheard-of"),
            "{text}"
        );
    }
}
