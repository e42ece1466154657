//! bash 5.2 that sources the file without arguments: assignments, `export`, and the shell grammar around them.
//!
//! A `.env` file is a program for bash. Assignments are followed; a command is noted and changes nothing, which is
//! true of every external program. Whatever could change variables in a way that is not modelled - control flow,
//! other builtins, here-documents - makes every reading unknown.

mod expand;
mod lex;
mod names;
mod quote;
mod word;

use std::borrow::Cow;

use self::lex::{Lexer, Stop};
use self::word::{Target, Word};
use super::{Lines, Scope, Val};
use crate::reader::Reader;
use crate::reading::Readings;

const RUNS: &str = "bash runs this line as a command";
const READONLY: &str = "bash does not let this variable be changed";
const NULS: &str = "more than 256 NUL bytes: bash takes the file for a program";
const MAYBE: &str = "whether bash gets here depends on a command";
const OWN: &str = "bash gives this variable its own value";
const COMMAND: &str = "the command is not known before the file runs";
const BUILTIN: &str = "a command of the shell itself runs, which may change anything";
const EXPORT: &str = "the arguments of `export` are not plain assignments";

pub(super) fn read(bytes: &[u8], reader: Reader, scope: Scope<'_>) -> Readings {
    let readings = Readings::new(reader);
    let text = without_nuls(bytes);
    if bytes.len() - text.len() > 256 {
        return readings.reject(1, NULS);
    }
    let mut shell = Shell {
        lexer: Lexer::new(&text),
        lines: Lines::new(&text),
        scope,
        readings,
    };
    loop {
        match shell.list() {
            Ok(true) => {}
            Ok(false) => return shell.scope.into_readings(shell.readings),
            Err(stop) => {
                let (line, stop) = shell.lexer.place_of(stop);
                return match stop {
                    Stop::Syntax(why) => shell.readings.reject(line, why),
                    Stop::Unknown(why) => shell.readings.give_up(line, why),
                };
            }
        }
    }
}

/// bash drops NUL bytes from a file that it sources.
fn without_nuls(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.contains(&0) {
        bytes
            .iter()
            .copied()
            .filter(|b| *b != 0)
            .collect::<Vec<_>>()
            .into()
    } else {
        bytes.into()
    }
}

/// What stands between commands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    End,
    Semicolon,
    Background,
    Pipe,
    And,
    Or,
}

/// A simple command.
struct Command {
    at: usize,
    assignments: Vec<Word>,
    words: Vec<Word>,
    /// It may fail on a file before it runs.
    redirected: bool,
}

struct Shell<'t, 'e> {
    lexer: Lexer<'t>,
    lines: Lines<'t>,
    scope: Scope<'e>,
    readings: Readings,
}

impl Shell<'_, '_> {
    /// One list up to the end of its line, `;` or `&`. `Ok(false)` at the end of the file.
    fn list(&mut self) -> Result<bool, Stop> {
        if !self.lexer.start_of_command()? {
            return Ok(false);
        }
        // Commands with the operator in front of each.
        let mut commands = vec![(Operator::End, self.command()?)];
        let last = loop {
            let operator = self.lexer.operator()?;
            match operator {
                Operator::Pipe | Operator::And | Operator::Or => {
                    self.lexer.after_connector()?;
                    commands.push((operator, self.command()?));
                }
                _ => break operator,
            }
        };
        if last == Operator::Background {
            for (_, command) in &commands {
                self.note(command, "bash runs this in the background, where it sets nothing");
            }
            return Ok(true);
        }
        self.run_list(commands)?;
        Ok(true)
    }

    fn command(&mut self) -> Result<Command, Stop> {
        let at = self.lexer.pos();
        self.lexer.redirected = false;
        let mut command = Command {
            at,
            assignments: Vec::new(),
            words: Vec::new(),
            redirected: false,
        };
        while let Some(word) = self.lexer.word(command.words.is_empty())? {
            if command.words.is_empty() && word.assigns.is_some() {
                command.assignments.push(word);
            } else {
                if command.words.is_empty()
                    && command.assignments.is_empty()
                    && word.unquoted_literal().is_some_and(names::is_powerful)
                {
                    return Err(Stop::Unknown(BUILTIN));
                }
                command.words.push(word);
            }
        }
        command.redirected = self.lexer.redirected;
        Ok(command)
    }

    fn note(&mut self, command: &Command, what: &'static str) {
        let line = self.lines.line(command.at);
        self.readings.note(line, what);
    }

    fn run_list(&mut self, commands: Vec<(Operator, Command)>) -> Result<(), Stop> {
        let mut status = Some(true);
        let count = commands.len();
        let piped: Vec<bool> = (0..count)
            .map(|i| {
                commands[i].0 == Operator::Pipe
                    || commands.get(i + 1).is_some_and(|next| next.0 == Operator::Pipe)
            })
            .collect();
        for ((operator, command), piped) in commands.into_iter().zip(piped) {
            let runs = match operator {
                Operator::And => status,
                Operator::Or => status.map(|ok| !ok),
                _ => Some(true),
            };
            if operator != Operator::Pipe && runs == Some(false) {
                continue;
            }
            if piped {
                self.note(&command, "bash runs this in a pipeline, where it sets nothing");
                status = None;
                continue;
            }
            status = self.run(&command, runs == Some(true))?;
        }
        Ok(())
    }

