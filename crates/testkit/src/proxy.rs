//! A link to a server that a test can cut, blackhole and restore: a TCP proxy on loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    thread::{self, JoinHandle},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Builder,
    sync::watch,
    task::JoinSet,
};

/// How much of a direction is under way in the proxy itself.
const CHUNK_BYTES: usize = 16 << 10;

/// A proxy on a port of its own, on a thread of its own, until it is dropped. It begins restored.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    link: Option<watch::Sender<Link>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Up,
    Cut,
    Blackholed,
}

impl Proxy {
    /// A proxy in front of `server`.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (link, told) = watch::channel(Link::Up);
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            // an error ends the proxy, and with it every connection: no test can take that for a restored link
            runtime.block_on(serve(listener, port, server, told)).unwrap_or_default();
        })?;
        Ok(Self { port, link: Some(link), thread: Some(thread) })
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection and refuses new ones, as a server that is gone.
    pub fn cut(&self) {
        self.set(Link::Cut);
    }

    /// Lets no byte pass in either direction, while connections stay open and new ones are accepted, as a network that drops packets.
    pub fn blackhole(&self) {
        self.set(Link::Blackholed);
    }

    /// Lets everything pass; what a blackhole held back arrives now.
    pub fn restore(&self) {
        self.set(Link::Up);
    }

    fn set(&self, link: Link) {
        if let Some(sender) = &self.link {
            sender.send_replace(link);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.link.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn serve(
    listener: StdListener,
    port: u16,
    server: SocketAddr,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let mut listener = Some(TcpListener::from_std(listener)?);
    let mut connections = JoinSet::new();
    loop {
        if *link.borrow_and_update() == Link::Cut {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?);
        }
        tokio::select! {
            changed = link.changed() => if changed.is_err() { return Ok(()) },
            client = accepted(listener.as_ref()) => drop(connections.spawn(pass(client?, server, link.clone()))),
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accepted(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

/// Passes one connection on until a side ends it or the link is cut.
async fn pass(client: TcpStream, server: SocketAddr, mut link: watch::Receiver<Link>) {
    let both = {
        let mut link = link.clone();
        async move {
            is_up(&mut link).await;
            let Ok(server) = TcpStream::connect(server).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                _ = copy(from_client, to_server, link.clone()) => {}
                _ = copy(from_server, to_client, link) => {}
            }
        }
    };
    tokio::select! {
        () = both => {}
        _ = link.wait_for(|link| *link == Link::Cut) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let bytes = from.read(&mut chunk).await?;
        is_up(&mut link).await; // an end does not pass either
        match chunk.get(..bytes) {
            None | Some([]) => return Ok(()),
            Some(bytes) => to.write_all(bytes).await?,
        }
    }
}

async fn is_up(link: &mut watch::Receiver<Link>) {
    if link.wait_for(|link| *link == Link::Up).await.is_err() {
        std::future::pending::<()>().await; // the proxy is ending, and takes its connections along
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Long enough that a byte that may pass has passed.
    const A_WHILE: Duration = Duration::from_millis(200);
    const BOUND: Duration = Duration::from_secs(5);

    /// A server that sends back what it gets, one connection after the other.
    fn echo() -> SocketAddr {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut back = stream.try_clone().unwrap();
                thread::spawn(move || io::copy(&mut stream, &mut back).ok());
            }
        });
        address
    }

    async fn connect(proxy: &Proxy) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await
    }

    async fn says(stream: &mut TcpStream, text: &str) -> io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        heard(stream, text.len()).await
    }

    async fn heard(stream: &mut TcpStream, bytes: usize) -> io::Result<String> {
        let mut answer = vec![0; bytes];
        timeout(BOUND, stream.read_exact(&mut answer)).await??;
        Ok(String::from_utf8(answer).unwrap())
    }

    #[tokio::test]
    async fn what_one_side_says_the_other_hears() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = connect(&proxy).await.unwrap();
        assert_eq!(says(&mut stream, "hello").await.unwrap(), "hello");
        let long = "x".repeat(CHUNK_BYTES / 4);
        assert_eq!(says(&mut stream, &long).await.unwrap(), long);
    }

    #[tokio::test]
    async fn a_cut_link_ends_connections_and_refuses_new_ones_until_it_is_restored() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = connect(&proxy).await.unwrap();
        assert_eq!(says(&mut stream, "before").await.unwrap(), "before");
        proxy.cut();
        let mut byte = [0];
        assert!(matches!(timeout(BOUND, stream.read(&mut byte)).await.unwrap(), Ok(0) | Err(_)));
        timeout(BOUND, async { while connect(&proxy).await.is_ok() {} }).await.unwrap();
        proxy.restore();
        let mut stream = timeout(BOUND, async {
            loop {
                if let Ok(stream) = connect(&proxy).await {
                    return stream;
                }
            }
        })
        .await
        .unwrap();
        assert_eq!(says(&mut stream, "after").await.unwrap(), "after");
    }

    #[tokio::test]
    async fn a_blackhole_holds_everything_back_until_the_link_is_restored() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut old = connect(&proxy).await.unwrap();
        assert_eq!(says(&mut old, "before").await.unwrap(), "before");
        proxy.blackhole();
        let mut new = connect(&proxy).await.unwrap();
        for stream in [&mut old, &mut new] {
            stream.write_all(b"held").await.unwrap();
            let mut byte = [0];
            assert!(timeout(A_WHILE, stream.read(&mut byte)).await.is_err());
        }
        proxy.restore();
        for stream in [&mut old, &mut new] {
            assert_eq!(heard(stream, 4).await.unwrap(), "held");
        }
    }
}
