//! Processes of this machine that we did not start.

use std::path::PathBuf;

use crate::command::{Cmd, Runner};

/// How a process was started, as one line; `None` when it is gone or this machine does not tell.
pub fn command_line(runner: &Runner, pid: u32) -> Option<String> {
    let cmd = if cfg!(windows) {
        let query = format!("(Get-CimInstance Win32_Process -Filter 'ProcessId={pid}').CommandLine");
        Cmd::new("powershell", "ask how a process was started").args([
            "-NoProfile",
            "-NonInteractive",
            "-Command",
            &query,
        ])
    } else if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        let words = bytes
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>();
        return Some(words.join(" ").trim_end().to_owned());
    } else {
        Cmd::new("ps", "ask how a process was started").args(["-o", "command=", "-p", &pid.to_string()])
    };
    let line = runner.run(&cmd).ok()?.stdout_text().trim().to_owned();
    Some(line).filter(|line| !line.is_empty())
}

/// The folder a process works in. Only Linux tells without another program.
pub fn working_folder(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Asks a process to end. Windows cannot ask a console program of another window: there it is ended, with its children.
pub fn end(pid: u32) -> Cmd {
    if cfg!(windows) {
        return Cmd::new("taskkill", "end the process").args(["/PID", &pid.to_string(), "/T", "/F"]);
    }
    Cmd::new("kill", "ask the process to end").arg(pid.to_string())
}
