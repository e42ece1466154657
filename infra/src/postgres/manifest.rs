//! stub
use crate::*;
use serde::*;
use std::collections::BTreeMap;
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatabaseManifest {
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    pub comment: Option<String>,
    pub bytes: u64,
    pub tables: BTreeMap<String, TableFacts>,
}
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableFacts {
    pub rows: u64,
}
#[derive(Default)]
pub struct CompareOptions {
    pub owners: bool,
    pub privileges: bool,
}
#[derive(Debug)]
pub struct Difference;
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("d")
    }
}
pub struct TableProgress;
pub fn collect(
    _r: &Runner,
    _s: &postgres::Server,
    _d: &str,
    _i: Option<&str>,
    _w: usize,
    _f: &(dyn Fn(&TableProgress) + Sync),
) -> Result<DatabaseManifest, CommandError> {
    unimplemented!()
}
pub fn compare(_a: &DatabaseManifest, _b: &DatabaseManifest, _o: &CompareOptions) -> Vec<Difference> {
    vec![]
}
