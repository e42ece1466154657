//! The command line.
use crate::model::Exit;
pub(crate) fn main() -> Exit {
    let w = crate::config::Workspace::find().unwrap();
    let l = crate::config::load(&w, "development", &[], &[]).unwrap();
    let _ = l;
    Exit::Ok
}
