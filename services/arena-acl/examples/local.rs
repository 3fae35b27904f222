//! What surrounds arena-acl on a laptop: third parties as a stub, and the sample feed on a real broker.
//!
//! ```text
//! local neighbours --listen HOST:PORT --jwk FILE    answers as sample/neighbours.json says, and gives tokens
//! local feed                                        produces sample/feed.json once, with the service's settings
//! ```

use std::{error::Error, path::PathBuf};

use arena_acl::{
    scripted::Stubs,
    settings::Settings,
    standalone::{Feed, sample_neighbours},
};
use clap::Parser;
use kafka::{Producer, Publish as _};
use testkit::stub::{Issuer, Stub};

#[derive(Parser)]
enum Local {
    /// Answer as third parties do, until the process is ended
    Neighbours {
        /// HOST:PORT
        #[arg(long)]
        listen: String,
        /// Where the private key of the service is written, as a JWK
        #[arg(long)]
        jwk: PathBuf,
    },
    /// Produce the sample feed once
    Feed,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Local::parse() {
        Local::Neighbours { listen, jwk } => neighbours(&listen, jwk),
        Local::Feed => feed().await,
    }
}

fn neighbours(listen: &str, jwk: PathBuf) -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::on(Stub::listen(listen)?, "arena-acl-local")?;
    let stubs: Stubs = sample_neighbours()?;
    for (target, status, body) in stubs.gets() {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let script = issuer.stub().on("GET", path);
        let script = match query.split_once('=') {
            Some((name, value)) => script.query(name, value),
            None => script,
        };
        script.answers(status, serde_json::from_str(&body)?);
    }
    std::fs::write(jwk, issuer.client_jwk())?;
    loop {
        std::thread::park();
    }
}

async fn feed() -> Result<(), Box<dyn Error>> {
    let settings = Settings::load()?;
    let producer = Producer::new(&settings.kafka, "arena-acl-sample-feed")?;
    for record in Feed::sample()?.steps.iter().filter_map(|step| step.record(&settings.topics)) {
        // one after another: the feed tells a story in which order counts
        for report in producer.send(vec![record]).await {
            report?;
        }
    }
    Ok(())
}
