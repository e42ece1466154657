//! A child and everything it started, as one group of processes. Signals to it are in [`super::signal`].

use super::Account;

/// Puts the child into a process group of its own: Ctrl-C in the terminal reaches only us, and we end the child with
/// everything it started.
pub(super) fn own_group(command: &mut std::process::Command, account: Option<Account>) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
    }
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        let _ = account;
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
    }
}
