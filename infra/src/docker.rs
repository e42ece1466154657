//! Docker through its command line.

mod inspect;

use std::collections::BTreeMap;
use std::time::Duration;

pub use inspect::{Container, Mount, Volume};
use inspect::{parse_containers, parse_volumes};

use crate::command::{Cmd, CommandError, Output, Runner};

/// The client program.
pub const PROGRAM: &str = "docker";
/// Label on every container that a run starts; its value is the run id.
pub const RUN_LABEL: &str = "xtask.run";

/// The engine's version, when one answers.
///
/// # Errors
/// When the client is missing or no engine answers.
pub fn engine_version(runner: &Runner) -> Result<String, CommandError> {
    let cmd = Cmd::new(PROGRAM, "ask the Docker engine for its version")
        .args(["version", "--format", "{{.Server.Version}}"])
        .limit(Duration::from_secs(20));
    Ok(runner.run(&cmd)?.stdout_text().trim().to_owned())
}

/// All containers, running or not.
///
/// # Errors
/// Any [`CommandError`].
pub fn containers(runner: &Runner) -> Result<Vec<Container>, CommandError> {
    let cmd = Cmd::new(PROGRAM, "list containers").args(["ps", "-aq", "--no-trunc"]);
    let ids = runner.run(&cmd)?.stdout_text();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // A container may vanish between the two calls: `docker inspect` then exits 1 and still prints the others.
    let cmd = Cmd::new(PROGRAM, "inspect containers")
        .args(["inspect", "--type", "container"])
        .args(ids);
    parse_containers(&runner.output(&cmd)?.stdout)
}

/// One container by name or id; `None` when there is none.
///
/// # Errors
/// Any [`CommandError`] but "no such container".
pub fn container(runner: &Runner, name: &str) -> Result<Option<Container>, CommandError> {
    let cmd =
        Cmd::new(PROGRAM, format!("inspect container {name}")).args(["inspect", "--type", "container", name]);
    let output = runner.output(&cmd)?;
    if output.success() {
        return Ok(parse_containers(&output.stdout)?.pop());
    }
    missing(&cmd, output).map(|()| None)
}

/// All named volumes.
///
/// # Errors
/// Any [`CommandError`].
pub fn volumes(runner: &Runner) -> Result<Vec<Volume>, CommandError> {
    let names = runner
        .run(&Cmd::new(PROGRAM, "list volumes").args(["volume", "ls", "-q"]))?
        .stdout_text();
    let names: Vec<&str> = names.split_whitespace().collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let cmd = Cmd::new(PROGRAM, "inspect volumes")
        .args(["volume", "inspect"])
        .args(names);
    parse_volumes(&runner.output(&cmd)?.stdout)
}

/// All volumes with their sizes as Docker shows them; a size that Docker cannot tell is `unknown size`.
///
/// # Errors
/// Any [`CommandError`].
pub fn volume_sizes(runner: &Runner) -> Result<BTreeMap<String, String>, CommandError> {
    let mut sizes: BTreeMap<String, String> = volumes(runner)?
        .into_iter()
        .map(|volume| (volume.name, "unknown size".to_owned()))
        .collect();
    let cmd = Cmd::new(PROGRAM, "ask for the sizes of volumes").args([
        "system",
        "df",
        "-v",
        "--format",
        "{{range .Volumes}}{{.Name}}\t{{.Size}}\n{{end}}",
    ]);
    // Only for people to read: a Docker that cannot tell does not stop anything.
    if let Ok(output) = runner.run(&cmd) {
        for line in output.stdout_text().lines() {
            if let Some((name, size)) = line.split_once('\t')
                && let Some(entry) = sizes.get_mut(name)
            {
                *entry = size.to_owned();
            }
        }
    }
    Ok(sizes)
}

/// The id of a local image; `None` when it is not here.
///
/// # Errors
/// When docker itself fails.
pub fn image_id(runner: &Runner, image: &str) -> Result<Option<String>, CommandError> {
    // `image ls NAME` would list every tag of a name without one.
    let cmd = Cmd::new(PROGRAM, format!("look for image {image}"))
        .args(["image", "inspect", "--format", "{{.Id}}", image]);
    let output = runner.output(&cmd)?;
    if output.success() {
        return Ok(Some(output.stdout_text().trim().to_owned()));
    }
    missing(&cmd, output).map(|()| None)
}