    /// Runs a command; its exit status where that is known.
    fn run(&mut self, command: &Command, surely: bool) -> Result<Option<bool>, Stop> {
        let line = self.lines.line(command.at);
        let Some((first, arguments)) = command.words.split_first() else {
            for word in &command.assignments {
                if !self.assign(word, line, surely) {
                    return Ok(Some(false));
                }
            }
            let known = !command.redirected && !command.assignments.iter().any(Word::runs_a_command);
            return Ok(known.then_some(true));
        };
        self.readings.note(line, RUNS);
        let Some(name) = first.literal().filter(|_| !first.may_become_other_words()) else {
            return Err(Stop::Unknown(COMMAND));
        };
        if name == b"export" {
            self.readings.notes.pop();
            return self.export(arguments, line, surely && !command.redirected);
        }
        if names::is_powerful(&name) {
            return Err(Stop::Unknown(BUILTIN));
        }
        Ok(match name.as_slice() {
            b":" | b"true" if !command.redirected => Some(true),
            b"false" => Some(false),
            _ => None,
        })
    }

    fn export(&mut self, arguments: &[Word], line: usize, surely: bool) -> Result<Option<bool>, Stop> {
        let mut values = Vec::new();
        let mut ok = true;
        for word in arguments {
            // All arguments are expanded before the first is assigned.
            match &word.assigns {
                Some(_) if word.may_split_into_braces() => return Err(Stop::Unknown(EXPORT)),
                Some(target) => values.push((target.clone(), self.value(word))),
                None => match exported(word)? {
                    Exported::Value(target, value) => values.push((target, value)),
                    Exported::Name => {}
                    Exported::Refused => {
                        self.readings.note(line, "`export` does not take this name");
                        ok = false;
                    }
                },
            }
        }
        for (target, value) in values {
            ok &= self.store(&target, value, line, surely);
        }
        Ok(Some(ok).filter(|_| surely))
    }

    fn assign(&mut self, word: &Word, line: usize, surely: bool) -> bool {
        let Some(target) = &word.assigns else { return true };
        let value = self.value(word);
        self.store(target, value, line, surely)
    }

    fn value(&mut self, word: &Word) -> Val {
        match expand::expand(&word.parts, &mut self.scope) {
            Ok(value) => Val::Known(value),
            Err(why) => Val::Unknown(why),
        }
    }

    /// `false` when bash refuses the assignment and drops the rest of the command.
    fn store(&mut self, target: &Target, value: Val, line: usize, surely: bool) -> bool {
        let name = target.name.as_slice();
        if names::is_fixed(name) {
            self.readings.note(line, READONLY);
            return false;
        }
        let value = if target.subscript {
            // An array cannot be exported; its first element is what `$NAME` means.
            Val::Unknown("bash makes this an array, which no other program sees")
        } else if names::is_live(name) {
            Val::Unknown(OWN)
        } else if !surely {
            Val::Unknown(MAYBE)
        } else if target.append {
            self.append(name, value)
        } else {
            value
        };
        self.scope.set(name, line, value);
        true
    }

    fn append(&mut self, name: &[u8], value: Val) -> Val {
        let before = self.scope.in_file(name).cloned().or_else(|| {
            let value = self.scope.environment.get(name)?;
            Some(Val::Known(value.to_vec()))
        });
        match (before, value) {
            (Some(Val::Known(mut before)), Val::Known(value)) => match self.scope.spend(before.len()) {
                Ok(()) => {
                    before.extend_from_slice(&value);
                    Val::Known(before)
                }
                Err(why) => Val::Unknown(why),
            },
            (Some(Val::Unknown(why)), _) => Val::Unknown(why),
            (_, value) => value,
        }
    }
}

/// What `export` makes of an argument that is not written as an assignment.
enum Exported {
    Value(Target, Val),
    Name,
    Refused,
}

fn exported(word: &Word) -> Result<Exported, Stop> {
    let text = word.literal().filter(|_| !word.may_become_other_words());
    let text = text
        .filter(|text| !text.starts_with(b"-"))
        .ok_or(Stop::Unknown(EXPORT))?;
    // With a quote in its name, as in `export A'B=x'`, a word is no assignment before the quote is gone.
    if let Some(equals) = text.iter().position(|b| *b == b'=') {
        let (name, value) = (&text[..equals], &text[equals + 1..]);
        if names::is_name(name) && !value.contains(&b'~') {
            let target = Target {
                name: name.to_vec(),
                append: false,
                subscript: false,
            };
            return Ok(Exported::Value(target, Val::Known(value.to_vec())));
        }
        // `A+=`, `A[0]=` and home directories.
        return if names::name_length(name) == 0 {
            Ok(Exported::Refused)
        } else {
            Err(Stop::Unknown(EXPORT))
        };
    }
    Ok(if names::is_name(&text) {
        Exported::Name
    } else {
        Exported::Refused
    })
}
