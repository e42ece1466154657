//! stub
use crate::*;
pub struct Snapshot;
impl Snapshot {
    pub fn open(_r: &Runner, _s: &postgres::Server, _d: &str) -> Result<Self, CommandError> {
        unimplemented!()
    }
    pub fn id(&self) -> &str {
        ""
    }
    pub fn is_alive(&mut self) -> bool {
        true
    }
    pub fn close(self) {}
}
