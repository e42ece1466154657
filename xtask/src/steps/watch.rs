//! Watches the fence: an old container that starts again between its stop and the cutover is stopped at once.
//!
//! Its reader is killed first. Two servers in two containers do not see each other on one data folder, and a reader that
//! shuts down cleanly would overwrite the control file with what it knows and lose what the old server has just written.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use infra::docker::{self, Container};
use infra::{Cmd, Interrupt, Runner};

use super::{Failure, World};
use crate::plan::action::{Fence, Fenced};
use crate::plan::{Action, PlannedStep};

/// How often the engine is asked again for its events after the connection ended.
const CONNECTIONS: u32 = 5;

/// How long a container that was started may take for a fast shutdown before it is ended.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// Watches the containers and volumes that a run fences, while its steps run.
pub struct Watch<'a> {
    fences: Vec<&'a Fence>,
    runner: Runner,
    progress: &'a dyn super::Progress,
    run: String,
    /// Ends the programs of the running step.
    cut: Interrupt,
    /// Databases whose fence a step has begun to put up: nothing of ours starts their containers any more.
    armed: Mutex<BTreeSet<String>>,
    /// Databases whose fence is up: their containers do not run any more.
    up: Mutex<BTreeSet<String>>,
    /// What was started; locked as long as it is being stopped.
    broken: Mutex<Option<String>>,
    /// Whether the engine reports no starts any more.
    lost: AtomicBool,
    ended: AtomicBool,
    events: Mutex<Option<u32>>,
}

/// Does `work` under the watch of every fence of these steps that is a container or a volume.
pub fn under_watch<'a, T>(
    steps: &'a [PlannedStep],
    world: &World<'a>,
    work: impl FnOnce(Option<&Watch<'a>>) -> T,
) -> T {
    let fences: Vec<&Fence> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Fence(fence) => Some(fence),
            _ => None,
        })
        .filter(|fence| matches!(fence.fenced, Fenced::Container { .. } | Fenced::Volume { .. }))
        .collect();
    if fences.is_empty() {
        return work(None);
    }
    let watch = Watch {
        fences,
        // Ctrl-C ends the steps, not the watch: what they leave must stay fenced.
        runner: world.runner.interrupted_by(Interrupt::default()),
        progress: world.progress,
        run: world.run.id.to_string(),
        cut: world.runner.interrupt().child(),
        armed: Mutex::default(),
        up: Mutex::default(),
        broken: Mutex::default(),
        lost: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        events: Mutex::default(),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| watch.listen());
        // Also when the work panics: the scope waits for the thread.
        let _end = End(&watch);
        work(Some(&watch))
    })
}