/// What is not there is an answer; any other failure is an error.
fn missing(cmd: &Cmd, output: Output) -> Result<(), CommandError> {
    if output.stderr.to_ascii_lowercase().contains("no such") {
        return Ok(());
    }
    Err(CommandError::Failed {
        what: cmd.what().to_owned(),
        line: cmd.to_string(),
        code: output.code,
        tail: output.stderr,
    })
}

/// What an image says of a server's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageData {
    /// `PGDATA` of its environment.
    pub folder: Option<String>,
    /// Folders for which every container gets a volume without a name, unless it mounts another one.
    pub volumes: Vec<String>,
}

/// What an image says of a server's data; `None` when it is not here.
///
/// # Errors
/// When docker itself fails.
pub fn image_data(runner: &Runner, image: &str) -> Result<Option<ImageData>, CommandError> {
    let cmd = Cmd::new(PROGRAM, format!("inspect image {image}")).args([
        "image",
        "inspect",
        "--format",
        "{{range .Config.Env}}{{println .}}{{end}}{{range $folder, $_ := .Config.Volumes}}{{println \"VOLUME\" $folder}}{{end}}",
        image,
    ]);
    let output = runner.output(&cmd)?;
    if !output.success() {
        return Ok(None);
    }
    let text = output.stdout_text();
    let lines = |prefix: &'static str| text.lines().filter_map(move |line| line.strip_prefix(prefix));
    Ok(Some(ImageData {
        folder: lines("PGDATA=").next().map(str::to_owned),
        volumes: lines("VOLUME ").map(str::to_owned).collect(),
    }))
}

/// `docker pull`.
pub fn pull(image: &str, limit: Duration) -> Cmd {
    Cmd::new(PROGRAM, format!("pull image {image}"))
        .args(["pull", image])
        .limit(limit)
}

/// `docker stop` with time for PostgreSQL's shutdown checkpoint.
pub fn stop(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("stop container {name}")).args(["stop", "-t", "120", name])
}

/// Asks PostgreSQL for a fast shutdown, as often as needed until the container has stopped or `limit` is over: a signal that comes
/// while the container's entrypoint still prepares the start is lost.
///
/// # Errors
/// Any [`CommandError`] of the last `docker stop`, which also ends what did not listen.
pub fn stop_starting(runner: &Runner, name: &str, limit: Duration) -> Result<(), CommandError> {
    let ask =
        Cmd::new(PROGRAM, format!("ask {name} for a fast shutdown")).args(["kill", "--signal", "INT", name]);
    let _ = crate::wait::watch(runner.interrupt(), limit, Duration::from_millis(500), || {
        // It fails on a container that has stopped by itself.
        let _ = runner.run(&ask);
        container(runner, name)
            .is_ok_and(|one| one.is_none_or(|one| !one.is_running()))
            .then_some(())
    });
    runner.run(&stop(name)).map(drop)
}

/// `docker start`.
pub fn start(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("start container {name}")).args(["start", name])
}

/// `docker restart`, with time for PostgreSQL's shutdown checkpoint.
pub fn restart(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("restart container {name}")).args(["restart", "-t", "120", name])
}

/// `docker unpause`.
pub fn unpause(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("unpause container {name}")).args(["unpause", name])
}

/// `docker rm`, which refuses a container that runs; its volumes stay.
pub fn forget(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("remove stopped container {name}")).args(["rm", name])
}

/// `docker rm -f -v`: only for containers that we made; anonymous volumes of ours go with them.
pub fn remove(name: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("remove container {name}")).args(["rm", "-f", "-v", name])
}

/// Changes a restart policy: an engine restart must not bring a fenced container back.
pub fn set_restart(name: &str, policy: &str) -> Cmd {
    Cmd::new(PROGRAM, format!("set the restart policy of {name} to {policy}")).args([
        "update",
        "--restart",
        policy,
        name,
    ])
}

/// The last lines a container printed.
pub fn logs(runner: &Runner, name: &str, lines: u32) -> String {
    let cmd = Cmd::new(PROGRAM, format!("read the log of {name}")).args([
        "logs",
        "--tail",
        &lines.to_string(),
        name,
    ]);
    match runner.output(&cmd) {
        Ok(output) => runner
            .redactor()
            .redact_output(&format!("{}{}", output.stdout_text(), output.stderr)),
        Err(error) => error.to_string(),
    }
}

/// A port of a running container that is published on the host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Published {
    /// The port in the container.
    pub inside: u16,
    /// The address on the host, to connect to.
    pub host: String,
    /// The port on the host.
    pub port: u16,
}

