//! Real shells complete `cargo xtask`; a shell that this machine does not have is named and left out.

use std::time::Duration;

use infra::{Cmd, Interrupt, Runner};

use super::*;

/// What a shell offers for a line, one candidate each; `None` without the shell.
fn offers(shell: Shell, line: &str) -> Option<Vec<String>> {
    let program = infra::command::find_program(&shell.to_string())?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("completions");
    infra::files::write_private(&file, script(shell).as_bytes()).unwrap();
    let file = file.display();
    let text = match shell {
        // What bash does on TAB, with the words where readline puts them.
        Shell::Bash => format!(
            "own() {{ COMPREPLY=(from-cargo); }}; complete -F own cargo\nsource {file}\nsource {file}\n\
             COMP_LINE={line:?}; read -ra COMP_WORDS <<< \"$COMP_LINE\"\n\
             [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             [[ $(complete -p cargo) =~ -F\\ ([^\\ ]+) ]]\n\
             \"${{BASH_REMATCH[1]}}\" cargo \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        ),
        Shell::Fish => format!("source {file}\ncomplete -C {line:?}\n"),
        // zsh completes on a terminal only: one inside the other, with the line typed up to TAB.
        _ => format!(
            "zmodload zsh/zpty || exit 0\nzpty z zsh -f -i\n\
             zpty -w z 'autoload -Uz compinit && compinit -u -d {file}.dump; source {file}; print DO\"NE\"'\n\
             zpty -r -m z text '*DONE*'\nzpty -w -n z $'{line}\\t'\nzpty -r -m z text '*onb*oard*'\n\
             print -r -- ${{text##*xtask }}\nzpty -d z\n"
        ),
    };
    let plain: &[&str] = match shell {
        Shell::Bash => &["--norc", "--noprofile"],
        Shell::Fish => &["--no-config"],
        _ => &["-f"],
    };
    let script = folder.path().join("script");
    infra::files::write_private(&script, text.as_bytes()).unwrap();
    let cmd = Cmd::new(program, "complete a line")
        .args(plain)
        .arg(&script)
        .env("HOME", folder.path())
        .limit(Duration::from_secs(60));
    let output = Runner::new(Interrupt::default()).run(&cmd).unwrap();
    let lines = output.stdout_text();
    let first = |line: &str| line.split('\t').next().unwrap_or_default().trim().to_owned();
    Some(lines.lines().map(first).collect())
}

/// Writes down what could not be checked, where ci collects it.
fn leave_out(shell: Shell) {
    eprintln!("left out: {shell} is not on this machine");
    if let Some(file) = std::env::var_os("XTASK_CI_LEFT_OUT") {
        let mut file = infra::files::append_private(std::path::Path::new(&file)).unwrap();
        std::io::Write::write_all(
            &mut file,
            format!("completions of {shell}: it is not here\n").as_bytes(),
        )
        .unwrap();
    }
}

#[test]
fn cargo_xtask_is_completed_and_the_rest_stays_cargos_own() {
    for shell in [Shell::Bash, Shell::Fish] {
        let Some(commands) = offers(shell, "cargo xtask ") else {
            leave_out(shell);
            continue;
        };
        for command in Cli::command().get_subcommands() {
            let name = command.get_name().to_owned();
            assert!(commands.contains(&name), "{shell}: {name} is not in {commands:?}");
        }
        let started = offers(shell, "cargo xtask on").unwrap();
        assert_eq!(started, ["onboard"], "{shell}");
        let flags = offers(shell, "cargo xtask migrate --dry").unwrap();
        assert_eq!(flags, ["--dry-run"], "{shell}");
        let scopes = offers(shell, "cargo xtask verify --scope d").unwrap();
        assert_eq!(scopes, ["databases"], "{shell}");
        let problems = offers(shell, "cargo xtask doctor --only alembic").unwrap();
        assert_eq!(problems, ["alembic-version-missing"], "{shell}");
        let checks = offers(shell, "cargo xtask verify --skip env.tar").unwrap();
        assert_eq!(checks, ["env.target"], "{shell}");
        let other = offers(shell, "cargo bu").unwrap();
        assert!(!other.contains(&"backup".to_owned()), "{shell}: {other:?}");
        if shell == Shell::Bash {
            assert_eq!(other, ["from-cargo"]);
        }
    }
}

#[test]
fn zsh_completes_cargo_xtask_on_a_terminal() {
    let Some(lines) = offers(Shell::Zsh, "cargo xtask onb") else {
        return leave_out(Shell::Zsh);
    };
    assert!(lines.iter().any(|line| line.contains("onboard")), "{lines:?}");
}

#[test]
fn every_shell_gets_a_script_that_names_every_command() {
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Elvish,
    ] {
        let text = script(shell);
        for command in Cli::command().get_subcommands() {
            assert!(
                text.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
        }
    }
}
