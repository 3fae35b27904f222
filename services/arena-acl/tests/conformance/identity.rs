//! Who issues the tokens, in memory and live.

use std::{io, sync::LazyLock};

use testkit::{stub::Issuer, vectors::BadCase};

/// Our client id, and the audience of tokens for us.
pub(crate) const CLIENT: &str = "arena-acl-vectors";

static ISSUER: LazyLock<io::Result<Issuer>> = LazyLock::new(|| Issuer::start(CLIENT));

/// The issuer of all cases: making its keys takes longer than most of them.
pub(crate) fn issuer() -> Result<&'static Issuer, BadCase> {
    ISSUER.as_ref().map_err(|error| BadCase::because("the issuer of tokens", error))
}

/// The value of an `Authorization` header that counts.
pub(crate) fn authorization() -> Result<String, BadCase> {
    let token = issuer()?.token(CLIENT).map_err(|error| BadCase::because("a token", &error))?;
    Ok(format!("Bearer {token}"))
}