/// Ends the watch when it goes.
struct End<'w, 'a>(&'w Watch<'a>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<'a> Watch<'a> {
    /// Does the work of a step; its programs end, and the step fails, when a fenced container starts meanwhile.
    ///
    /// # Errors
    /// Those of the work, and the start of a fenced container.
    pub(super) fn over<T>(
        &self,
        action: &Action,
        world: &World<'a>,
        work: impl FnOnce(&World<'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match action {
            Action::Fence(fence) => drop(lock(&self.armed).insert(fence.database.clone())),
            _ if self.lost.load(Ordering::SeqCst) => self.look(),
            _ => {}
        }
        self.intact(None)?;
        let inner = World {
            vault: world.vault,
            runner: world.runner.interrupted_by(self.cut.clone()),
            run: world.run.clone(),
            progress: world.progress,
        };
        match work(&inner) {
            Ok(done) => self.intact(None).map(|()| done),
            Err(failure) if world.runner.interrupt().is_set() => Err(failure),
            Err(failure) => {
                self.intact(Some(&failure))?;
                Err(failure)
            }
        }
    }

    /// A fence is up.
    pub(super) fn is_up(&self, fence: &Fence) {
        lock(&self.up).insert(fence.database.clone());
    }

    /// The cutover is done: whoever starts an old instance now has his reasons.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(pid) = lock(&self.events).take() {
            self.runner.kill(pid);
        }
    }

    /// Fails when a fenced container was started.
    fn intact(&self, failure: Option<&Failure>) -> Result<(), Failure> {
        let Some(text) = lock(&self.broken).clone() else {
            return Ok(());
        };
        // What a program said when it was ended for this is no news.
        let said = match failure {
            Some(failure) if !failure.interrupted => format!("\n{}", failure.message),
            _ => String::new(),
        };
        Err(Failure::new(format!("{text}{said}")))
    }

    /// Reads the engine's events until the watch ends.
    fn listen(&self) {
        for _ in 0..CONNECTIONS {
            let cmd = Cmd::new(docker::PROGRAM, "watch for containers that start").args([
                "events",
                "--filter",
                "type=container",
                "--filter",
                "event=start",
                "--format",
                "{{.ID}}",
            ]);
            let Ok(mut events) = self.runner.spawn(&cmd, None) else {
                break;
            };
            *lock(&self.events) = events.pid();
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            // What started before the engine listened to us.
            self.look();
            while let Ok(Some(id)) = events.read_line() {
                self.started(&id);
            }
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(500));
        }
        self.lost.store(true, Ordering::SeqCst);
        self.progress.warn(
            "the Docker engine does not report which containers start any more; the fence is looked at between the steps \
             only. Do not start an old container until the migration is done",
        );
    }

    /// Looks whether a container runs whose fence is up.
    fn look(&self) {
        let up = lock(&self.up).clone();
        if up.is_empty() {
            return;
        }
        for container in docker::containers(&self.runner).unwrap_or_default() {
            if container.is_running() {
                self.judge(&container, &up);
            }
        }
    }

    fn started(&self, id: &str) {
        let armed = lock(&self.armed).clone();
        if armed.is_empty() {
            return;
        }
        if let Ok(Some(container)) = docker::container(&self.runner, id) {
            self.judge(&container, &armed);
        }
    }

    /// Stops a container that uses fenced data.
    fn judge(&self, container: &Container, watched: &BTreeSet<String>) {
        let mut fences = self
            .fences
            .iter()
            .filter(|fence| watched.contains(&fence.database));
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        if let Some(fence) = fences.find(|fence| uses(fence, container)) {
            let mut broken = lock(&self.broken);
            let text = self.stop(fence, container);
            broken.get_or_insert(text);
            self.cut.set();
        }
    }

    /// Kills the reader, stops the container, and says so.
    fn stop(&self, fence: &Fence, container: &Container) -> String {
        let name = &container.name;
        let kill = Cmd::new(docker::PROGRAM, format!("kill the reader of {}", fence.database))
            .args(["kill", &fence.reader_name()]);
        // It may have ended by itself, or not run yet.
        let _ = self.runner.run(&kill);
        if matches!(&fence.fenced, Fenced::Container { id, .. } if *id == container.id) {
            // First: the engine must not start it again. That it could not be said shows when the container is started.
            let _ = self.runner.run(&docker::set_restart(name, "no"));
        }
        let now = match docker::stop_starting(&self.runner, name, SHUTDOWN) {
            Ok(_) => "it was stopped again".to_owned(),
            Err(error) => format!("it could not be stopped again: {error}"),
        };
        format!(
            "container {name}, which uses the old data of {}, was started by something else during the migration; {now}. Find out \
             what starts it (docker-compose up, an autoheal container, a person), then type cargo xtask migrate --resume {}: it \
             compares the old data with the backup before it goes on",
            fence.database, self.run
        )
    }
}

/// Whether a container is the fenced one, or has its data; readers of ours carry a label.
fn uses(fence: &Fence, container: &Container) -> bool {
    if container.labels.contains_key(docker::RUN_LABEL) {
        return false;
    }
    let data = match &fence.fenced {
        Fenced::Container { id, .. } if *id == container.id => return true,
        Fenced::Container { data, .. } => data.as_ref(),
        Fenced::Volume { volume, .. } => Some(volume),
        Fenced::Cluster { .. } | Fenced::External(_) => None,
    };
    data.is_some_and(|data| super::fence::has_data(container, data))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