/// The TCP ports that the engine publishes for a running container at this moment.
///
/// # Errors
/// Any [`CommandError`].
pub fn published(runner: &Runner, name: &str) -> Result<Vec<Published>, CommandError> {
    let cmd = Cmd::new(PROGRAM, format!("ask for the ports of {name}")).args(["port", name]);
    let text = runner.run(&cmd)?.stdout_text();
    Ok(text.lines().filter_map(published_line).collect())
}

/// `5432/tcp -> 0.0.0.0:5435`; a server that listens everywhere is asked on loopback.
fn published_line(line: &str) -> Option<Published> {
    let (inside, outside) = line.split_once(" -> ")?;
    let (host, port) = outside.trim().rsplit_once(':')?;
    let host = match host.trim_matches(['[', ']']) {
        "0.0.0.0" => "127.0.0.1",
        "::" | "" => "::1",
        host => host,
    };
    Some(Published {
        inside: inside.strip_suffix("/tcp")?.parse().ok()?,
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

/// What a container printed last, for people: first the line that the program itself calls an error, or its last one, then
/// the last lines.
pub fn last_words(runner: &Runner, name: &str) -> String {
    let log = logs(runner, name, 10);
    let is_error = |line: &&str| {
        ["PANIC:", "FATAL:", "ERROR:", "error:"]
            .iter()
            .any(|word| line.contains(word))
    };
    let error = log
        .lines()
        .rfind(is_error)
        .map(|line| format!("{}\n", line.trim()));
    format!(
        "{}the last lines of its log (docker logs {name}):\n{}",
        error.unwrap_or_default(),
        log.trim_end()
    )
}

/// Free bytes of the file system that holds `path` inside a running container; `None` where it does not tell.
pub fn free_bytes(runner: &Runner, name: &str, path: &str) -> Option<u64> {
    let cmd = Cmd::new(PROGRAM, format!("ask {name} for free space")).args(["exec", name, "df", "-Pk", path]);
    available(&runner.run(&cmd).ok()?.stdout_text())
}

/// Free bytes of the file system that holds a volume, or the engine's own data where there is none yet. A container of
/// `image`, which must be on this machine, looks.
pub fn free_bytes_of(runner: &Runner, image: &str, volume: Option<&str>) -> Option<u64> {
    let what = format!("ask for free space of {}", volume.unwrap_or("the engine"));
    let mut cmd = Cmd::new(PROGRAM, what).args(["run", "--rm", "--network", "none"]);
    if let Some(volume) = volume {
        let mount = format!("type=volume,source={volume},target=/x,readonly,volume-nocopy");
        cmd = cmd.args(["--mount", &mount]);
    }
    let path = if volume.is_some() { "/x" } else { "/" };
    let cmd = cmd.args(["--entrypoint", "df", image, "-Pk", path]);
    available(
        &runner
            .run(&cmd.limit(Duration::from_secs(60)))
            .ok()?
            .stdout_text(),
    )
}

/// The available space of `df -Pk`.
fn available(text: &str) -> Option<u64> {
    // Header, then: file system, blocks, used, available, capacity, mount point.
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Containers of a run that are still there.
///
/// # Errors
/// Any [`CommandError`].
pub fn of_run(runner: &Runner, run: &str) -> Result<Vec<Container>, CommandError> {
    Ok(containers(runner)?
        .into_iter()
        .filter(|container| container.labels.get(RUN_LABEL).is_some_and(|value| value == run))
        .collect())
}

/// `--user UID:GID`, so that files in a bind mount belong to the person; nothing where the engine maps owners itself.
pub fn user_args() -> Vec<String> {
    #[cfg(target_os = "linux")]
    return vec![
        "--user".to_owned(),
        format!(
            "{}:{}",
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw()
        ),
    ];
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_read_with_the_address_to_connect_to() {
        let read = |line: &str| published_line(line).map(|it| (it.inside, it.host, it.port));
        let one = |host: &str| Some((5432, host.to_owned(), 5435));
        assert_eq!(read("5432/tcp -> 0.0.0.0:5435"), one("127.0.0.1"));
        assert_eq!(read("5432/tcp -> :::5435"), one("::1"));
        assert_eq!(read("5432/tcp -> [::]:5435"), one("::1"));
        assert_eq!(read("5432/tcp -> 127.0.0.2:5435"), one("127.0.0.2"));
        assert_eq!(read("5432/udp -> 0.0.0.0:5435"), None);
    }
}
