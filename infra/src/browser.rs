//! A headless Chromium, for the tests that look at our pages.

use std::path::{Path, PathBuf};

use crate::command::{Runner, find_program};
use crate::python;

/// Drives the browser; brings no browser and no driver of its own.
const SELENIUM: &str = "selenium==4.51.0";
/// The rules of axe-core, for accessibility.
const AXE: &str = "axe-core-python==0.1.0";
/// Names that Chromium has on the systems we know.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// The program that selenium talks to.
const DRIVER: &str = "chromedriver";

/// A browser and what drives it.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Chromium.
    pub program: PathBuf,
    /// Its driver.
    pub driver: PathBuf,
    /// A Python with selenium and axe-core.
    pub python: PathBuf,
}

/// Folder of the driver's packages, beside the pictures.
pub const ENVIRONMENT: &str = "environment";

/// How one has a browser here.
pub const HINT: &str = "sudo apt-get install chromium chromium-driver";

/// Finds Chromium, and installs what drives it into `folder` when that is not there yet.
///
/// # Errors
/// What is missing, in words.
pub fn ensure(runner: &Runner, folder: &Path) -> Result<Browser, String> {
    let program = CHROMIUM.iter().find_map(|name| find_program(name));
    let program = program.ok_or("no Chromium is on this machine")?;
    let driver = find_program(DRIVER).ok_or("no chromedriver is on this machine")?;
    let machine = python::find(runner).ok_or("Python 3.9 or newer is not on this machine")?;
    let python = python::in_environment(folder);
    let marker = folder.join(".complete");
    let wanted = format!("{SELENIUM} {AXE}");
    if std::fs::read_to_string(&marker).is_ok_and(|text| text == wanted) {
        return Ok(Browser {
            program,
            driver,
            python,
        });
    }
    let made = runner
        .run(&python::create_environment(&machine, folder))
        .and_then(|_| {
            let what = "install what drives a browser";
            runner.run(&python::pip_install(&python, what, [SELENIUM, AXE]))
        });
    made.map_err(|error| error.to_string())?;
    crate::files::write_shared(&marker, wanted.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Browser {
        program,
        driver,
        python,
    })
}
